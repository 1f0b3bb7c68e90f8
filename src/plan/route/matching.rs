//! Whether what an alternative asks for besides a literal path holds for a request.

use http::{HeaderMap, header, request};

use super::{CallMatch, HeaderMatch, PathMatch, QueryMatch, RouteMatch, ValueMatch};
use crate::plan::{query, rpc};

impl RouteMatch {
    /// What a route without alternatives stands for: a prefix of `/` and nothing else.
    pub(super) fn everything() -> Self {
        Self { path: PathMatch::Prefix("/".to_owned()), method: None, headers: Vec::new(), query: Vec::new() }
    }

    /// Drops what does not count: a second entry for a name. Precedence counts the others.
    pub(super) fn drop_repeated(&mut self) {
        keep_first(&mut self.headers, |entry| entry.name.as_str());
        keep_first(&mut self.query, |entry| entry.name.as_str());
    }

    /// Whether everything but a literal path, which the index answers, holds.
    pub(super) fn holds(&self, request: &request::Parts) -> bool {
        let path_holds = match &self.path {
            PathMatch::Exact(_) | PathMatch::Prefix(_) => true,
            PathMatch::Regex(pattern) => pattern.is_match(request.uri.path()),
            PathMatch::Call(call) => call.holds(request.uri.path()),
        };
        path_holds
            && self.method.as_ref().is_none_or(|method| *method == request.method)
            && self.headers.iter().all(|entry| entry.holds(&request.headers))
            && self.query.iter().all(|entry| entry.holds(request.uri.query()))
    }
}

impl CallMatch {
    /// For the path of a request that is a call, which the index has seen to.
    fn holds(&self, path: &str) -> bool {
        let Some((service, method)) = rpc::called(path) else { return false };
        self.service.as_ref().is_none_or(|wanted| wanted.holds(service.as_bytes()))
            && self.method.as_ref().is_none_or(|wanted| wanted.holds(method.as_bytes()))
    }
}

impl HeaderMatch {
    fn holds(&self, headers: &HeaderMap) -> bool {
        let mut lines = headers.get_all(&self.name).iter().map(http::HeaderValue::as_bytes);
        match (lines.next(), lines.next()) {
            (None, _) => false,
            (Some(only), None) => self.value.holds(only),
            (Some(first), Some(second)) => {
                let separator: &[u8] = if self.name == header::COOKIE { b"; " } else { b"," };
                let all: Vec<&[u8]> = [first, second].into_iter().chain(lines).collect();
                self.value.holds(&all.join(separator))
            }
        }
    }
}

impl QueryMatch {
    fn holds(&self, query: Option<&str>) -> bool {
        let Some(raw) = query.and_then(|query| query::first(query, &self.name)) else { return false };
        match &self.value {
            ValueMatch::Exact(value) => query::decoded(raw).eq(value.bytes()),
            ValueMatch::Regex(_) => self.value.holds(&query::decode(raw)),
        }
    }
}

impl ValueMatch {
    /// A value that is no UTF-8 matches no regular expression.
    fn holds(&self, value: &[u8]) -> bool {
        match self {
            Self::Exact(wanted) => wanted.as_bytes() == value,
            Self::Regex(pattern) => std::str::from_utf8(value).is_ok_and(|value| pattern.is_match(value)),
        }
    }
}

fn keep_first<T>(entries: &mut Vec<T>, name: impl Fn(&T) -> &str) {
    let mut at = 0;
    while at < entries.len() {
        if entries[..at].iter().any(|earlier| name(earlier) == name(&entries[at])) {
            entries.remove(at);
        } else {
            at += 1;
        }
    }
}
