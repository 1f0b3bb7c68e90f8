//! Which certificate is shown, what is agreed on, and which sessions go on.

use std::io::Write;

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::support::client::Raw;
use crate::support::serin::Serin;
use crate::support::tls::{Ca, Pair, connect};
use crate::support::upstream::Upstream;
use crate::support::{eventually, h2};
use crate::{GET, SHOP, ask, config, handshakes, shop};

#[test]
fn both_versions_of_tls_and_both_protocols_are_spoken() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    for version in [&TLS12, &TLS13] {
        let trust = ca.trusting().only(version);
        let mut client = trust.clone().connect(serin.web(), "shop.example");
        assert_eq!(client.stream.conn.protocol_version(), Some(version.version));
        for _ in 0..3 {
            assert_eq!(ask(&mut client, "shop.example", "").text(), "ok");
        }
        for (offered, agreed) in [
            (&["http/1.1"][..], Some("http/1.1")),
            (&["h2"], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
            (&[], None),
        ] {
            let client = trust.clone().offering(offered).connect(serin.web(), "shop.example");
            assert_eq!(client.stream.conn.alpn_protocol(), agreed.map(str::as_bytes), "{offered:?}");
        }
        let answer = h2::run(async {
            let mut client = h2::connect_over(trust.h2(serin.web(), "shop.example").await).await;
            h2::whole(client.send_request(h2::get("/item")).await.expect("an answer")).await.expect("whole")
        });
        assert_eq!((answer.status, &*answer.body), (200, &b"ok"[..]));
    }
    let seen = upstream.last();
    assert_eq!(seen.headers("x-forwarded-proto"), ["https"]);
    assert!(seen.headers("x-forwarded-client-cert").is_empty());
    // A protocol that is not spoken here.
    assert!(connect(serin.web(), "shop.example", &ca.trusting().offering(&["ftp"]).config()).is_err());
    eventually("it to be counted", || (handshakes(&serin, "failed") == 1.0).then_some(()));
}

#[test]
fn an_older_version_than_the_oldest_is_refused() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let pair = ca.server(&["shop.example"]);
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key)];
    let tls = "{ certificate: shop.crt, key: shop.key, minVersion: \"1.3\" }";
    let serin = Serin::with_files(&config(tls, &upstream.url(), ""), &files);
    assert!(connect(serin.web(), "shop.example", &ca.trusting().only(&TLS12).config()).is_err());
    assert_eq!(ask(&mut ca.trusting().connect(serin.web(), "shop.example"), "shop.example", "").status, 200);
}

/// Three certificates: the default one, one for a name below a wildcard, and one for the wildcard.
fn three(ca: &Ca) -> (Serin, [Pair; 3], Upstream) {
    let upstream = Upstream::named("ok");
    let pairs = [
        ca.server(&["first.example"]),
        ca.server(&["own.shop.example", "other.example"]),
        ca.server(&["*.shop.example"]),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    for (name, pair) in ["a", "b", "c"].into_iter().zip(&pairs) {
        pair.write(folder.path(), name);
    }
    let tls = "{ certificates: [ { certificate: a.crt, key: a.key }, { certificate: b.crt, key: b.key }, \
               { certificate: c.crt, key: c.key } ] }";
    let serin = Serin::in_folder(folder, &config(tls, &upstream.url(), ""));
    (serin, pairs, upstream)
}

#[test]
fn the_name_that_a_client_asks_for_chooses_the_certificate() {
    let ca = Ca::new("ca");
    let (serin, pairs, _upstream) = three(&ca);
    for (name, which) in [
        ("first.example", 0),
        ("own.shop.example", 1),
        ("OWN.shop.Example", 1),
        ("other.example", 1),
        ("any.shop.example", 2),
    ] {
        let mut client = ca.trusting().connect(serin.web(), name);
        assert_eq!(client.shown(), pairs[which].der(), "{name}");
        // Names that ask the same of clients may share a connection.
        assert_eq!(ask(&mut client, "first.example", "").status, 200);
    }
    for unknown in ["unknown.example", "a.b.shop.example", "shop.example"] {
        let refused = connect(serin.web(), unknown, &ca.trusting().config()).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("first.example"), "{unknown}: {refused}");
    }
    // Without a name, as for an address, the first is shown.
    let refused = connect(serin.web(), "127.0.0.1", &ca.trusting().config()).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("first.example"), "{refused}");
}

#[test]
fn a_client_that_cannot_verify_one_kind_of_key_is_shown_the_other() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let folder = tempfile::tempdir().expect("a folder");
    let ecdsa = ca.server(&["shop.example"]);
    ecdsa.write(folder.path(), "a");
    let ed25519 = {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key");
        ca.server_for(&["shop.example"], &key)
    };
    ed25519.write(folder.path(), "b");
    // The odd one first: who can take it gets it.
    let tls = "{ certificates: [ { certificate: b.crt, key: b.key }, { certificate: a.crt, key: a.key } ] }";
    let serin = Serin::in_folder(folder, &config(tls, &upstream.url(), ""));
    assert_eq!(ca.trusting().connect(serin.web(), "shop.example").shown(), ed25519.der());
    let curl = std::process::Command::new("openssl")
        .args(["s_client", "-connect", &serin.web().to_string(), "-servername", "shop.example", "-sigalgs"])
        .arg("ECDSA+SHA256")
        .stdin(std::process::Stdio::null())
        .output();
    if let Ok(said) = curl {
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        assert!(said.contains("Peer signature type: ECDSA"), "{said}");
    }
}

#[test]
fn a_session_goes_on_with_any_worker() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    for version in [&TLS12, &TLS13] {
        let config = ca.trusting().only(version).config();
        let mut first = connect(serin.web(), "shop.example", &config).expect("a handshake");
        assert_eq!(ask(&mut first, "shop.example", "").status, 200);
        assert_eq!(first.stream.conn.handshake_kind(), Some(HandshakeKind::Full));
        // The kernel spreads connections over the two workers: sixteen do not all meet the one that knows.
        for _ in 0..16 {
            let mut next = connect(serin.web(), "shop.example", &config).expect("a handshake");
            assert_eq!(ask(&mut next, "shop.example", "").status, 200);
            assert_eq!(next.stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
        }
    }
    let by_worker = |worker| serin.metric("serin_client_connections_accepted_total", &[worker]);
    assert!(by_worker("worker=\"0\"") > 0.0 && by_worker("worker=\"1\"") > 0.0, "both have taken part");
    eventually("all to be counted", || {
        (handshakes(&serin, "full") == 2.0 && handshakes(&serin, "resumed") == 32.0).then_some(())
    });
}

#[test]
fn what_is_not_tls_is_closed_and_counted() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let pair = ca.server(&["shop.example"]);
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key)];
    let serin = Serin::with_files(&config(SHOP, &upstream.url(), "limits: { headerTimeout: 300ms }"), &files);
    for garbage in [GET.as_bytes(), b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &[0xff; 300], b"\x16\x03\x01\x00\x05hello"] {
        let mut client = Raw::connect(serin.web());
        let answer = client.send(garbage).rest();
        assert!(!answer.starts_with(b"HTTP/"), "{:?}", String::from_utf8_lossy(&answer));
    }
    // Silence, and half a hello.
    for slow in [&b""[..], b"\x16\x03\x01\x02\x00\x01"] {
        assert!(Raw::connect(serin.web()).send(slow).is_closed());
    }
    drop(Raw::connect(serin.web()));
    eventually("all to be counted", || {
        let counts = ["notTls", "timeout", "clientGone", "failed"].map(|result| handshakes(&serin, result));
        (counts.iter().sum::<f64>() == 7.0 && counts[0] >= 2.0 && counts[1] == 2.0 && counts[2] == 1.0).then_some(())
    });
    assert_eq!(upstream.requests().len(), 0);
    assert!(!serin.stderr().contains("ERROR"), "{}", serin.stderr());
    // A hello in single bytes is a hello all the same.
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.stream.sock.flush().expect("nothing to flush");
    assert_eq!(ask(&mut client, "shop.example", "").status, 200);
}

#[test]
fn redirects_know_the_scheme() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let pair = ca.server(&["shop.example"]);
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key)];
    let config = config(SHOP, &upstream.url(), "").replace(
        "routes:\n",
        "routes:\n  - matches: [ { path: { value: /old } } ]\n    filters:\n      - type: RequestRedirect\n        \
         requestRedirect: { path: { type: ReplaceFullPath, replaceFullPath: /new }, port: 443 }\n",
    );
    let serin = Serin::with_files(&config, &files);
    let mut client = ca.trusting().connect(serin.web(), "shop.example");
    client.send("GET /old HTTP/1.1\r\nhost: shop.example\r\n\r\n");
    let answer = client.response(false).expect("an answer");
    assert_eq!(answer.header("location"), Some("https://shop.example/new"));
}
