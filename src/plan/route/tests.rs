use http::{Request, Uri};
use proptest::prelude::*;

use super::*;

/// A route for `hosts` that [`found`] recognises by its place.
pub(super) fn route(hosts: &[&str], matches: Vec<RouteMatch>) -> Route {
    let hostnames = hosts
        .iter()
        .map(|host| match host.strip_prefix('*') {
            Some(suffix) => HostPattern::Wildcard(suffix.to_owned()),
            None => HostPattern::Exact((*host).to_owned()),
        })
        .collect();
    let (timeouts, priority) = (Timeouts::default(), Priority::default());
    Route {
        hostnames,
        matches,
        filters: Vec::new(),
        service: None,
        timeouts,
        priority,
        retry: None,
        name: None,
        flags: Vec::new(),
    }
}

pub(super) fn whole(pattern: &str) -> regex::Regex {
    regex::Regex::new(&format!(r"\A(?:{pattern})\z")).unwrap()
}

pub(super) fn path(path: PathMatch) -> RouteMatch {
    RouteMatch { path, ..RouteMatch::everything() }
}

pub(super) fn exact(value: &str) -> RouteMatch {
    path(PathMatch::Exact(value.to_owned()))
}

pub(super) fn prefix(value: &str) -> RouteMatch {
    path(PathMatch::Prefix(value.to_owned()))
}

fn pattern(value: &str) -> RouteMatch {
    path(PathMatch::Regex(whole(value)))
}

impl RouteMatch {
    fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers
            .push(HeaderMatch { name: HeaderName::from_static(name), value: ValueMatch::Exact(value.to_owned()) });
        self
    }

    fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push(QueryMatch { name: name.to_owned(), value: ValueMatch::Exact(value.to_owned()) });
        self
    }
}

pub(super) fn request(method: &str, target: &str, headers: &[(&str, &str)]) -> request::Parts {
    let mut request = Request::builder().method(method).uri(target);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The place of the route that was found.
pub(super) fn found(table: &RouteTable, host: &str, request: &request::Parts) -> Option<usize> {
    let matched = table.find(Host(host), request)?;
    table.routes().iter().position(|route| std::ptr::eq(route, matched.route))
}

pub(super) fn get(table: &RouteTable, host: &str, target: &str) -> Option<usize> {
    found(table, host, &request("GET", target, &[]))
}

/// Whether one alternative holds for a request.
pub(super) fn holds(alternative: RouteMatch, request: &request::Parts) -> bool {
    found(&RouteTable::new(vec![route(&[], vec![alternative])]), "any.example", request).is_some()
}

#[test]
fn the_most_specific_host_name_wins() {
    let table = RouteTable::new(vec![
        route(&[], vec![]),
        route(&["*.example.com"], vec![]),
        route(&["*.a.example.com"], vec![]),
        route(&["x.a.example.com"], vec![]),
        route(&["other.example", "*.com"], vec![]),
    ]);
    for (host, expected) in [
        ("x.a.example.com", 3),
        ("y.a.example.com", 2),
        ("z.y.a.example.com", 2),
        ("a.example.com", 1),
        ("b.c.example.com", 1),
        ("example.com", 4),
        ("other.example", 4),
        ("x.other.example", 0),
        (".example.com", 4),
        ("com", 0),
        ("", 0),
        ("[::1]", 0),
    ] {
        assert_eq!(get(&table, host, "/"), Some(expected), "{host}");
    }
}

#[test]
fn a_wildcard_stands_for_one_label_or_more() {
    let table = RouteTable::new(vec![route(&["*.example.com"], vec![])]);
    assert_eq!(get(&table, "a.example.com", "/"), Some(0));
    assert_eq!(get(&table, "a.b.example.com", "/"), Some(0));
    for host in ["example.com", ".example.com", "aexample.com", "a.example.com.evil", "m"] {
        assert_eq!(get(&table, host, "/"), None, "{host}");
    }
}

#[test]
fn a_more_specific_host_wins_over_a_more_specific_path_but_only_where_it_holds() {
    let table = RouteTable::new(vec![
        route(&["*.example.com"], vec![exact("/a/b"), prefix("/c")]),
        route(&["x.example.com"], vec![prefix("/a")]),
        route(&[], vec![]),
    ]);
    assert_eq!(get(&table, "x.example.com", "/a/b"), Some(1));
    assert_eq!(get(&table, "x.example.com", "/c"), Some(0), "falls through to the wildcard");
    assert_eq!(get(&table, "x.example.com", "/d"), Some(2), "falls through to all hosts");
    assert_eq!(get(&table, "y.example.com", "/a/b"), Some(0));
}

#[test]
fn every_step_of_the_precedence_decides_only_where_those_before_it_tie() {
    // Each alternative beats the one after it, and has less of what comes later.
    let ranked = [
        exact("/a/b"),
        pattern("/a/b").method(Method::GET),
        pattern("/a/.*").header("x", "1").header("y", "1"),
        pattern("/./.").header("x", "1").query("p", "1").query("q", "1"),
        pattern(".*"),
        prefix("/a/b").method(Method::GET).header("x", "1").header("y", "1"),
        prefix("/a/b").method(Method::GET).header("x", "1").query("p", "1").query("q", "1"),
        prefix("/a/b").method(Method::GET).header("x", "1").query("p", "1"),
        prefix("/a/b").method(Method::GET),
        prefix("/a/b/").header("x", "1").header("y", "1"),
        prefix("/a/b").header("x", "1").query("p", "1").query("q", "1"),
        prefix("/a/b").header("y", "1"),
        prefix("/a/b").query("p", "1"),
        prefix("/a/b"),
        prefix("/a").method(Method::GET).header("x", "1").header("y", "1"),
        prefix("/").method(Method::GET),
        prefix("/"),
    ];
    let request = request("GET", "/a/b?p=1&q=1", &[("x", "1"), ("y", "1")]);
    for first in 0..ranked.len() {
        for second in first + 1..ranked.len() {
            let pair = |one: usize, other: usize| {
                let table = RouteTable::new(vec![
                    route(&[], vec![ranked[one].clone()]),
                    route(&[], vec![ranked[other].clone()]),
                ]);
                found(&table, "any.example", &request)
            };
            assert_eq!(pair(first, second), Some(0), "{first} before {second}");
            assert_eq!(pair(second, first), Some(1), "{second} before {first}");
        }
    }
}

#[test]
fn what_ties_goes_to_the_first_in_the_file() {
    let table = RouteTable::new(vec![
        route(&["b.example"], vec![prefix("/a/")]),
        route(&["b.example", "c.example"], vec![prefix("/a").header("x", "2"), prefix("/a")]),
        route(&["c.example"], vec![prefix("/a")]),
    ]);
    assert_eq!(get(&table, "b.example", "/a"), Some(0), "a trailing slash makes no prefix longer");
    assert_eq!(get(&table, "c.example", "/a"), Some(1));
}

#[test]
fn paths_match_as_the_specification_says() {
    for (alternative, target, expected) in [
        (exact("/abc"), "/abc", true),
        (exact("/abc"), "/abc?x=1", true),
        (exact("/abc"), "/abc/", false),
        (exact("/abc"), "/Abc", false),
        (exact("/abc"), "/abcd", false),
        (exact("/abc/"), "/abc/", true),
        (exact("/abc/"), "/abc", false),
        (prefix("/abc"), "/abc", true),
        (prefix("/abc"), "/abc/", true),
        (prefix("/abc"), "/abc/def", true),
        (prefix("/abc"), "/abc//def", true),
        (prefix("/abc"), "/abc?x", true),
        (prefix("/abc"), "/abcd", false),
        (prefix("/abc"), "/ABC", false),
        (prefix("/abc"), "/ab", false),
        (prefix("/abc/"), "/abc", true),
        (prefix("/abc/"), "/abc/def", true),
        (prefix("/abc/"), "/abcd", false),
        (prefix("/aaa/bbb/ccc"), "/aaa/bbb", false),
        (prefix("/"), "/", true),
        (prefix("/"), "/anything", true),
        (prefix("/"), "*", true),
        (prefix("/a%20b"), "/a%20b/c", true),
        (prefix("/a"), "/%61", false),
        (pattern("/v[0-9]+"), "/v12", true),
        (pattern("/v[0-9]+"), "/v12/x", false),
        (pattern("/a|/ab"), "/ab", true),
    ] {
        let is = holds(alternative.clone(), &request("GET", target, &[]));
        assert_eq!(is, expected, "{:?} {target}", alternative.path);
    }
}

#[test]
fn a_path_is_found_at_the_very_end_of_an_absolute_target() {
    assert!(holds(prefix("/a"), &request("GET", "http://any.example/a?x=/b", &[])));
    assert!(holds(exact("/"), &request("GET", "http://any.example", &[])));
    assert!(!holds(prefix("/b"), &request("GET", "http://any.example/a?x=/b", &[])));
}

#[test]
fn methods_match_exactly() {
    assert!(holds(prefix("/").method(Method::POST), &request("POST", "/", &[])));
    assert!(!holds(prefix("/").method(Method::POST), &request("GET", "/", &[])));
    assert!(!holds(prefix("/").method(Method::GET), &request("HEAD", "/", &[])));
}

#[test]
fn header_names_ignore_case_and_values_do_not() {
    let alternative = || prefix("/").header("x-canary", "Yes");
    for (headers, expected) in [
        (vec![("X-Canary", "Yes")], true),
        (vec![("x-canary", "yes")], false),
        (vec![("x-canary", "Yes, really")], false),
        (vec![("x-canary", "")], false),
        (vec![("x-other", "Yes")], false),
        (vec![], false),
    ] {
        assert_eq!(holds(alternative(), &request("GET", "/", &headers)), expected, "{headers:?}");
    }
}

#[test]
fn a_repeated_header_is_one_value_joined() {
    let twice = request("GET", "/", &[("x", "a"), ("x", "b"), ("cookie", "a=1"), ("cookie", "b=2")]);
    assert!(holds(prefix("/").header("x", "a,b"), &twice));
    assert!(!holds(prefix("/").header("x", "a"), &twice));
    assert!(holds(prefix("/").header("cookie", "a=1; b=2"), &twice));
}

#[test]
fn header_and_query_patterns_match_whole_values() {
    let mut alternative = prefix("/");
    alternative
        .headers
        .push(HeaderMatch { name: HeaderName::from_static("x"), value: ValueMatch::Regex(whole("a|ab")) });
    alternative.query.push(QueryMatch { name: "q".to_owned(), value: ValueMatch::Regex(whole("[0-9 ]+")) });
    for (value, target, expected) in [
        ("ab", "/?q=12", true),
        ("ab", "/?q=1+2", true),
        ("ab", "/?q=1%202", true),
        ("abc", "/?q=12", false),
        ("ab", "/?q=12x", false),
        ("ab", "/?q=", false),
        ("ab", "/", false),
    ] {
        assert_eq!(holds(alternative.clone(), &request("GET", target, &[("x", value)])), expected, "{value} {target}");
    }
    let mut odd = request("GET", "/?q=1", &[]);
    odd.headers.insert("x", http::HeaderValue::from_bytes(b"\xff").unwrap());
    assert!(!holds(alternative, &odd), "no text, no match");
}

#[test]
fn query_parameters_match_by_their_first_value_decoded() {
    for (name, value, target, expected) in [
        ("q", "1", "/?q=1", true),
        ("q", "1", "/?a=b&q=1", true),
        ("q", "1", "/?q=2&q=1", false),
        ("q", "a b", "/?q=a+b", true),
        ("q", "a b", "/?q=a%20b", true),
        ("q r", "1", "/?q+r=1", true),
        ("q", "1", "/?Q=1", false),
        ("q", "1", "/?q=11", false),
        ("q", "1", "/", false),
    ] {
        assert_eq!(holds(prefix("/").query(name, value), &request("GET", target, &[])), expected, "{name} {target}");
    }
}

#[test]
fn only_the_first_entry_for_a_name_counts() {
    let twice = prefix("/").header("x", "1").header("x", "2").query("q", "1").query("q", "2");
    assert!(holds(twice.clone(), &request("GET", "/?q=1", &[("x", "1")])));
    assert!(!holds(twice, &request("GET", "/?q=1", &[("x", "2")])));
    // And what does not count is not counted.
    let table = RouteTable::new(vec![
        route(&[], vec![prefix("/").header("x", "1")]),
        route(&[], vec![prefix("/").header("x", "1").header("x", "1")]),
    ]);
    assert_eq!(found(&table, "", &request("GET", "/", &[("x", "1")])), Some(0));
}

#[test]
fn all_of_an_alternative_must_hold_and_any_alternative_of_a_route() {
    let both = prefix("/").method(Method::GET).header("x", "1").query("q", "1");
    assert!(holds(both.clone(), &request("GET", "/?q=1", &[("x", "1")])));
    assert!(!holds(both.clone(), &request("PUT", "/?q=1", &[("x", "1")])));
    assert!(!holds(both.clone(), &request("GET", "/?q=1", &[])));
    assert!(!holds(both.clone(), &request("GET", "/", &[("x", "1")])));
    let table = RouteTable::new(vec![route(&[], vec![both, exact("/other")])]);
    assert_eq!(get(&table, "", "/other"), Some(0));
    assert_eq!(get(&table, "", "/another"), None);
}

#[test]
fn the_prefix_that_matched_is_given_as_it_was_written() {
    let table = RouteTable::new(vec![route(&[], vec![exact("/x"), prefix("/a/"), prefix("/")]), route(&["h"], vec![])]);
    let prefix_of = |host, target| table.find(Host(host), &request("GET", target, &[])).unwrap().prefix;
    assert_eq!(prefix_of("", "/x"), None);
    assert_eq!(prefix_of("", "/a/b"), Some("/a/"));
    assert_eq!(prefix_of("", "/b"), Some("/"));
    assert_eq!(prefix_of("h", "/b"), Some("/"), "a route without alternatives has the prefix /");
}

#[test]
fn a_table_without_routes_finds_nothing() {
    assert_eq!(get(&RouteTable::default(), "any.example", "/"), None);
}

#[test]
fn hosts_lose_port_case_and_final_dot() {
    for (authority, expected) in [
        ("example.com", "example.com"),
        ("example.com:8080", "example.com"),
        ("example.com:", "example.com"),
        ("Example.COM.:80", "example.com"),
        ("example.com.", "example.com"),
        ("127.0.0.1:80", "127.0.0.1"),
        ("[::1]", "[::1]"),
        ("[::1]:80", "[::1]"),
        ("[FE80::1]:80", "[fe80::1]"),
        ("::1", "::1"),
        ("example.com:http", "example.com:http"),
        ("", ""),
        (":80", ""),
    ] {
        assert_eq!(normalize_host(authority), expected, "{authority}");
    }
    assert!(matches!(normalize_host("example.com:80"), std::borrow::Cow::Borrowed(_)));
}

/// The specification read literally: every alternative asked, the best kept.
fn by_asking_all(routes: &[Route], host: &str, request: &request::Parts) -> Option<usize> {
    let host_rank = |route: &Route| -> Option<(usize, usize)> {
        let rank = |pattern: &HostPattern| match pattern {
            HostPattern::Exact(name) => (name == host).then_some((name.len(), 0)),
            HostPattern::Wildcard(suffix) => {
                (host.ends_with(suffix.as_str()) && host.len() > suffix.len()).then_some((0, suffix.len()))
            }
        };
        if route.hostnames.is_empty() { Some((0, 0)) } else { route.hostnames.iter().filter_map(rank).max() }
    };
    let path_rank = |path: &PathMatch| {
        let elements = |text: &str| text.trim_end_matches('/').split('/').map(str::to_owned).collect::<Vec<_>>();
        match path {
            PathMatch::Exact(path) => (path == request.uri.path()).then_some((2, 0)),
            PathMatch::Regex(pattern) => pattern.is_match(request.uri.path()).then_some((1, 0)),
            PathMatch::Prefix(prefix) => elements(request.uri.path())
                .starts_with(&elements(prefix))
                .then_some((0, prefix.trim_end_matches('/').len())),
            PathMatch::Call(call) => {
                let is_call = request.method == Method::POST && request.headers.contains_key("content-type");
                let (service, method) = request.uri.path()[1..].rsplit_once('/').filter(|_| is_call)?;
                let rank = |wanted: &Option<ValueMatch>, is: &str| match wanted {
                    None => Some(0),
                    Some(ValueMatch::Regex(pattern)) => pattern.is_match(is).then_some(1),
                    Some(ValueMatch::Exact(name)) => (name == is).then_some(2),
                };
                Some((3 + rank(&call.service, service)?, rank(&call.method, method)?))
            }
        }
    };
    let mut best = None;
    for (place, route) in routes.iter().enumerate() {
        for rule in &route.matches {
            let (Some(host), Some(path)) = (host_rank(route), path_rank(&rule.path)) else { continue };
            if rule.method.as_ref().is_some_and(|method| *method != request.method)
                || rule.headers.iter().any(|header| !request.headers.contains_key(&header.name))
            {
                continue;
            }
            let rank = (host, path, rule.method.is_some(), rule.headers.len());
            if best.as_ref().is_none_or(|(other, _)| rank > *other) {
                best = Some((rank, place));
            }
        }
    }
    best.map(|(_, place)| place)
}

fn some_match() -> impl Strategy<Value = RouteMatch> {
    let path = prop_oneof![
        "(/[ab]{1,2}){1,3}/?".prop_map(|path| exact(&path)),
        "(/[ab]{1,2}){0,2}/".prop_map(|path| prefix(&path)),
        "(/[ab]{1,2}){1,2}".prop_map(|path| prefix(&path)),
        "/a[.]b?|/[.]{2}".prop_map(|path| pattern(&path)),
        (some_part(), some_part()).prop_map(|(service, method)| path(PathMatch::Call(CallMatch { service, method }))),
    ];
    (path, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(|(mut rule, method, x, y)| {
        if method {
            rule = rule.method(Method::GET);
        }
        if x {
            rule = rule.header("x", "1");
        }
        if y { rule.header("y", "1") } else { rule }
    })
}

fn some_part() -> impl Strategy<Value = Option<ValueMatch>> {
    prop_oneof![
        Just(None),
        "[ab]{1,2}".prop_map(|name| Some(ValueMatch::Exact(name))),
        "a[.]?|[.]b".prop_map(|name| Some(ValueMatch::Regex(whole(&name)))),
    ]
}

fn some_route() -> impl Strategy<Value = Route> {
    let hosts = prop::collection::vec(prop_oneof!["([ab][.]){1,2}c", "[*][.]([ab][.])?c"], 0..3);
    (hosts, prop::collection::vec(some_match(), 1..4)).prop_map(|(hosts, matches)| {
        let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
        route(&hosts, matches)
    })
}

proptest! {
    #[test]
    fn the_index_finds_what_asking_all_alternatives_finds(
        routes in prop::collection::vec(some_route(), 0..12),
        host in "([ab][.]){0,3}c",
        target in "(/[ab]{1,2}){1,3}/?",
        method in prop_oneof![Just("GET"), Just("POST"), Just("PUT")],
        call in any::<bool>(),
        x in any::<bool>(),
        y in any::<bool>(),
    ) {
        let headers = [("x", "1", x), ("y", "1", y), ("content-type", "application/grpc", call)];
        let headers: Vec<_> = headers.into_iter().filter(|(.., on)| *on).map(|(name, value, _)| (name, value)).collect();
        let request = request(method, &target, &headers);
        let expected = by_asking_all(&routes, &host, &request);
        prop_assert_eq!(found(&RouteTable::new(routes), &host, &request), expected);
    }

    #[test]
    fn no_host_or_path_makes_finding_a_route_panic(host in ".*", path in "/\\PC*") {
        let table = RouteTable::new(vec![
            route(&["*.é.example", "a"], vec![prefix("/é"), exact("/a"), prefix("/abc/d")]),
            route(&["*.b"], vec![]),
        ]);
        let _ = normalize_host(&host);
        if let Ok(uri) = path.parse::<Uri>() {
            let mut request = request("GET", "/", &[]);
            request.uri = uri;
            let _ = table.find(Host(&host), &request);
        }
    }
}
