//! What a request must look like: paths, headers, query parameters.

use regex::{Regex, RegexBuilder};

use crate::plan::{HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};

use super::services::all;
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{MatchType, PathMatchType, Text};
use crate::config::written::{self, Match};

/// Most bytes of a path or regular expression.
const MAX_PATTERN: usize = 1024;
/// Most bytes a compiled regular expression may take.
const MAX_COMPILED: usize = 1 << 20;

/// `None` after noting why.
pub(super) fn route_match(written: &Match, problems: &mut Problems<'_>) -> Option<RouteMatch> {
    let path = match &written.path {
        Some(path) => path_match(path, problems),
        None => Some(PathMatch::Prefix("/".to_owned())),
    };
    let headers = all(written.headers.iter().flat_map(|list| list.iter()).map(|header| {
        let value = value_match(header.kind.as_ref(), header.value.as_ref(), problems);
        Some(HeaderMatch { name: header.name.as_ref()?.0.clone(), value: value? })
    }));
    let query = all(written.query_params.iter().flat_map(|list| list.iter()).map(|param| {
        let value = value_match(param.kind.as_ref(), param.value.as_ref(), problems);
        Some(QueryMatch { name: param.name.as_ref()?.0.clone(), value: value? })
    }));
    let method = written.method.as_ref().map(|method| method.0.clone());
    Some(RouteMatch { path: path?, method, headers: headers?, query: query? })
}

/// Whether a prefix always matched, which is what `replacePrefixMatch` replaces.
pub(super) fn all_prefixes<'a>(mut matches: impl Iterator<Item = &'a Match>) -> bool {
    matches.all(|written| {
        let kind = written.path.as_ref().and_then(|path| path.kind.as_ref());
        kind.is_none_or(|kind| kind.value == PathMatchType::PathPrefix)
    })
}

fn path_match(written: &written::PathMatch, problems: &mut Problems<'_>) -> Option<PathMatch> {
    let kind = written.kind.as_ref().map_or(PathMatchType::PathPrefix, |kind| kind.value);
    let Some(value) = &written.value else {
        // Gateway API's default value, which is no value for the other types.
        return match kind {
            PathMatchType::PathPrefix => Some(PathMatch::Prefix("/".to_owned())),
            PathMatchType::Exact => Some(PathMatch::Exact("/".to_owned())),
            PathMatchType::RegularExpression => {
                if !problems.noted(&written.spot, &["value"]) {
                    problems.error(&written.spot, "the regular expression is missing").expected("`value`");
                }
                None
            }
        };
    };
    Some(match kind {
        PathMatchType::Exact => PathMatch::Exact(path(value, problems)?),
        PathMatchType::PathPrefix => PathMatch::Prefix(path(value, problems)?),
        PathMatchType::RegularExpression => PathMatch::Regex(whole_regex(value, problems)?),
    })
}

fn value_match(
    kind: Option<&At<MatchType>>,
    value: Option<&At<Text>>,
    problems: &mut Problems<'_>,
) -> Option<ValueMatch> {
    Some(match kind.map_or(MatchType::Exact, |kind| kind.value) {
        MatchType::Exact => ValueMatch::Exact(value?.0.clone()),
        MatchType::RegularExpression => ValueMatch::Regex(whole_regex(value?, problems)?),
    })
}

/// A path that means the same to everyone on the way, by the rules of Gateway API's `HTTPPathMatch`.
pub(super) fn path(text: &At<Text>, problems: &mut Problems<'_>) -> Option<String> {
    let path = &text.0;
    let lower = path.to_ascii_lowercase();
    let ambiguous = ["//", "/./", "/../", "%2f", "#"].into_iter().find(|piece| lower.contains(piece));
    let ending = ["/.", "/.."].into_iter().find(|piece| path.ends_with(piece));
    let message = if !path.starts_with('/') {
        "a path begins with `/`".to_owned()
    } else if path.len() > MAX_PATTERN {
        format!("a path has at most {MAX_PATTERN} bytes")
    } else if let Some(piece) = ambiguous.or(ending) {
        format!("a path has no `{piece}`, which means different things to different servers")
    } else if !is_path(path) {
        "a path has only letters, digits, -._~!$&'()*+,;=:@/ and percent-encoded bytes".to_owned()
    } else {
        return Some(path.clone());
    };
    problems.error(&text.spot, message).found(quote(path)).expected("a path such as /shop/cart");
    None
}

/// Only RFC 3986's `pchar` and `/`.
fn is_path(path: &str) -> bool {
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let plain = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte);
        let mut hex = || bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit());
        if !(plain || byte == b'%' && hex() && hex()) {
            return false;
        }
    }
    true
}

/// A regular expression that must match from the first character to the last.
fn whole_regex(text: &At<Text>, problems: &mut Problems<'_>) -> Option<Regex> {
    let pattern = &text.0;
    if pattern.len() > MAX_PATTERN {
        problems
            .error(&text.spot, "the regular expression is too long")
            .found(format!("{} bytes", pattern.len()))
            .expected(format!("at most {MAX_PATTERN}"));
        return None;
    }
    let build =
        |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_COMPILED).dfa_size_limit(MAX_COMPILED).build();
    // Alone first, so that an error is about what was written; the line end closes a comment of verbose mode.
    match build(pattern)
        .and_then(|_| build(&format!(r"\A(?:{pattern})\z")).or_else(|_| build(&format!("\\A(?:{pattern}\n)\\z"))))
    {
        Ok(regex) => Some(regex),
        Err(error) => {
            let message = match &error {
                regex::Error::CompiledTooBig(_) => "the regular expression is too large once compiled".to_owned(),
                other => {
                    let text = other.to_string();
                    let last = text.lines().last().unwrap_or_default();
                    format!("not a regular expression: {}", last.trim_start_matches("error: "))
                }
            };
            let found = quote(pattern);
            let expected = "the syntax of RE2: no look-around, no backreferences";
            problems.error(&text.spot, message).found(found).expected(expected);
            None
        }
    }
}
