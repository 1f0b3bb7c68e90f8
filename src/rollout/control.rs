//! The control arm: what the new version is compared with.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::state::{Exposure, Phase, State};
use crate::plan::RolloutPlan;

/// What a rollout compares its new version with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// All of the old version: the plan has no control arm, or nobody meets the new version.
    All,
    /// All of the old version, although the plan has a control arm: the new version leaves it no room.
    NoRoom,
    /// A slice of the old version's requests with this share of all.
    Arm(Exposure),
}

/// The control arm of a rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlView {
    /// Its share of all requests in percent, by the plan.
    pub weight: f64,
    /// Whether `to` is compared with it now; otherwise with all of `from`.
    pub in_force: bool,
    /// Requests that it has answered since the step began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Why `to` is compared with all of `from` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Control {
    /// How the arm is called in verdicts.
    pub const NAME: &'static str = "control";

    /// What `to` is compared with where the rollout stands at `state`. The same from the beginning of a window to its end.
    #[must_use]
    pub fn of(plan: &RolloutPlan, state: &State) -> Self {
        let is_on = matches!(state.phase, Phase::Baking(_) | Phase::AwaitingApproval { .. } | Phase::Paused { .. });
        match state.exposure {
            Some(exposure) if is_on => Self::beside(plan, exposure),
            _ => Self::All,
        }
    }

    /// What `to` is compared with while it has the share `exposure`.
    #[must_use]
    pub fn beside(plan: &RolloutPlan, exposure: Exposure) -> Self {
        match plan.control.map(Exposure::of_step) {
            None => Self::All,
            Some(_) if exposure == Exposure::NONE => Self::All,
            Some(share) if share <= exposure.rest() => Self::Arm(share),
            Some(_) => Self::NoRoom,
        }
    }
}

impl ControlView {
    /// The control arm as people see it; `requests`: those it has answered. `None` where the plan has none.
    pub(super) fn new(plan: &RolloutPlan, state: &State, requests: Option<u64>) -> Option<Self> {
        let control = Control::of(plan, state);
        let in_force = matches!(control, Control::Arm(_));
        Some(Self {
            weight: Exposure::of_step(plan.control?).percent(),
            in_force,
            requests: requests.filter(|_| in_force),
            note: (control == Control::NoRoom).then(|| {
                let State { from, to, .. } = state;
                format!("{to} leaves it no room: compared with all of {from}")
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{plan, planned};
    use super::*;
    use crate::plan::Weight;
    use crate::rollout::{PauseCause, Progress};

    #[test]
    fn an_arm_is_compared_with_while_somebody_meets_the_new_version_and_there_is_room() {
        let with_arm = RolloutPlan { control: Some(Weight::from_f64(5.0).unwrap()), ..plan("0, 50, 95, 100") };
        let five = Exposure::of_step(Weight::from_f64(5.0).unwrap());
        let planned = planned(with_arm.clone());
        let at = Progress { step: 0, baked_ms: 0 };
        let baking = |percent: f64| State {
            phase: Phase::Baking(at),
            exposure: Some(Exposure::of_step(Weight::from_f64(percent).unwrap())),
            ..State::pending(&planned)
        };
        let arms = [0.0, 50.0, 95.0, 95.001, 100.0].map(|percent| Control::of(&with_arm, &baking(percent)));
        assert_eq!(arms, [Control::All, Control::Arm(five), Control::Arm(five), Control::NoRoom, Control::NoRoom]);
        assert_eq!(Control::of(&plan("50"), &baking(50.0)), Control::All, "the plan has none");
        let edited = Phase::Paused { at, awaiting: false, cause: PauseCause::Edited };
        let edited = State { phase: edited, exposure: None, ..baking(50.0) };
        assert_eq!(Control::of(&with_arm, &edited), Control::All, "the weights are a person's");
        let over = State { phase: Phase::Completed, ..baking(50.0) };
        assert_eq!(Control::of(&with_arm, &over), Control::All);
        let note = ControlView::new(&with_arm, &baking(100.0), Some(7)).unwrap();
        assert_eq!((note.in_force, note.requests), (false, None));
        assert_eq!(note.note.as_deref(), Some("new leaves it no room: compared with all of old"));
    }
}
