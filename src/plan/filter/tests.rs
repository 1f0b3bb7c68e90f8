use http::Request;

use super::*;
use crate::plan::{Priority, Route, RouteTable, Timeouts};

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    headers
}

fn pair(name: &'static str, value: &'static str) -> (HeaderName, HeaderValue) {
    (HeaderName::from_static(name), HeaderValue::from_static(value))
}

#[test]
fn an_edit_overwrites_appends_and_removes_every_line_of_a_header() {
    let edit = HeaderEdit {
        set: vec![pair("x-set", "new"), pair("x-fresh", "new")],
        add: vec![pair("x-add", "second"), pair("x-first", "first")],
        remove: vec![HeaderName::from_static("x-gone"), HeaderName::from_static("x-absent")],
    };
    let mut edited = headers(&[
        ("X-Set", "old"),
        ("x-set", "older"),
        ("x-add", "first"),
        ("x-gone", "1"),
        ("x-gone", "2"),
        ("x-kept", "kept"),
    ]);
    edit.apply(&mut edited);
    let expected = headers(&[
        ("x-set", "new"),
        ("x-fresh", "new"),
        ("x-add", "first"),
        ("x-add", "second"),
        ("x-first", "first"),
        ("x-kept", "kept"),
    ]);
    assert_eq!(edited, expected);
}

fn edited(edit: &PathEdit, target: &str, prefix: Option<&str>) -> String {
    edit.apply(&target.parse().unwrap(), prefix).unwrap().as_str().to_owned()
}

#[test]
fn prefixes_are_replaced_as_the_specifications_table_says() {
    for (path, prefix, replacement, expected) in [
        // The table of HTTPPathModifier.
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        // What follows from it.
        ("/foo/bar", "/foo", "/", "/bar"),
        ("/foo", "/foo/", "/xyz", "/xyz"),
        ("/foo", "/foo", "/xyz/", "/xyz"),
        ("/", "/", "/xyz", "/xyz/"),
        ("/bar", "/", "/xyz", "/xyz/bar"),
        ("/bar", "/", "/", "/bar"),
        ("/foo/bar/", "/foo", "/xyz/abc", "/xyz/abc/bar/"),
    ] {
        let edit = PathEdit::Prefix(replacement.to_owned());
        assert_eq!(edited(&edit, path, Some(prefix)), expected, "{path} {prefix} {replacement}");
        let with_query = format!("{path}?a=/foo&b");
        assert_eq!(edited(&edit, &with_query, Some(prefix)), format!("{expected}?a=/foo&b"));
    }
}

#[test]
fn a_full_path_is_replaced_and_the_query_stays() {
    let edit = PathEdit::Full("/one".to_owned());
    assert_eq!(edited(&edit, "/foo/bar", Some("/foo")), "/one");
    assert_eq!(edited(&edit, "/foo/bar?x=1", None), "/one?x=1");
    assert_eq!(edited(&edit, "/?", None), "/one?");
}

#[test]
fn what_has_no_path_or_no_prefix_stays_as_it_is() {
    assert_eq!(edited(&PathEdit::Full("/one".to_owned()), "*", None), "*");
    assert_eq!(edited(&PathEdit::Prefix("/one".to_owned()), "*", Some("/")), "*");
    assert_eq!(edited(&PathEdit::Prefix("/one".to_owned()), "/foo?x", None), "/foo?x");
}

#[test]
fn a_target_that_outgrows_a_uri_is_an_error() {
    let target: PathAndQuery = format!("/a/{}", "x".repeat(65_000)).parse().unwrap();
    assert!(PathEdit::Prefix(format!("/{}", "y".repeat(1000))).apply(&target, Some("/a")).is_err());
}

/// `Location` for a request to `http://shop.example` on a listener, whose route has the prefix `/`.
fn location(redirect: &Redirect, scheme: &uri::Scheme, port: Option<u16>, target: &str) -> String {
    let route = Route {
        hostnames: Vec::new(),
        matches: Vec::new(),
        filters: Vec::new(),
        service: None,
        timeouts: Timeouts::default(),
        priority: Priority::default(),
        retry: None,
        name: None,
        flags: Vec::new(),
    };
    let table = RouteTable::new(vec![route]);
    let request = Request::builder().uri(target).body(()).unwrap().into_parts().0;
    let matched = table.find(Host("shop.example"), &request).unwrap();
    let value = redirect.location(scheme, Host("shop.example"), port, &request, matched).unwrap();
    value.to_str().unwrap().to_owned()
}

#[test]
fn the_port_of_a_redirect_follows_the_specification() {
    use uri::Scheme;
    for (scheme, listener, to_scheme, to_port, expected) in [
        // Nothing given: the listener's, left out where it is the scheme's own.
        (Scheme::HTTP, Some(80), None, None, "http://shop.example/"),
        (Scheme::HTTP, Some(8080), None, None, "http://shop.example:8080/"),
        (Scheme::HTTP, Some(443), None, None, "http://shop.example:443/"),
        (Scheme::HTTPS, Some(443), None, None, "https://shop.example/"),
        (Scheme::HTTP, None, None, None, "http://shop.example/"),
        // A scheme: its own, whatever the listener's.
        (Scheme::HTTP, Some(8080), Some(Scheme::HTTPS), None, "https://shop.example/"),
        (Scheme::HTTP, Some(80), Some(Scheme::HTTPS), None, "https://shop.example/"),
        (Scheme::HTTPS, Some(8443), Some(Scheme::HTTP), None, "http://shop.example/"),
        (Scheme::HTTP, Some(8080), Some(Scheme::HTTP), None, "http://shop.example/"),
        // A port: that one, left out where it is the scheme's own.
        (Scheme::HTTP, Some(8080), None, Some(80), "http://shop.example/"),
        (Scheme::HTTP, Some(80), None, Some(8443), "http://shop.example:8443/"),
        (Scheme::HTTP, Some(80), Some(Scheme::HTTPS), Some(443), "https://shop.example/"),
        (Scheme::HTTP, Some(80), Some(Scheme::HTTPS), Some(8443), "https://shop.example:8443/"),
        (Scheme::HTTP, Some(80), Some(Scheme::HTTPS), Some(80), "https://shop.example:80/"),
    ] {
        let redirect = Redirect { scheme: to_scheme, port: to_port, ..Redirect::default() };
        let place = location(&redirect, &scheme, listener, "/");
        assert_eq!(place, expected, "{scheme} {listener:?} {redirect:?}");
    }
}

#[test]
fn a_redirect_keeps_what_it_does_not_change() {
    let http = &uri::Scheme::HTTP;
    let host = Redirect { hostname: Some("other.example".to_owned()), ..Redirect::default() };
    assert_eq!(location(&host, http, Some(80), "/a/b?c=%20d"), "http://other.example/a/b?c=%20d");
    assert_eq!(location(&host, http, Some(80), "http://shop.example/a?b"), "http://other.example/a?b");
    assert_eq!(location(&host, http, Some(80), "*"), "http://other.example/");

    let full = Redirect { path: Some(PathEdit::Full("/login".to_owned())), ..Redirect::default() };
    assert_eq!(location(&full, http, Some(80), "/a/b?c=d"), "http://shop.example/login?c=d");

    let prefix = Redirect { path: Some(PathEdit::Prefix("/new/".to_owned())), ..Redirect::default() };
    assert_eq!(location(&prefix, http, Some(80), "/a/b?c=d"), "http://shop.example/new/a/b?c=d");
}

#[test]
fn a_request_without_a_host_is_redirected_only_to_a_given_one() {
    let table = RouteTable::new(vec![Route {
        hostnames: Vec::new(),
        matches: Vec::new(),
        filters: Vec::new(),
        service: None,
        timeouts: Timeouts::default(),
        priority: Priority::default(),
        retry: None,
        name: None,
        flags: Vec::new(),
    }]);
    let request = Request::builder().uri("/").body(()).unwrap().into_parts().0;
    let matched = table.find(Host(""), &request).unwrap();
    let place = |redirect: &Redirect| redirect.location(&uri::Scheme::HTTP, Host(""), Some(80), &request, matched);
    assert_eq!(place(&Redirect::default()), None);
    let named = Redirect { hostname: Some("other.example".to_owned()), ..Redirect::default() };
    assert_eq!(place(&named).unwrap(), "http://other.example/");
}
