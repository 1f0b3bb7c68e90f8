//! Flags: what rules come to, beside flagd's own implementation for JavaScript; hostile files and contexts; the command
//! line.

mod support;

#[path = "flags/cli.rs"]
mod cli;
#[path = "flags/corpus.rs"]
mod corpus;
#[path = "flags/hostile.rs"]
mod hostile;
#[path = "flags/oracle.rs"]
mod oracle;
