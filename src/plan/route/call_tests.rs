//! Alternatives with `GRPCRoute`'s meaning.

use super::tests::*;
use super::*;

fn literal(text: &str) -> ValueMatch {
    ValueMatch::Exact(text.to_owned())
}

fn like(text: &str) -> ValueMatch {
    ValueMatch::Regex(whole(text))
}

fn call(service: impl Into<Option<ValueMatch>>, method: impl Into<Option<ValueMatch>>) -> RouteMatch {
    let (service, method) = (service.into(), method.into());
    path(PathMatch::Call(CallMatch { service, method }))
}

fn post(target: &str, content_type: &str) -> request::Parts {
    request("POST", target, &[("content-type", content_type)])
}

#[test]
fn a_call_is_routed_by_its_service_and_method() {
    let pay = || call(literal("shop.Checkout"), literal("Pay"));
    for (alternative, target, expected) in [
        (pay(), "/shop.Checkout/Pay", true),
        (pay(), "/shop.Checkout/Pay?x=1", true),
        (pay(), "/shop.Checkout/pay", false),
        (pay(), "/shop.checkout/Pay", false),
        (pay(), "/shop.Checkout/Pay/", false),
        (pay(), "/x/shop.Checkout/Pay", false),
        (pay(), "/Pay", false),
        (call(literal("shop.Checkout"), None), "/shop.Checkout/Refund", true),
        (call(literal("shop.Checkout"), None), "/shop.CheckoutV2/Refund", false),
        (call(None, literal("Pay")), "/any.Service/Pay", true),
        (call(None, literal("Pay")), "/any.Service/PayAll", false),
        (call(like(r"shop\..+"), None), "/shop.Cart/Add", true),
        (call(like(r"shop\..+"), like("Add|Remove")), "/shop.Cart/Remove", true),
        (call(like(r"shop\..+"), like("Add|Remove")), "/shop.Cart/RemoveAll", false),
    ] {
        let shown = format!("{alternative:?} {target}");
        assert_eq!(holds(alternative, &post(target, "application/grpc")), expected, "{shown}");
    }
}

#[test]
fn only_a_call_matches_what_is_for_calls() {
    let alternative = || call(literal("shop.Checkout"), None);
    let target = "/shop.Checkout/Pay";
    for content_type in
        ["application/grpc", "application/grpc+proto", "application/grpc-web", "application/grpc-web-text"]
    {
        assert!(holds(alternative(), &post(target, content_type)), "{content_type}");
    }
    assert!(!holds(alternative(), &post(target, "application/json")));
    assert!(!holds(alternative(), &request("POST", target, &[])));
    assert!(!holds(alternative(), &request("GET", target, &[("content-type", "application/grpc")])));
}

#[test]
fn among_calls_the_service_decides_then_the_method_then_the_headers() {
    let table = RouteTable::new(vec![
        route(&[], vec![exact("/a.A/M"), prefix("/")]),
        route(&[], vec![call(None, like("M"))]),
        route(&[], vec![call(None, literal("M"))]),
        route(&[], vec![call(like("a.+"), None)]),
        route(&[], vec![call(like("a.+"), like("M|N"))]),
        route(&[], vec![call(literal("a.A"), None).header("x", "1")]),
        route(&[], vec![call(literal("a.A"), like("N")), call(literal("a.A"), like("M"))]),
        route(&[], vec![call(literal("a.A"), literal("M"))]),
        route(&[], vec![call(literal("a.A"), literal("M")).header("x", "1")]),
        route(&["h"], vec![call(None, literal("M"))]),
    ]);
    for (host, target, header, expected) in [
        ("", "/a.A/M", "1", 8),
        ("", "/a.A/M", "2", 7),
        ("", "/a.A/N", "1", 6),
        ("", "/a.A/O", "1", 5),
        ("", "/a.A/O", "2", 3),
        ("", "/a.B/N", "1", 4),
        ("", "/a.B/O", "1", 3),
        ("", "/b.B/M", "1", 2),
        ("", "/b.B/O", "1", 0),
        ("h", "/a.A/M", "1", 9),
        ("h", "/a.A/N", "1", 6),
    ] {
        let request = request("POST", target, &[("content-type", "application/grpc"), ("x", header)]);
        assert_eq!(found(&table, host, &request), Some(expected), "{host} {target} {header}");
    }
    assert_eq!(get(&table, "", "/a.A/M"), Some(0), "what is no call goes by its path");
    let matched = table.find(Host(""), &post("/a.A/M", "application/grpc")).unwrap();
    assert_eq!(matched.prefix, None);
}
