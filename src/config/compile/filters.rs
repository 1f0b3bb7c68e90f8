//! Filters: one body each, the one its type names, and none twice.

use http::{HeaderName, HeaderValue, StatusCode, uri};

use crate::plan::{self, HeaderEdit, HostPattern, PathEdit};

use super::matches::path;
use super::services::all;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::values::{FieldName, FilterType, Hostname, PathModifierType, Scheme};
use crate::config::written::{Filter, HeaderModifier, Headers, PathModifier, Redirect, UrlRewrite};

/// Whether this filter answers in place of a service.
pub(super) fn is_redirect(filter: &Filter) -> bool {
    // One without a readable type is judged by its body, so that nothing follows from the type's error.
    filter.kind.as_ref().map_or(filter.redirect.is_some(), |kind| kind.value == FilterType::RequestRedirect)
}

/// The filters of a route in their order. `prefixes`: whether its matches are all path prefixes.
pub(super) fn filters<'a>(
    written: impl Iterator<Item = &'a Filter>,
    prefixes: bool,
    problems: &mut Problems<'_>,
) -> Option<Vec<plan::Filter>> {
    let mut kinds: Vec<FilterType> = Vec::new();
    all(written.map(|filter| {
        if let Some(kind) = &filter.kind {
            if kinds.contains(&kind.value) {
                problems
                    .error(&kind.spot, format!("{} is here a second time", kind.word()))
                    .expected("each type of filter at most once in a route");
            }
            let clash = match kind.value {
                FilterType::RequestRedirect => FilterType::UrlRewrite,
                _ => FilterType::RequestRedirect,
            };
            let pair = [FilterType::RequestRedirect, FilterType::UrlRewrite];
            if pair.contains(&kind.value) && kinds.contains(&clash) {
                problems
                    .error(&kind.spot, "a request is either redirected or rewritten")
                    .expected("RequestRedirect or URLRewrite, not both");
            }
            kinds.push(kind.value);
        }
        compile(filter, prefixes, problems)
    }))
}

fn compile(filter: &Filter, prefixes: bool, problems: &mut Problems<'_>) -> Option<plan::Filter> {
    let kind = filter.kind.as_ref()?;
    let bodies = [
        (
            FilterType::RequestHeaderModifier,
            "requestHeaderModifier",
            filter.request_headers.as_ref().map(|body| &body.spot),
        ),
        (
            FilterType::ResponseHeaderModifier,
            "responseHeaderModifier",
            filter.response_headers.as_ref().map(|body| &body.spot),
        ),
        (FilterType::UrlRewrite, "urlRewrite", filter.url_rewrite.as_ref().map(|body| &body.spot)),
        (FilterType::RequestRedirect, "requestRedirect", filter.redirect.as_ref().map(|body| &body.spot)),
    ];
    for (of, key, spot) in bodies {
        match spot {
            Some(spot) if of != kind.value => {
                problems
                    .error(spot, format!("`{key}` does not belong to a filter of type {}", kind.word()))
                    .help("a second filter is a second item of the list");
            }
            None if of == kind.value && !problems.noted(&filter.spot, &[key]) => {
                problems.error(&filter.spot, format!("a filter of type {} needs `{key}`", kind.word()));
            }
            _ => {}
        }
    }
    Some(match kind.value {
        FilterType::RequestHeaderModifier => {
            plan::Filter::RequestHeaders(edit(filter.request_headers.as_ref()?, problems)?)
        }
        FilterType::ResponseHeaderModifier => {
            plan::Filter::ResponseHeaders(edit(filter.response_headers.as_ref()?, problems)?)
        }
        FilterType::UrlRewrite => rewrite(filter.url_rewrite.as_ref()?, prefixes, problems)?,
        FilterType::RequestRedirect => plan::Filter::Redirect(redirect(filter.redirect.as_ref()?, prefixes, problems)?),
    })
}

/// Headers that frame a message or belong to one connection: the proxy alone writes them.
const RESERVED: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "host",
];

fn edit(written: &HeaderModifier, problems: &mut Problems<'_>) -> Option<HeaderEdit> {
    let HeaderModifier { spot, set, add, remove } = written;
    let before = problems.errors.len();
    for list in [names_of(set.as_ref()), names_of(add.as_ref()), remove.iter().flat_map(|list| list.iter()).collect()] {
        check_names(&list, problems);
    }
    let nothing = set.is_none() && add.is_none() && remove.is_none();
    if nothing && !problems.noted(spot, &["set", "add", "remove"]) {
        problems.error(spot, "it changes no header").expected("one or more of: set, add, remove");
    }
    let pairs = |list: &Option<Headers>| {
        let list = list.iter().flat_map(|list| list.iter());
        list.filter_map(|header| Some((header.name.as_ref()?.0.clone(), header.value.as_ref()?.0.clone()))).collect()
    };
    let edit = HeaderEdit {
        set: pairs(set),
        add: pairs(add),
        remove: remove.iter().flat_map(|list| list.iter()).map(|name| name.0.clone()).collect::<Vec<HeaderName>>(),
    };
    (problems.errors.len() == before).then_some(edit)
}

fn names_of(list: Option<&Headers>) -> Vec<&At<FieldName>> {
    list.into_iter().flat_map(|list| list.iter()).filter_map(|header| header.name.as_ref()).collect()
}

fn check_names(names: &[&At<FieldName>], problems: &mut Problems<'_>) {
    for (i, name) in names.iter().enumerate() {
        if names[..i].iter().any(|other| other.value == name.value) {
            problems.error(&name.spot, format!("`{}` is here a second time", name.0)).expected("each header once");
        }
        if RESERVED.contains(&name.0.as_str()) {
            let problem = problems.error(&name.spot, format!("`{}` is not to be changed by a filter", name.0));
            problem.expected("a header that neither frames the message nor belongs to the connection");
            if name.0 == http::header::HOST {
                problem.help("the host is changed by a URLRewrite filter: `urlRewrite: { hostname: … }`");
            }
        }
    }
}

fn rewrite(written: &UrlRewrite, prefixes: bool, problems: &mut Problems<'_>) -> Option<plan::Filter> {
    let UrlRewrite { spot, hostname, path } = written;
    if hostname.is_none() && path.is_none() && !problems.noted(spot, &["hostname", "path"]) {
        problems.error(spot, "it changes nothing").expected("`hostname`, `path` or both");
    }
    let host = hostname.as_ref().map(|name| precise(name, problems));
    let path = path.as_ref().map(|path| path_edit(path, prefixes, problems));
    // Invariant: a `Hostname` is plain ASCII.
    let header = |host: String| HeaderValue::from_str(&host).expect("host names are plain ASCII");
    Some(plan::Filter::Rewrite { hostname: wanted(host)?.map(header), path: wanted(path)? })
}

fn redirect(written: &Redirect, prefixes: bool, problems: &mut Problems<'_>) -> Option<plan::Redirect> {
    let hostname = written.hostname.as_ref().map(|name| precise(name, problems));
    let path = written.path.as_ref().map(|path| path_edit(path, prefixes, problems));
    Some(plan::Redirect {
        scheme: written.scheme.as_ref().map(|scheme| match scheme.value {
            Scheme::Http => uri::Scheme::HTTP,
            Scheme::Https => uri::Scheme::HTTPS,
        }),
        hostname: wanted(hostname)?,
        path: wanted(path)?,
        port: written.port.as_ref().map(|port| port.0 as u16),
        status: written.status_code.as_ref().map_or(StatusCode::FOUND, |status| status.0),
    })
}

/// `Some(None)`: not asked for. `None`: asked for and wrong.
#[allow(clippy::option_option, reason = "the outer one is asked for or not, the inner one right or wrong")]
fn wanted<T>(value: Option<Option<T>>) -> Option<Option<T>> {
    match value {
        None => Some(None),
        Some(None) => None,
        Some(value) => Some(value),
    }
}

/// A host name without a star.
fn precise(name: &At<Hostname>, problems: &mut Problems<'_>) -> Option<String> {
    match &name.0 {
        HostPattern::Exact(name) => Some(name.clone()),
        HostPattern::Wildcard(_) => {
            problems.error(&name.spot, "a wildcard is no host to go to").expected("a host name such as shop.example");
            None
        }
    }
}

fn path_edit(written: &PathModifier, prefixes: bool, problems: &mut Problems<'_>) -> Option<PathEdit> {
    let kind = written.kind.as_ref()?;
    let (key, value, other) = match kind.value {
        PathModifierType::ReplaceFullPath => ("replaceFullPath", &written.full, &written.prefix),
        PathModifierType::ReplacePrefixMatch => ("replacePrefixMatch", &written.prefix, &written.full),
    };
    if let Some(other) = other {
        problems
            .error(&other.spot, format!("does not belong to type {}", kind.word()))
            .expected(format!("`{key}` alone"));
    }
    let Some(value) = value else {
        missing(&written.spot, key, kind.word(), problems);
        return None;
    };
    if kind.value == PathModifierType::ReplaceFullPath {
        return path(value, problems).map(PathEdit::Full);
    }
    if !prefixes {
        problems
            .error(&kind.spot, "there is no prefix to replace where a match of the route is no PathPrefix")
            .expected("ReplaceFullPath, or only PathPrefix matches");
        return None;
    }
    // An empty replacement takes the prefix away.
    if value.0.is_empty() { Some(PathEdit::Prefix(String::new())) } else { path(value, problems).map(PathEdit::Prefix) }
}

fn missing(spot: &Spot, key: &str, kind: &str, problems: &mut Problems<'_>) {
    if !problems.noted(spot, &[key]) {
        problems.error(spot, format!("type {kind} needs `{key}`"));
    }
}
