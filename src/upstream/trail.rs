//! Where a request is, for whoever gives it up.

use std::cell::RefCell;
use std::rc::Rc;

use super::address::Endpoint;
use crate::telemetry::Failure;

/// The address a request was last on its way to. What becomes of it there is known to the lease only once an answer has
/// come; where none does, whoever waited says so here.
#[derive(Debug, Default)]
pub struct Trail(RefCell<Option<Rc<Endpoint>>>);

impl Trail {
    pub(super) fn leads_to(&self, endpoint: &Rc<Endpoint>) {
        *self.0.borrow_mut() = Some(Rc::clone(endpoint));
    }

    /// Nothing more is to be said of the address.
    pub(super) fn ends(&self) {
        self.0.take();
    }

    /// No answer came for this reason; said once.
    pub fn failed(&self, failure: Failure) {
        if let Some(endpoint) = self.0.take() {
            endpoint.witness.failed(failure);
        }
    }
}
