//! Whether a request that a version failed is sent again, and where: the decisions, without the sending.
//!
//! Time and chance are arguments here. `Budget` bounds how many tries are added to those that clients ask for,
//! `Circuit` sends a failing version's share to another version at once, `next` decides about one request.
//! What one worker remembers about one service is its [`Resend`].

mod budget;
mod circuit;
mod next;
mod resend;

pub(super) use circuit::Admit;
pub(super) use next::{Decision, Next, Situation, Trouble, next};
pub(super) use resend::{Resend, of_services};
