//! The demo's own `serin.yaml` and `weights.yaml`, and what an edit of the latter moves.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::{NEW, OLD, SERVICE, VERSIONS};
use crate::config::Bind;
use crate::plan::Plan;

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

    pub(super) fn weights(&self) -> PathBuf {
        self.path.join("weights.yaml")
    }

    /// Writes `serin.yaml`.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn write_config(&self, listen: SocketAddr, admin: &Bind, upstreams: [SocketAddr; 2]) -> io::Result<()> {
        fs::write(self.config(), config(listen, admin, upstreams))
    }

    /// Gives new this weight and old the rest to 100, as an editor would: a whole new file takes the old one's place.
    ///
    /// # Errors
    /// As the system says.
    pub(super) fn write_weights(&self, new: u32) -> io::Result<()> {
        self.replace(&self.weights(), &weights_file(new))
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

fn weights_file(new: u32) -> String {
    format!(
        "# Edit this while the demo runs: serin takes it at once.\n{SERVICE}: {{ old: {}, new: {new} }}\n",
        100 - new
    )
}

fn config(listen: SocketAddr, admin: &Bind, upstreams: [SocketAddr; 2]) -> String {
    let [old, new] = upstreams;
    // Where others can reach it, it is read-only.
    let open = if admin.is_local() { ", open: true" } else { "" };
    format!(
        "# Written by `serin demo`. The weights are in weights.yaml.\n\
         listeners:\n  - {{ name: web, address: \"{listen}\" }}\n\
         admin: {{ address: \"{admin}\"{open} }}\n\
         drainTimeout: 2s\n\
         files: {{ weights: weights.yaml }}\n\
         services:\n  {SERVICE}:\n    versions:\n      \
         old: {{ upstream: \"http://{old}\" }}\n      new: {{ upstream: \"http://{new}\" }}\n    \
         sticky: [ {{ header: x-user-id }} ]   # the same user always gets the same version\n\
         routes:\n  - service: {SERVICE}\n"
    )
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
        let found = plan.service_named(SERVICE).and_then(|(_, service)| {
            Some((&service.split, service.version_named(VERSIONS[OLD])?, service.version_named(VERSIONS[NEW])?))
        });
        match found {
            Some((split, old, new)) => Self {
                on_new: users.iter().map(|user| split.pick_key(user.as_bytes()) == new).collect(),
                shares: [split.share(old), split.share(new)],
            },
            None => Self { on_new: vec![false; users.len()], shares: [0.0; 2] },
        }
    }

    /// Whether both share the traffic alike.
    pub(super) fn are(&self, other: &Self) -> bool {
        self.shares.map(f64::to_bits) == other.shares.map(f64::to_bits)
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

/// Whether the weights in force are those that [`Folder::write_weights`] writes.
pub(super) fn in_force(plan: &Plan, new: u32) -> bool {
    let written = [u64::from(100 - new) * 1000, u64::from(new) * 1000];
    plan.service_named(SERVICE)
        .is_some_and(|(_, service)| service.split.weights().iter().map(|weight| weight.thousandths()).eq(written))
}

/// Users who change their version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moves {
    pub(super) to_new: usize,
    pub(super) back: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, Source};

    fn plan(new: u32) -> Plan {
        let address = SocketAddr::from(([127, 0, 0, 1], 8080));
        let admin = Bind::Unix(PathBuf::from("/run/serin admin.sock"));
        let (serin, weights) = (config(address, &admin, [address; 2]), weights_file(new));
        let source = |name, text| Source { name, text };
        let loaded = config::load(source("serin.yaml", &serin), Some(source("weights.yaml", &weights)));
        loaded.expect("the demo's files are valid").plan
    }

    fn users() -> Vec<String> {
        (0..2000).map(|user| format!("user-{user}")).collect()
    }

    #[test]
    fn the_files_of_the_demo_are_valid_and_say_the_weights() {
        for new in [0, 5, 25, 50, 100] {
            assert!(in_force(&plan(new), new));
            assert!(!in_force(&plan(new), 1));
        }
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
