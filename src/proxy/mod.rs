//! Floor 4. The data plane: listeners, workers, and the way of a request.
//!
//! A request walks `listener → connection → exchange`, and an exchange is *ask → pick → admit → forward → relay → record*, one
//! file each. A worker is one thread with a runtime of its own: it accepts, decides, forwards and counts without asking
//! anyone. It learns of a new plan by looking at one pointer, and it goes on with the last one whatever happens to the
//! control plane. This room never parses configuration, never takes a lock on the request path and never logs there.

mod caller;
mod client;
mod connection;
mod deadlines;
mod deprecated;
mod exchange;
mod gate;
mod listener;
mod measured;
mod problem;
mod retry;
mod secured;
mod shadow;
mod tunnel;
mod view;
mod worker;

pub(crate) use connection::shake_apart;
pub use listener::{Bound, ListenError, remove_stale_socket};
pub use secured::Gate;
pub use worker::{Running, Shared, Workers};
