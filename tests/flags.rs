//! Flags: what rules come to, beside flagd's own implementation for JavaScript; hostile files and contexts; the command
//! line.

#[path = "flags/corpus.rs"]
mod corpus;
#[path = "flags/oracle.rs"]
mod oracle;
