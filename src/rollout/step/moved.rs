//! A version that answers elsewhere than before, in the middle of a run.

use super::{Decision, Next, Phase, Progress, Stepped};

impl Next<'_> {
    /// What `version` did until now was done elsewhere, by something else perhaps. Both arms are compared over the same time,
    /// so evidence of both is gathered anew, and the step that they were in bakes anew.
    pub(super) fn moved(mut self, actor: &str, version: &str) -> Stepped {
        let anew = |step| Progress { step, baked_ms: 0 };
        let phase = match &self.state.phase {
            Phase::Baking(at) => Phase::Baking(anew(at.step)),
            // Before the first step there is nothing that could bake.
            Phase::AwaitingApproval { step: 0 } => Phase::AwaitingApproval { step: 0 },
            // The step before is over for what it was then.
            Phase::AwaitingApproval { step } => Phase::Baking(anew(step - 1)),
            Phase::Paused { at, awaiting: true, cause } if at.step > 0 => {
                Phase::Paused { at: anew(at.step - 1), awaiting: false, cause: *cause }
            }
            Phase::Paused { at, awaiting, cause } => {
                Phase::Paused { at: anew(at.step), awaiting: *awaiting, cause: *cause }
            }
            _ => return self.nothing(),
        };
        self.state.phase = phase;
        self.gather_anew();
        let sentence = format!(
            "{version} answers elsewhere, by {actor}: evidence is gathered anew, and {} begins anew",
            self.state.phase.step().map_or("the step".to_owned(), |step| format!("step {}", step + 1))
        );
        self.says(Decision::BeganAnew, actor, sentence)
    }
}
