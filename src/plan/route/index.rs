//! Where the alternatives that may hold for a host and a path are found, the most specific first.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::{CallMatch, HostPattern, PathMatch, Route, RouteMatch, ValueMatch};

/// One alternative of one route, as indexes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) route: usize,
    pub(super) alternative: usize,
}

/// The alternatives by host name.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    exact: HashMap<Box<str>, Paths>,
    /// By suffix.
    wildcards: Literals<Paths>,
    any: Paths,
    has_calls: bool,
}

/// The alternatives of one host name by path. Every list is in the order of precedence.
#[derive(Debug, Default)]
struct Paths {
    exact: HashMap<Box<str>, Vec<Entry>>,
    patterns: Vec<Entry>,
    /// By prefix without its trailing slash.
    prefixes: Literals<Vec<Entry>>,
    /// Calls of a literal service, by that.
    services: HashMap<Box<str>, Vec<Entry>>,
    /// All other calls.
    calls: Vec<Entry>,
}

/// Values by literal, grouped by the literals' lengths, longest first: looking for all prefixes (or suffixes) of a text
/// takes one hash per length that occurs in the configuration, whatever a client sends.
#[derive(Debug)]
struct Literals<T>(Vec<(usize, HashMap<Box<str>, T>)>);

impl Hosts {
    pub(super) fn new(routes: &[Route]) -> Self {
        let mut all: Vec<(Entry, &RouteMatch)> = Vec::new();
        for (route, matches) in routes.iter().map(|route| &route.matches).enumerate() {
            all.extend(matches.iter().enumerate().map(|(alternative, rule)| (Entry { route, alternative }, rule)));
        }
        // Stable: what ties stays in the order of the file.
        all.sort_by_key(|(_, rule)| {
            Reverse((call_rank(rule), rule.method.is_some(), rule.headers.len(), rule.query.len()))
        });

        let has_calls = all.iter().any(|(_, rule)| matches!(rule.path, PathMatch::Call(_)));
        let mut hosts = Self { has_calls, ..Self::default() };
        for (entry, rule) in all {
            let names = &routes[entry.route].hostnames;
            for name in names {
                hosts.of(name).insert(&rule.path, entry);
            }
            if names.is_empty() {
                hosts.any.insert(&rule.path, entry);
            }
        }
        hosts
    }

    fn of(&mut self, name: &HostPattern) -> &mut Paths {
        match name {
            HostPattern::Exact(name) => self.exact.entry(name.as_str().into()).or_default(),
            HostPattern::Wildcard(suffix) => self.wildcards.entry(suffix),
        }
    }

    /// Whether any alternative is for calls.
    pub(super) fn has_calls(&self) -> bool {
        self.has_calls
    }

    /// All alternatives whose host name holds and whose path, where it is a literal, holds too. `call`: service and method,
    /// where the request is a call.
    pub(super) fn by_precedence(
        &self,
        host: &str,
        path: &str,
        call: Option<(&str, &str)>,
    ) -> impl Iterator<Item = Entry> {
        let exact = self.exact.get(host).into_iter();
        // A star stands for one label at least, so a host is longer than the suffix.
        let wildcards = self.wildcards.cuts(move |len| host.get(host.len().checked_sub(len).filter(|cut| *cut > 0)?..));
        exact.chain(wildcards).chain([&self.any]).flat_map(move |paths| paths.by_precedence(path, call))
    }
}

impl Paths {
    fn insert(&mut self, path: &PathMatch, entry: Entry) {
        let list = match path {
            PathMatch::Exact(path) => self.exact.entry(path.as_str().into()).or_default(),
            PathMatch::Regex(_) => &mut self.patterns,
            PathMatch::Prefix(prefix) => self.prefixes.entry(prefix.trim_end_matches('/')),
            PathMatch::Call(CallMatch { service: Some(ValueMatch::Exact(service)), .. }) => {
                self.services.entry(service.as_str().into()).or_default()
            }
            PathMatch::Call(_) => &mut self.calls,
        };
        list.push(entry);
    }

    fn by_precedence(&self, path: &str, call: Option<(&str, &str)>) -> impl Iterator<Item = Entry> {
        let prefixes = self.prefixes.cuts(move |len| {
            // The prefix of length 0 is `/`, which holds for every request, `OPTIONS *` among them.
            let ends_element = len == 0 || path.as_bytes().get(len).is_none_or(|next| *next == b'/');
            path.get(..len).filter(|_| ends_element)
        });
        let calls =
            call.into_iter().flat_map(|(service, _)| self.services.get(service).into_iter().chain([&self.calls]));
        calls.chain(self.exact.get(path)).chain([&self.patterns]).chain(prefixes).flatten().copied()
    }
}

/// Who names the service and who the method of a call, a literal before a pattern.
fn call_rank(rule: &RouteMatch) -> (u8, u8) {
    let rank = |value: &Option<ValueMatch>| match value {
        Some(ValueMatch::Exact(_)) => 2,
        Some(ValueMatch::Regex(_)) => 1,
        None => 0,
    };
    match &rule.path {
        PathMatch::Call(call) => (rank(&call.service), rank(&call.method)),
        PathMatch::Exact(_) | PathMatch::Prefix(_) | PathMatch::Regex(_) => (0, 0),
    }
}

impl<T: Default> Literals<T> {
    fn entry(&mut self, literal: &str) -> &mut T {
        let place = match self.0.binary_search_by_key(&Reverse(literal.len()), |(len, _)| Reverse(*len)) {
            Ok(place) => place,
            Err(place) => {
                self.0.insert(place, (literal.len(), HashMap::new()));
                place
            }
        };
        self.0[place].1.entry(literal.into()).or_default()
    }

    /// The values of the literals that a text has at its `cut`s, which gives the piece of a length; longest first.
    fn cuts<'t>(&self, cut: impl Fn(usize) -> Option<&'t str>) -> impl Iterator<Item = &T> {
        self.0.iter().filter_map(move |(len, literals)| {
            let piece = cut(*len)?;
            // To hash it costs more than to look at the only one there is.
            let mut all = literals.iter();
            match (all.next(), literals.len()) {
                (Some((only, value)), 1) => (**only == *piece).then_some(value),
                _ => literals.get(piece),
            }
        })
    }
}

impl<T> Default for Literals<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}
