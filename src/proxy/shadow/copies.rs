//! The copies of one request, and what comes of their answers: a task beside the exchange.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use tokio::sync::oneshot;

use super::arm::{Compared, Shadowing};
use super::capture::{Capture, Keeping};
use super::copy::{Copy, Patience};
use crate::diff::Answer;
use crate::proxy::worker::Worker;
use crate::shadow::Pairing;
use crate::telemetry::{CopyInFlight, DiffDrop, ShadowResult};
use crate::upstream::{Lost, Teed};

/// The copies of one request, not sent yet.
#[derive(Debug)]
pub(in crate::proxy) struct Copies {
    pub(in crate::proxy) shadowing: Rc<Shadowing>,
    /// Until the last of them is done with.
    pub(in crate::proxy) in_flight: CopyInFlight,
    /// For the version that answers nobody.
    pub(in crate::proxy) copy: Copy,
    /// For the client's version a second time, at times.
    pub(in crate::proxy) again: Option<Copy>,
    /// There where the request has a body.
    pub(in crate::proxy) body: Option<Teed>,
    /// There where answers are compared.
    pub(in crate::proxy) compare: Option<Comparison>,
}

/// What a comparison needs beside the copies' answers.
#[derive(Debug)]
pub(in crate::proxy) struct Comparison {
    compared: Compared,
    route: Arc<str>,
    client: oneshot::Receiver<Answer>,
}

/// The client's answer is to be compared.
#[derive(Debug)]
pub(in crate::proxy) struct ToCompare {
    compared: Compared,
    to: oneshot::Sender<Answer>,
}

impl ToCompare {
    /// The client's answer to a request of this route will be compared; the two ends of it.
    pub(in crate::proxy) fn new(compared: &Compared, route: Arc<str>) -> (Self, Comparison) {
        let (to, client) = oneshot::channel();
        (Self { compared: compared.clone(), to }, Comparison { compared: compared.clone(), route, client })
    }

    /// The answer has begun.
    pub(in crate::proxy) fn begin<B>(self, response: &Response<B>) -> Capture {
        let plan = &self.compared.plan;
        Capture::new(Keeping::new(response, &plan.rules.headers, plan.max_body), self.to)
    }
}

impl Copies {
    /// Sends them as soon as the request's body is there, and has the answers compared.
    pub(in crate::proxy) async fn run(self, worker: Rc<Worker>) {
        let Self { shadowing, in_flight, copy, again, body, compare } = self;
        let body = match body {
            None => Bytes::new(),
            Some(teed) => match teed.whole().await {
                Ok(body) => body,
                Err(lost) => {
                    return copy.arm.shared.ended(match lost {
                        Lost::TooLarge => ShadowResult::BodyTooLarge,
                        Lost::Incomplete => ShadowResult::BodyIncomplete,
                    });
                }
            },
        };
        let plan = &*shadowing.plan;
        let diff = compare.as_ref().map(|compare| Arc::clone(&compare.compared.plan));
        let keep = diff.as_deref().map(|diff| (diff.rules.headers.as_slice(), diff.max_body));
        let most = plan.max_body.max(keep.map_or(0, |(_, most)| most));
        let patience = Patience { timeout: plan.timeout, most, keep };
        let arm = Rc::clone(&copy.arm);
        let asking_again = async {
            match again {
                // In a box: few copies have one, and all would carry the room for it.
                Some(again) => Box::pin(again.send(&worker, body.clone(), patience)).await.ok().flatten(),
                None => None,
            }
        };
        let (new, again) = tokio::join!(copy.send(&worker, body.clone(), patience), asking_again);
        match &new {
            Ok(_) => shadowing.brake().answered(),
            Err(_) => shadowing.brake().failed(Instant::now()),
        }
        let new = new.ok().flatten();
        if let Some(compare) = compare
            && (new.is_some() || again.is_some())
        {
            let client = tokio::time::timeout(plan.timeout, compare.client).await;
            let dropped = match client {
                Ok(Ok(old)) => {
                    let Compared { subject, comparing, .. } = compare.compared;
                    let pairing = Pairing { subject, route: compare.route, old, new, again };
                    comparing.hand_in(pairing).err().map(|_| DiffDrop::QueueFull)
                }
                _ => Some(DiffDrop::NoAnswer),
            };
            if let Some(why) = dropped {
                arm.shared.not_compared(why);
            }
        }
        drop(in_flight);
    }
}
