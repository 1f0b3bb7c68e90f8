//! What of two answers is compared, and how exactly.

use super::Patterns;

/// What of two answers is compared, and how exactly. The default compares status and body to the last digit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rules {
    /// What is not looked at.
    pub ignore: Patterns,
    /// Arrays whose order means nothing.
    pub unordered: Patterns,
    /// What samples never show.
    pub redact: Patterns,
    /// Numbers are the same that differ by no more than this times the greater of them, or of 1.
    pub tolerance: f64,
    /// Headers that are compared, in lower case.
    pub headers: Vec<String>,
}
