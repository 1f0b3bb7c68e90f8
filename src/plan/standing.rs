//! What flags do to a service as far as that is the same for every request: for people who look at its shares.

use std::sync::Arc;

use super::steering::version_of;
use super::{Service, Split, VersionId, VersionSet};
use crate::flags::{FlagSet, State};

/// What a flag does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect<T> {
    /// The same for every request.
    Always(T),
    /// What its rule says of each request.
    ByRequest,
    /// Nothing: there is no such flag, it is disabled, broken, or has no value.
    Nothing,
}

/// What flags do to one service.
#[derive(Debug, Clone)]
pub struct Standing {
    /// The flag whose variant is the version; `Always(None)` where that is none of the service's.
    pub version_from: Option<(Arc<str>, Effect<Option<VersionId>>)>,
    /// The kill switches: versions, flags, and whether the version is killed.
    pub kill_switches: Vec<(VersionId, Arc<str>, Effect<bool>)>,
    /// The flag that is measured by.
    pub measure_by: Option<Arc<str>>,
}

impl Standing {
    /// What the flags of `set` do to `service`. `None`: flags have nothing to do with it.
    #[must_use]
    pub fn of(service: &Service, set: &FlagSet) -> Option<Self> {
        let flags = &service.flags;
        let version = |key: &Arc<str>| {
            let version = effect(set, key, |variant| version_of(service, variant));
            (Arc::clone(key), version)
        };
        let kill = |(version, key): &(VersionId, Arc<str>)| {
            let on = effect(set, key, |variant| variant.value == serde_json::Value::Bool(true));
            (*version, Arc::clone(key), on)
        };
        (!flags.is_empty()).then(|| Self {
            version_from: flags.version_from.as_ref().map(version),
            kill_switches: flags.kill_switches.iter().map(kill).collect(),
            measure_by: flags.measure_by.clone(),
        })
    }

    /// The versions that are killed for no request, or not for all.
    #[must_use]
    pub fn alive(&self) -> VersionSet {
        let killed = self.kill_switches.iter().filter(|(_, _, on)| *on == Effect::Always(true));
        killed.fold(VersionSet::ALL, |alive, (version, ..)| alive.without(*version))
    }

    /// The part of all requests that `version` gets where only those of `up` can take them, 0 to 1, as far as flags say
    /// the same for all of them.
    #[must_use]
    pub fn share(&self, split: &Split, version: VersionId, up: VersionSet) -> f64 {
        let alive = self.alive();
        if let Some((_, Effect::Always(Some(named)))) = self.version_from
            && alive.contains(named)
            && up.contains(named)
        {
            return if named == version { 1.0 } else { 0.0 };
        }
        if alive == VersionSet::ALL {
            return split.share_among(version, up);
        }
        let among = [up.and(alive), alive].into_iter().find(|among| split.has_share_among(*among));
        if let Some(among) = among {
            return split.share_among(version, among);
        }
        let mut versions = (0..split.weights().len()).map(VersionId::from_index);
        let oldest = versions.find(|id| alive.contains(*id)).unwrap_or(VersionId::from_index(0));
        if oldest == version { 1.0 } else { 0.0 }
    }
}

/// What a flag does, its variant read by `meaning`.
fn effect<T>(set: &FlagSet, key: &str, meaning: impl FnOnce(&crate::flags::Variant) -> T) -> Effect<T> {
    let Some(flag) = set.get(key).map(|id| set.flag(id)) else { return Effect::Nothing };
    match flag.constant() {
        None => Effect::ByRequest,
        Some(Ok(constant)) if flag.state() == State::Enabled => {
            constant.index.map_or(Effect::Nothing, |index| Effect::Always(meaning(&flag.variants()[index])))
        }
        Some(_) => Effect::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;
    use crate::config::{Source, load};
    use crate::flags::{Evaluators, FlagSpec};
    use crate::plan::{Attached, Lot, weigh};

    fn service() -> Arc<Service> {
        let text = "\
listeners: [{ address: 127.0.0.1:0 }]
services:
  shop:
    versions: { a: { upstream: http://x, killSwitch: { flag: a } }, b: { upstream: http://y, killSwitch: { flag: b } } }
    versionFrom: { flag: version }
    weights: { a: 3, b: 1 }
routes: [{ service: shop }]
";
        Arc::clone(&load(Source { name: "serin.yaml", text }, None).unwrap().plan.services[0])
    }

    fn set(flags: &[(&str, Value)]) -> Arc<FlagSet> {
        let spec = |(key, value): &(&str, Value)| FlagSpec {
            key: (*key).to_owned(),
            state: State::Enabled,
            variants: vec![("only".to_owned(), value.clone())],
            default: Some(0),
            targeting: None,
            metadata: Map::new(),
        };
        Arc::new(FlagSet::new(flags.iter().map(spec).collect(), &Evaluators::default(), Map::new()))
    }

    #[test]
    fn the_share_that_is_shown_is_the_one_that_requests_get() {
        let service = service();
        let [a, b] = [0, 1].map(VersionId::from_index);
        for (flags, down, expected) in [
            (&[][..], None, 0.75),
            (&[("a", json!(true))], None, 0.0),
            (&[("a", json!("true"))], None, 0.75),
            (&[("b", json!(true))], None, 1.0),
            (&[("a", json!(true)), ("b", json!(true))], None, 1.0),
            (&[("b", json!(true))], Some(a), 1.0),
            (&[("version", json!("b"))], None, 0.0),
            (&[("version", json!("b"))], Some(b), 1.0),
            (&[("version", json!("b")), ("b", json!(true))], None, 1.0),
            (&[("version", json!("c"))], None, 0.75),
        ] {
            let set = set(flags);
            let up = down.map_or(VersionSet::ALL, |down| VersionSet::ALL.without(down));
            let standing = Standing::of(&service, &set).unwrap();
            let shares = [a, b].map(|version| standing.share(&service.split, version, up));
            assert!((shares[0] - expected).abs() < 1e-12 && (shares[0] + shares[1] - 1.0).abs() < 1e-12, "{flags:?}");
            // The same by what requests go through.
            let attached = Attached::new(&set, &[], &service);
            let answers = attached.ask_steering(&crate::flags::NoContext, 0, &mut |_, _| {});
            let alive = attached.alive(&answers);
            let to_a = (0..400_u64).filter(|draw| {
                let named = attached.version(&answers).filter(|v| alive.contains(*v) && up.contains(*v));
                let lot = Lot::Draw(draw * (u64::MAX / 400));
                named.unwrap_or_else(|| weigh(&service.split, lot, up, alive)) == a
            });
            assert!((to_a.count() as f64 / 400.0 - expected).abs() < 0.01, "{flags:?}");
        }
    }

    #[test]
    fn a_rule_is_told_from_what_is_always_so_and_from_nothing() {
        let service = service();
        let mut flags = vec![("a", json!(true)), ("version", json!("b"))];
        let standing = Standing::of(&service, &set(&flags)).unwrap();
        let switches: Vec<_> = standing.kill_switches.iter().map(|(_, _, on)| *on).collect();
        assert_eq!(switches, [Effect::Always(true), Effect::Nothing]);
        assert_eq!(standing.version_from.unwrap().1, Effect::Always(Some(VersionId::from_index(1))));
        flags.clear();
        assert_eq!(Standing::of(&service, &set(&flags)).unwrap().version_from.unwrap().1, Effect::Nothing);
    }
}
