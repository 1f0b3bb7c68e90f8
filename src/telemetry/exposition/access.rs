//! The metric of the admin API.

use super::family::{Family, Kind, Labels};
use crate::telemetry::{AdminFigures, AuthFailure};

pub(super) fn family(admin: &AdminFigures) -> Family {
    Family {
        name: "serin_admin_auth_failures_total",
        help: "Requests to the admin API that were turned away for who made them or how.",
        kind: Kind::Counter,
        series: AuthFailure::ALL.map(|why| Labels::one("reason", why.label()).count(admin.count(why))).into(),
    }
}
