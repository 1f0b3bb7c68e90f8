//! TLS towards upstreams.

use rcgen::SanType;

use crate::support::client::get;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::support::tls::{Ca, Front};
use crate::support::upstream::Upstream;
use crate::support::{eventually, h2, sidecar};

/// A serin whose only version is `version`, with these files.
fn serin(version: &str, files: &[(&str, &str)]) -> Serin {
    Serin::with_files(&sidecar::config(version, "", ""), files)
}

fn by_address(ca: &Ca) -> crate::support::tls::Pair {
    ca.server_with(&["upstream.example"], |params| {
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
    })
}

#[test]
fn an_upstream_is_verified_by_the_ca_and_the_name_given() {
    let (ca, other, upstream) = (Ca::new("ca"), Ca::new("other"), Upstream::named("ok"));
    let named = ca.server(&["upstream.example"]);
    let front = Front::before(upstream.address, &named, &["http/1.1"], None);
    let url = format!("https://{}", front.address);
    let files = [("ca.crt", &*ca.pem), ("other.crt", &*other.pem)];
    for (tls, fine, says) in [
        ("{ ca: ca.crt, serverName: upstream.example }", true, ""),
        ("{ ca: ca.crt }", false, "certificate not valid for name \"127.0.0.1\""),
        ("{ ca: ca.crt, serverName: wrong.example }", false, "certificate not valid for name \"wrong.example\""),
        ("{ ca: other.crt, serverName: upstream.example }", false, "UnknownIssuer"),
    ] {
        let serin = serin(&format!("upstream: \"{url}\", tls: {tls}"), &files);
        let answer = get(serin.web(), "/", "");
        if fine {
            assert_eq!((answer.status, &*answer.text()), (200, "ok"), "{tls}");
            let shaken = front.handshakes().pop().expect("a handshake");
            assert_eq!(shaken.name.as_deref(), Some("upstream.example"));
            assert_eq!(shaken.protocol.as_deref(), Some("http/1.1"));
            assert!(shaken.certificate.is_none());
        } else {
            assert_eq!((answer.status, answer.header("x-serin-error")), (502, Some("connect")), "{tls}");
            said(&serin, says);
        }
    }
    assert_eq!(upstream.requests().len(), 1);
    assert_eq!(upstream.last().header("host").as_deref(), Some("shop.example"));
}

#[test]
fn the_host_of_the_url_is_the_name_that_is_expected() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let front = Front::before(upstream.address, &by_address(&ca), &["http/1.1"], None);
    let serin =
        serin(&format!("upstream: \"https://{}\", tls: {{ ca: ca.crt }}", front.address), &[("ca.crt", &ca.pem)]);
    for _ in 0..3 {
        assert_eq!(get(serin.web(), "/", "").text(), "ok");
    }
    assert_eq!(front.handshakes().len(), 1, "the connection is kept");
    let localhost = Front::before(upstream.address, &ca.server(&["localhost"]), &["http/1.1"], None);
    let url = format!("https://localhost:{}", localhost.address.port());
    let serin = Serin::with_files(
        &sidecar::config(&format!("upstream: \"{url}\", tls: {{ ca: ca.crt }}"), "", ""),
        &[("ca.crt", &ca.pem)],
    );
    assert_eq!(get(serin.web(), "/", "").text(), "ok");
    assert_eq!(localhost.handshakes()[0].name.as_deref(), Some("localhost"));
}

#[test]
fn an_upstream_that_asks_is_shown_a_certificate() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let front = Front::before(upstream.address, &by_address(&ca), &["http/1.1"], Some(&ca));
    let own = ca.client("serin");
    let files = [("ca.crt", &*ca.pem), ("own.crt", &*own.certificate), ("own.key", &*own.key)];
    let url = format!("https://{}", front.address);
    let without = serin(&format!("upstream: \"{url}\", tls: {{ ca: ca.crt }}"), &files);
    assert_eq!(get(without.web(), "/", "").status, 502);
    let with =
        serin(&format!("upstream: \"{url}\", tls: {{ ca: ca.crt, certificate: own.crt, key: own.key }}"), &files);
    assert_eq!(get(with.web(), "/", "").text(), "ok");
    assert_eq!(front.handshakes().pop().expect("a handshake").certificate, Some(own.der()));
    let expiry = with.metric(
        "serin_tls_certificate_expiry_timestamp_seconds",
        &["file=\"own.crt\"", "shown_by=\"upstream\"", "subject=\"CN=serin\""],
    );
    assert!(expiry > 1.7e9, "{expiry}");
}

#[test]
fn http_2_to_an_upstream_is_agreed_on() {
    let ca = Ca::new("ca");
    let upstream = h2::H2Upstream::answering(|_| async { http::Response::new(h2::body("over h2", None)) });
    let files = [("ca.crt", &*ca.pem)];
    let front = Front::before(upstream.address, &by_address(&ca), &["h2", "http/1.1"], None);
    let version =
        |front: &Front| format!("upstream: \"https://{}\", protocol: h2, tls: {{ ca: ca.crt }}", front.address);
    let serin1 = serin(&version(&front), &files);
    for _ in 0..3 {
        assert_eq!(get(serin1.web(), "/", "").text(), "over h2");
    }
    let shaken = front.handshakes();
    assert_eq!((shaken.len(), shaken[0].protocol.as_deref()), (1, Some("h2")));
    let uri = &upstream.heads()[0].uri;
    assert_eq!(
        (uri.scheme_str(), uri.authority().map(http::uri::Authority::as_str)),
        (Some("https"), Some("shop.example"))
    );
    // One that offers something else, and one that says nothing of it and so speaks HTTP/1.1.
    for offered in [&["http/1.1"][..], &[]] {
        let old = Front::before(upstream.address, &by_address(&ca), offered, None);
        let serin2 = serin(&version(&old), &files);
        assert_eq!(get(serin2.web(), "/", "").header("x-serin-error"), Some("connect"), "{offered:?}");
    }
}

#[test]
fn an_upstream_that_closes_without_goodbye_is_asked_again_on_a_fresh_connection() {
    let ca = Ca::new("ca");
    let upstream = Upstream::scripted(|connection| {
        if connection.request().is_some() {
            connection.send(crate::support::OK);
        }
    });
    let front = Front::before(upstream.address, &by_address(&ca), &["http/1.1"], None);
    let serin =
        serin(&format!("upstream: \"https://{}\", tls: {{ ca: ca.crt }}", front.address), &[("ca.crt", &ca.pem)]);
    for _ in 0..10 {
        assert_eq!(get(serin.web(), "/", "").status, 200);
    }
    assert_eq!(front.handshakes().len(), 10);
}

#[test]
fn an_answer_that_ends_with_its_connection_must_end_with_a_goodbye() {
    let ca = Ca::new("ca");
    let upstream = Upstream::answering("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole");
    let closing = Upstream::scripted(|connection| {
        if connection.request().is_some() {
            connection.send("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nwhole");
        }
    });
    let front = Front::before(closing.address, &by_address(&ca), &["http/1.1"], None);
    let whole =
        serin(&format!("upstream: \"https://{}\", tls: {{ ca: ca.crt }}", front.address), &[("ca.crt", &ca.pem)]);
    assert_eq!(get(whole.web(), "/", "").text(), "whole");
    let cut = Front::cutting(upstream.address, &by_address(&ca));
    let cut = serin(&format!("upstream: \"https://{}\", tls: {{ ca: ca.crt }}", cut.address), &[("ca.crt", &ca.pem)]);
    let mut client = crate::support::client::Raw::connect(cut.web());
    client.send(crate::GET);
    assert!(client.broken_end(), "cut off, and not taken for whole");
    eventually("it to be counted", || {
        (cut.metric("serin_requests_total", &["code=\"truncated\""]) == 1.0).then_some(())
    });
}

#[test]
fn a_large_body_passes_through_tls_on_both_sides() {
    let ca = Ca::new("ca");
    let length = 8 << 20;
    let upstream = Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n"));
            connection.send(&request.body);
        }
    });
    let front = Front::before(upstream.address, &by_address(&ca), &["http/1.1"], None);
    let shop = ca.server(&["shop.example"]);
    let config = crate::config(crate::SHOP, &format!("https://{}", front.address), "")
        .replace("\" }\nroutes", "\", tls: { ca: ca.crt } }\nroutes");
    let files = [("ca.crt", &*ca.pem), ("shop.crt", &*shop.certificate), ("shop.key", &*shop.key)];
    let serin = Serin::with_files(&config, &files);
    let body: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
    for framing in [format!("content-length: {length}"), "transfer-encoding: chunked".to_owned()] {
        let mut client = ca.trusting().connect(serin.web(), "shop.example");
        client.send(format!("POST / HTTP/1.1\r\nhost: shop.example\r\n{framing}\r\n\r\n"));
        if framing.starts_with('t') {
            client.send(format!("{length:x}\r\n")).send(&body).send("\r\n0\r\n\r\n");
        } else {
            client.send(&body);
        }
        assert!(client.response(false).expect("an answer").body == body, "other bytes came back");
    }
}
