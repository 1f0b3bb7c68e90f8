//! Control arms put in place and taken away as rollouts go on.

use std::sync::Arc;

use super::data_plane::DataPlane;
use super::force::InForce;
use super::rollouts::Course;
use super::run::Control;
use crate::plan::{ControlArm, Plan, Service, Weight};
use crate::rollout;

impl<D: DataPlane> Control<D> {
    /// Has everything that goes with where rollouts stand be so, and shows it.
    pub(super) fn settle_rollouts(&mut self) {
        self.arrange_control_arms();
        self.show_rollouts();
    }

    /// Has requests counted apart wherever a rollout compares its new version with a control arm, and nowhere else. Who answers
    /// whom does not depend on it, so there is nothing to record.
    fn arrange_control_arms(&mut self) {
        let mut services: Option<Vec<Arc<Service>>> = None;
        for name in self.rollouts.names() {
            let Some((id, service)) = self.in_force.plan().service_named(&name) else { continue };
            let wanted = self.rollouts.course(&name).and_then(|course| course.control_arm(service));
            if wanted != service.control {
                let service = Service { control: wanted, ..Service::clone(service) };
                services.get_or_insert_with(|| self.in_force.plan().services.clone())[id.index()] = Arc::new(service);
            }
        }
        if let Some(services) = services {
            self.in_force = self.in_force.with_services(services);
            self.data_plane.publish(self.in_force.plan());
        }
    }
}

impl Course {
    /// The control arm that `service` has where its rollout stands.
    fn control_arm(&self, service: &Service) -> Option<ControlArm> {
        let rollout::Control::Arm(share) = rollout::Control::of(&self.planned.plan, &self.state) else { return None };
        if self.in_force(service) != self.state.exposure {
            return None;
        }
        let from = service.version_named(&self.state.from)?;
        ControlArm::new(&service.split, from, Weight::from_f64(share.percent()).ok()?)
    }
}

impl InForce {
    /// The same with services that differ in nothing but what is counted.
    fn with_services(&self, services: Vec<Arc<Service>>) -> Self {
        self.with_plan(Plan { services, ..Plan::clone(self.plan()) })
    }
}
