//! One worker's figures of a service whose requests are measured by the variant of a flag.

use std::sync::Arc;

use crate::flags::FlagSet;
use crate::plan::{MEASURED_VARIANTS, MeasuredBy, Service, VersionId};
use crate::telemetry::{ArmCell, NO_VARIANT, OTHER_VARIANT, Registry};

/// The cells of one service.
#[derive(Debug)]
pub(super) struct Measured {
    /// By version: those of the first variants, of all others, and of none.
    cells: Vec<Arc<ArmCell>>,
    /// How many of each version there are.
    width: usize,
}

impl Measured {
    /// The cells of a service; `None` where no flag of the set is measured by.
    pub(super) fn of(service: &Service, flags: &FlagSet, worker: usize, registry: &Registry) -> Option<Self> {
        let flag = flags.flag(flags.get(service.flags.measure_by.as_ref()?)?);
        let first = flag.variants().iter().take(MEASURED_VARIANTS).map(|variant| &*variant.name);
        let names: Vec<&str> = first.chain([OTHER_VARIANT, NO_VARIANT]).collect();
        let cell = |version, name| registry.variant(worker, &service.name, version, flag.key(), name);
        let of_version = |version| names.iter().map(move |name| cell(version, name));
        let cells = service.versions.iter().flat_map(|version| of_version(&version.name)).collect();
        Some(Self { cells, width: names.len() })
    }

    /// The cell of a version for requests with this variant.
    pub(super) fn cell(&self, version: VersionId, variant: MeasuredBy) -> &Arc<ArmCell> {
        let none = self.width - 1;
        let place = variant.0.map_or(none, |variant| variant.min(none - 1));
        &self.cells[version.index() * self.width + place]
    }
}
