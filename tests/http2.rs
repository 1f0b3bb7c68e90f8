//! HTTP/2 by serin's own codec on both sides: flow, floods, partings, and other people's clients.

#[path = "http2/flow.rs"]
mod flow;
#[path = "http2/frames.rs"]
mod frames;
#[path = "http2/partings.rs"]
mod partings;
mod support;
#[path = "http2/tools.rs"]
mod tools;
