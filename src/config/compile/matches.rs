//! What a request must look like: paths, headers, query parameters.

use regex::{Regex, RegexBuilder};

use crate::plan::{CallMatch, HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};

use super::services::all;
use crate::config::method::MethodMatch;
use crate::config::node::quote;
use crate::config::problem::Problems;
use crate::config::read::At;
use crate::config::values::{MatchType, PathMatchType, Text};
use crate::config::written::{self, GrpcMethod, Match};

/// Most bytes of a path or regular expression.
const MAX_PATTERN: usize = 1024;
/// Most bytes a compiled regular expression may take.
const MAX_COMPILED: usize = 1 << 20;

/// `None` after noting why.
pub(super) fn route_match(written: &Match, problems: &mut Problems<'_>) -> Option<RouteMatch> {
    let path = match (&written.method, &written.path) {
        (Some(MethodMatch::Grpc(call)), _) => call_match(call, written, problems),
        (_, Some(path)) => path_match(path, problems),
        (_, None) => Some(PathMatch::Prefix("/".to_owned())),
    };
    let headers = all(written.headers.iter().flat_map(|list| list.iter()).map(|header| {
        let value = value_match(header.kind.as_ref(), header.value.as_ref(), problems);
        Some(HeaderMatch { name: header.name.as_ref()?.0.clone(), value: value? })
    }));
    let query = all(written.query_params.iter().flat_map(|list| list.iter()).map(|param| {
        let value = value_match(param.kind.as_ref(), param.value.as_ref(), problems);
        Some(QueryMatch { name: param.name.as_ref()?.0.clone(), value: value? })
    }));
    let method = match &written.method {
        Some(MethodMatch::Http(method)) => Some(method.0.clone()),
        Some(MethodMatch::Grpc(_)) | None => None,
    };
    Some(RouteMatch { path: path?, method, headers: headers?, query: query? })
}

/// Whether a prefix always matched, which is what `replacePrefixMatch` replaces.
pub(super) fn all_prefixes<'a>(mut matches: impl Iterator<Item = &'a Match>) -> bool {
    matches.all(|written| {
        if matches!(written.method, Some(MethodMatch::Grpc(_))) {
            return false;
        }
        let kind = written.path.as_ref().and_then(|path| path.kind.as_ref());
        kind.is_none_or(|kind| kind.value == PathMatchType::PathPrefix)
    })
}

/// A call, by the rules of Gateway API's `GRPCMethodMatch`.
fn call_match(call: &GrpcMethod, written: &Match, problems: &mut Problems<'_>) -> Option<PathMatch> {
    let others = [
        ("path", written.path.as_ref().map(|path| &path.spot)),
        ("queryParams", written.query_params.as_ref().and_then(|list| list.first()).map(|param| &param.spot)),
    ];
    for (key, spot) in others.into_iter().filter_map(|(key, spot)| Some((key, spot?))) {
        problems
            .error(spot, format!("a match of a gRPC method has no `{key}`"))
            .expected("`method` and `headers`: service and method are the path of a call");
    }
    if call.service.is_none() && call.method.is_none() {
        if !problems.noted(&call.spot, &["service", "method"]) {
            problems
                .error(&call.spot, "it names neither a service nor a method")
                .expected("`service`, `method` or both");
        }
        return None;
    }
    let part = |value: &Option<At<Text>>, is_name: fn(&str) -> bool, expected: &str, problems: &mut Problems<'_>| {
        let Some(value) = value else { return Some(None) };
        if call.kind.as_ref().map_or(MatchType::Exact, |kind| kind.value) == MatchType::Exact && !is_name(&value.0) {
            problems.error(&value.spot, "not a name in gRPC").found(quote(&value.0)).expected(expected);
            return None;
        }
        value_match(call.kind.as_ref(), Some(value), problems).map(Some)
    };
    let service = part(&call.service, is_service, "a service with its package, such as shop.Checkout", problems);
    let method = part(&call.method, is_identifier, "a method's name, such as Pay", problems);
    Some(PathMatch::Call(CallMatch { service: service?, method: method? }))
}

/// Gateway API: `^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$`, at most 1024 characters. No path has the dot in front.
fn is_service(name: &str) -> bool {
    name.len() <= MAX_PATTERN && name.split('.').all(is_identifier)
}

/// Gateway API: `^[A-Za-z_][A-Za-z_0-9]*$`, at most 1024 characters.
fn is_identifier(name: &str) -> bool {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    first && name.len() <= MAX_PATTERN && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
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
