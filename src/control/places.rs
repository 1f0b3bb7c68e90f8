//! Versions that answer elsewhere than before, in the middle of a rollout.

use std::sync::Arc;

use super::run::{Control, DataPlane};
use crate::plan::{Address, Protocol, Service, UpstreamSpec};
use crate::rollout::Input;
use crate::tls::ClientFiles;

/// Where the two versions of a rollout answer, by their names.
pub(super) type Places = Vec<(Arc<str>, Arc<UpstreamSpec>)>;

impl<D: DataPlane> Control<D> {
    /// A service's versions may answer elsewhere than when its rollout last looked.
    pub(super) async fn heed_moves(&mut self, name: &str, actor: &str) {
        let Some((_, service)) = self.in_force.plan().service_named(name) else { return };
        let Some(course) = self.rollouts.course(name) else { return };
        let now = places(service, [&course.state.from, &course.state.to]);
        let moved = now.iter().find(|(version, place)| {
            let before = course.places.iter().find(|(known, _)| known == version);
            before.is_some_and(|(_, before)| is_elsewhere(before, place))
        });
        let Some((version, _)) = moved else { return };
        let input = Input::Moved { actor: actor.to_owned(), version: version.to_string() };
        if let Err(error) = self.put(name, &input).await {
            tracing::error!(service = %name, %error, "a step could not begin anew although a version answers elsewhere");
        }
    }

    /// Takes note of where the versions of rollouts answer now.
    pub(super) fn note_places(&mut self) {
        for name in self.rollouts.names() {
            let Some((_, service)) = self.in_force.plan().service_named(&name) else { continue };
            if let Some(course) = self.rollouts.course(&name) {
                course.places = places(service, [&course.state.from, &course.state.to]);
            }
        }
    }
}

fn places(service: &Service, names: [&String; 2]) -> Places {
    let versions = service.versions.iter().filter(|version| names.iter().any(|name| **name == *version.name));
    versions.map(|version| (Arc::clone(&version.name), Arc::clone(&version.upstream))).collect()
}

/// Whether it is another place. A certificate that was exchanged is none.
fn is_elsewhere(before: &UpstreamSpec, now: &UpstreamSpec) -> bool {
    fn place(spec: &UpstreamSpec) -> (&[Address], Protocol, Option<&ClientFiles>) {
        (&spec.addresses, spec.protocol, spec.tls.as_ref().map(|tls| &tls.files))
    }
    place(before) != place(now)
}
