//! The flag evaluation API: OFREP 0.3 on an address of its own, for applications beside serin.
//!
//! It has a thread and a runtime of its own. An answer must not wait for whatever the control plane is busy with (compiling
//! a file, syncing a ledger), and no request of the data plane must wait for an application that asks for all flags. What
//! it knows of the outside is one [`watch`](tokio::sync::watch) of the flags in force. A large bulk answer is made in pieces
//! between which others get theirs.
//!
//! Every client is bounded: in time (`pace`), in the bytes of its body and its answers (`memory`), in number. Nothing
//! here changes anything; where there is no room, the answer is 429.

mod answer;
mod body;
mod connection;
mod context;
mod cors;
mod evaluate;
mod events;
mod memory;
mod pace;
mod serve;
mod target;
#[cfg(test)]
mod tests;

pub use serve::{FlagApi, FlagApiThread};
