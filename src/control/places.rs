//! Versions that answer elsewhere than before, in the middle of a rollout.

use std::collections::BTreeMap;

use serde_json::Value;

use super::data_plane::DataPlane;
use super::run::Control;
use crate::ledger::Digest;
use crate::plan::{Service, UpstreamSpec, Version};
use crate::rollout::{Input, State};

/// Where the two versions of a rollout answer: by their names, a hash of it.
pub(super) type Places = BTreeMap<String, String>;

/// Under this key a state in the ledger has where its versions answered then.
const KEY: &str = "places";

impl<D: DataPlane> Control<D> {
    /// A service's versions may answer elsewhere than when its rollout last looked.
    pub(super) async fn heed_moves(&mut self, name: &str, actor: &str) {
        let Some((_, service)) = self.in_force.plan().service_named(name) else { return };
        let Some(course) = self.rollouts.course(name) else { return };
        let now = places(service, &course.state);
        let before = |version: &str| course.places.get(version);
        let Some((version, _)) = now.iter().find(|(version, place)| before(version).is_some_and(|b| b != *place))
        else {
            return;
        };
        let input = Input::Moved { actor: actor.to_owned(), version: version.clone() };
        if let Err(error) = self.put(name, &input).await {
            tracing::error!(service = %name, %error, "a step could not begin anew although a version answers elsewhere");
        }
    }

    /// Takes note of where the versions of rollouts answer now.
    pub(super) fn note_places(&mut self) {
        for name in self.rollouts.names() {
            let Some((_, service)) = self.in_force.plan().service_named(&name) else { continue };
            if let Some(course) = self.rollouts.course(&name) {
                course.places = places(service, &course.state);
            }
        }
    }
}

/// What the ledger says of a state, with where its versions answer.
pub(super) fn written(state: &State, service: Option<&Service>) -> Value {
    // Invariant: a state is names, numbers and words.
    let mut written = serde_json::to_value(state).unwrap_or_default();
    if let (Value::Object(fields), Some(service)) = (&mut written, service) {
        fields.insert(KEY.to_owned(), places(service, state).into_iter().collect());
    }
    written
}

/// Where the versions answered by what the ledger says of a state; of ledgers that do not say, nothing is known.
pub(super) fn read(written: &Value) -> Places {
    serde_json::from_value(written[KEY].clone()).unwrap_or_default()
}

fn places(service: &Service, state: &State) -> Places {
    let own = |version: &&Version| [&state.from, &state.to].iter().any(|name| ***name == *version.name);
    service.versions.iter().filter(own).map(|version| (version.name.to_string(), place(&version.upstream))).collect()
}

/// What is the same for the same place. A certificate that was exchanged makes no other.
fn place(spec: &UpstreamSpec) -> String {
    let UpstreamSpec { addresses, protocol, tls } = spec;
    let text = format!("{addresses:?} {protocol:?} {:?}", tls.as_ref().map(|tls| &tls.files));
    Digest::of(text.as_bytes()).to_string().chars().take(16).collect()
}
