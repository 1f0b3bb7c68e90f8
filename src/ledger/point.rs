//! Where a migration is, as an entry holds it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{Progress, Service};

/// How far a migration is, and between which versions: `{"stage":"live","share":"10%","between":["old","new"]}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// How far.
    #[serde(flatten)]
    pub progress: Progress,
    /// The versions it goes from and to.
    pub between: [String; 2],
}

impl Point {
    /// That of `service`, where it has a migration.
    #[must_use]
    pub fn of(service: &Service) -> Option<Self> {
        let migration = service.migration.as_ref()?;
        let between = [migration.rules.from, migration.rules.to].map(|id| service.version(id).name.to_string());
        Some(Self { progress: migration.progress, between })
    }

    /// The progress, where it is that of the migration which `service` has: another one has not begun.
    #[must_use]
    pub fn for_service(&self, service: &Service) -> Option<Progress> {
        (Self::of(service)?.between == self.between).then_some(self.progress)
    }
}

impl fmt::Display for Point {
    /// `live for 10%`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.progress.fmt(f)
    }
}
