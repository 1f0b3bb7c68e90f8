//! The demo's own `serin.yaml` and `weights.yaml`, and what a change of weights moves.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::scenario::{Script, Step};
use super::{NEW, OLD, SERVICE, VERSIONS};
use crate::config::Bind;
use crate::plan::{Plan, Split, VersionId};

/// The folder with the demo's files. It stays when the demo is over, for whoever wants to look.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// A new folder among the temporary files that only this user can read.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn new() -> io::Result<Self> {
        let mut rng = fastrand::Rng::new();
        loop {
            let path = std::env::temp_dir().join(format!("serin-demo-{:06x}", rng.u32(..1 << 24)));
            match fs::DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn config(&self) -> PathBuf {
        self.path.join("serin.yaml")
    }

    /// Writes `serin.yaml`, and a `weights.yaml` that gives everything to old.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn write(
        &self,
        listen: SocketAddr,
        admin: &Bind,
        upstreams: [SocketAddr; 2],
        script: &Script,
    ) -> io::Result<()> {
        fs::write(self.config(), config(listen, admin, upstreams, script))?;
        fs::write(self.path.join("weights.yaml"), WEIGHTS)
    }

    /// Puts a whole new file in an old one's place.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn replace(&self, file: &Path, text: &str) -> io::Result<()> {
        let beside = self.path.join(".new");
        fs::write(&beside, text)?;
        fs::rename(beside, file)
    }
}

/// What the rollout begins from.
const WEIGHTS: &str = "# Edit this while the demo runs: serin takes it at once, and pauses the rollout.\n\
                       checkout: { old: 100, new: 0 }\n";

fn config(listen: SocketAddr, admin: &Bind, upstreams: [SocketAddr; 2], script: &Script) -> String {
    let [old, new] = upstreams;
    // Where others can reach it, it is read-only.
    let open = if admin.is_local() { ", open: true" } else { "" };
    let steps = script.steps.map(|Step { weight, bake }| format!("{{ weight: {weight}, bake: {} }}", written(bake)));
    let (steps, min_requests) = (steps.join(", "), script.min_requests);
    format!(
        "# Written by `serin demo`. The weights are in weights.yaml.\n\
         listeners:\n  - {{ name: web, address: \"{listen}\" }}\n\
         admin: {{ address: \"{admin}\"{open} }}\n\
         stateDir: state   # the record of what happened: serin ledger --config this-file\n\
         drainTimeout: 2s\n\
         files: {{ weights: weights.yaml }}\n\
         services:\n  {SERVICE}:\n    versions:\n      \
         old: {{ upstream: \"http://{old}\" }}\n      new: {{ upstream: \"http://{new}\" }}\n    \
         sticky: [ {{ header: x-user-id }} ]   # the same user always gets the same version\n    \
         outliers: {{ consecutiveFailures: 0 }}   # a bad new version is the rollout's to withdraw\n    \
         rollout:\n      from: old\n      to: new\n      steps: [ {steps} ]\n      minRequests: {min_requests}\n      \
         gates:\n        failures: {{ maxIncrease: 0.2% }}\n        \
         latency: [ {{ quantile: 0.5, maxRatio: 1.1, slack: 2ms }}, {{ quantile: 0.99, maxRatio: 1.2, slack: 2ms }} ]\n\
         routes:\n  - service: {SERVICE}\n"
    )
}

/// A duration as `serin.yaml` has it.
fn written(duration: Duration) -> String {
    format!("{}s{}ms", duration.as_secs(), duration.subsec_millis())
}

/// How users are shared among the versions, as far as the demo needs to know.
#[derive(Debug, Clone)]
pub(super) struct Shares {
    /// By user: whether new serves them.
    on_new: Vec<bool>,
    /// Of the traffic, by version, 0 to 1.
    pub(super) shares: [f64; 2],
}

impl Shares {
    /// How `plan` shares `users` among the versions; where somebody took the service or a version out of `serin.yaml`,
    /// nobody has any.
    pub(super) fn of(plan: &Plan, users: &[String]) -> Self {
        let on_new = match found(plan) {
            Some((split, [_, new])) => users.iter().map(|user| split.pick_key(user.as_bytes()) == new).collect(),
            None => vec![false; users.len()],
        };
        Self { on_new, shares: traffic(plan) }
    }

    /// Whether `plan` shares the traffic like this.
    pub(super) fn are_those_of(&self, plan: &Plan) -> bool {
        self.shares.map(f64::to_bits) == traffic(plan).map(f64::to_bits)
    }

    /// How many users new serves.
    pub(super) fn users_on_new(&self) -> usize {
        self.on_new.iter().filter(|on_new| **on_new).count()
    }

    /// How many users move towards new and how many away from it, when these shares become `after`.
    pub(super) fn moves_to(&self, after: &Self) -> Moves {
        let pairs = || self.on_new.iter().zip(&after.on_new);
        Moves {
            to_new: pairs().filter(|(before, after)| !**before && **after).count(),
            back: pairs().filter(|(before, after)| **before && !**after).count(),
        }
    }
}

/// The demo's service and its versions, where they are still there.
fn found(plan: &Plan) -> Option<(&Split, [VersionId; 2])> {
    let (_, service) = plan.service_named(SERVICE)?;
    Some((&service.split, [service.version_named(VERSIONS[OLD])?, service.version_named(VERSIONS[NEW])?]))
}

/// The shares of the traffic, by version, 0 to 1.
fn traffic(plan: &Plan) -> [f64; 2] {
    found(plan).map_or([0.0; 2], |(split, versions)| versions.map(|version| split.share(version)))
}

/// Users who change their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moves {
    pub(super) to_new: usize,
    pub(super) back: usize,
}

#[cfg(test)]
mod tests {
    use super::super::scenario::Scenario;
    use super::*;
    use crate::config::{self, Source};

    fn plan(new: u32) -> Plan {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let admin = Bind::Unix(PathBuf::from("/run/serin admin.sock"));
        let script = Scenario::Good.script(Duration::from_millis(3_210));
        let serin = config(address, &admin, [address; 2], &script);
        let weights = WEIGHTS.replace("old: 100, new: 0", &format!("old: {}, new: {new}", 100 - new));
        let source = |name, text| Source { name, text };
        let loaded = config::load(source("serin.yaml", &serin), Some(source("weights.yaml", &weights)));
        loaded.expect("the demo's files are valid").plan
    }

    fn users() -> Vec<String> {
        (0..2000).map(|user| format!("user-{user}")).collect()
    }

    #[test]
    fn the_files_of_the_demo_are_valid_and_plan_what_the_script_says() {
        let plan = plan(0);
        let (_, service) = plan.service_named(SERVICE).expect("the demo's service");
        let script = Scenario::Good.script(Duration::from_millis(3_210));
        let rollout = service.rollout.as_ref().expect("a rollout");
        let planned: Vec<_> = rollout.steps.iter().map(|step| (step.weight.as_f64(), step.bake.as_millis())).collect();
        let wanted: Vec<_> = script.steps.iter().map(|step| (f64::from(step.weight), step.bake.as_millis())).collect();
        assert_eq!((planned, rollout.min_requests), (wanted, script.min_requests));
        assert_eq!(Shares::of(&plan, &users()).users_on_new(), 0);
    }

    #[test]
    fn widening_moves_users_to_new_and_nobody_back() {
        let shares = |new| Shares::of(&plan(new), &users());
        let (narrow, wide) = (shares(5), shares(25));
        let moves = narrow.moves_to(&wide);
        assert_eq!(moves, Moves { to_new: wide.users_on_new() - narrow.users_on_new(), back: 0 });
        // 25 % of 2,000 by five standard deviations.
        assert!((404..=596).contains(&wide.users_on_new()), "{}", wide.users_on_new());
        assert_eq!(wide.moves_to(&narrow), Moves { to_new: 0, back: moves.to_new });
        assert_eq!(shares(100).users_on_new(), 2000);
    }
}
