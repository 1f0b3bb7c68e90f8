//! Weights by version, as an entry holds them.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::plan::{Service, Weight};

/// The weights of all versions of a service, in the order of the configuration: `{"old":95,"new":5}`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Weights(pub Vec<(String, Weight)>);

impl Weights {
    /// `weights` of the versions of `service`, in their order.
    #[must_use]
    pub fn of(service: &Service, weights: &[Weight]) -> Self {
        let names = service.versions.iter().map(|version| version.name.to_string());
        Self(names.zip(weights.iter().copied()).collect())
    }

    /// Those in force in `service`.
    #[must_use]
    pub fn in_force(service: &Service) -> Self {
        Self::of(service, service.split.weights())
    }

    /// The weights for the versions of `service`, where these are the versions they were given for.
    #[must_use]
    pub fn for_service(&self, service: &Service) -> Option<Vec<Weight>> {
        let names = self.0.iter().map(|(name, _)| &**name);
        let same = names.eq(service.versions.iter().map(|version| &*version.name));
        same.then(|| self.0.iter().map(|(_, weight)| *weight).collect())
    }
}

impl fmt::Display for Weights {
    /// `old 95, new 5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (name, weight)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            write!(f, "{comma}{name} {}", weight.as_f64())?;
        }
        Ok(())
    }
}

impl Serialize for Weights {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, weight) in &self.0 {
            if weight.thousandths().is_multiple_of(1000) {
                // As people write it: 95, not 95.0.
                map.serialize_entry(name, &(weight.thousandths() / 1000))?;
            } else {
                map.serialize_entry(name, &weight.as_f64())?;
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Weights {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Weights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("weights by version")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Weights, A::Error> {
                let mut weights = Vec::new();
                while let Some((name, weight)) = map.next_entry::<String, f64>()? {
                    weights.push((name, Weight::from_f64(weight).map_err(A::Error::custom)?));
                }
                Ok(Weights(weights))
            }
        }
        deserializer.deserialize_map(Entries)
    }
}
