//! Clients that show a certificate, and what may not be had without one.

use rustls::HandshakeKind;
use rustls::version::{TLS12, TLS13};

use crate::support::serin::Serin;
use crate::support::tls::{Ca, Confused, Pair, Trust, connect};
use crate::support::upstream::Upstream;
use crate::support::{eventually, h2};
use crate::{ask, config, handshakes};

const XFCC: &str = "x-forwarded-client-cert";

/// A serin for `shop.example` that asks clients for certificates of `clients`.
struct Asking {
    servers: Ca,
    clients: Ca,
    upstream: Upstream,
    serin: Serin,
}

fn asking(auth: &str, top: &str, change: impl FnOnce(String) -> String) -> Asking {
    let (servers, clients, upstream) = (Ca::new("servers"), Ca::new("clients"), Upstream::named("ok"));
    let pair = servers.server_with(&["shop.example"], |params| {
        params.subject_alt_names.push(rcgen::SanType::URI("spiffe://shop/serin".try_into().expect("ASCII")));
    });
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key), ("clients.crt", &*clients.pem)];
    let tls = format!("{{ certificate: shop.crt, key: shop.key, clientCa: clients.crt{auth} }}");
    let serin = Serin::with_files(&change(config(&tls, &upstream.url(), top)), &files);
    Asking { servers, clients, upstream, serin }
}

impl Asking {
    /// Whether a request is answered.
    fn answers(&self, trust: &Trust) -> bool {
        let Ok(mut client) = connect(self.serin.web(), "shop.example", &trust.config()) else { return false };
        client.send(crate::GET);
        // Under TLS 1.3 the refusal comes after the client's side of the handshake.
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client.response(false)))
            .is_ok_and(|answer| answer.is_some_and(|answer| answer.status == 200))
    }
}

/// The hash of a certificate as Envoy writes it.
fn hash(pair: &Pair) -> String {
    use sha2::Digest;
    let digest = sha2::Sha256::digest(pair.der());
    digest
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[test]
fn a_certificate_is_asked_for_as_configured() {
    for (auth, without, with_stranger) in
        [("", false, false), (", clientAuth: required", false, false), (", clientAuth: optional", true, false)]
    {
        let asking = asking(auth, "", |config| config);
        for version in [&TLS12, &TLS13] {
            let trust = asking.servers.trusting().only(version);
            assert_eq!(asking.answers(&trust), without, "{auth}");
            assert_eq!(
                asking.answers(&trust.clone().showing(&Ca::new("other").client("eve"))),
                with_stranger,
                "{auth}"
            );
            assert!(asking.answers(&trust.showing(&asking.clients.client("ada"))), "{auth}");
        }
        let refused = if without { 2.0 } else { 4.0 };
        eventually("refusals to be counted", || {
            (handshakes(&asking.serin, "clientCertificate") == refused).then_some(())
        });
        let expected = if without { 4 } else { 2 };
        assert_eq!(asking.upstream.requests().len(), expected);
    }
}

#[test]
fn the_upstream_learns_who_the_client_is_and_only_from_serin() {
    let asking = asking(", clientAuth: optional", "", |config| config);
    let ada = asking.clients.client_named("ada", "spiffe://shop/ada", "ada.example");
    let lie = format!("{XFCC}: Hash=lie;Subject=\"CN=root\"\r\nX_Forwarded_Client_Cert: Hash=lie\r\n");
    let mut client = asking.servers.trusting().showing(&ada).connect(asking.serin.web(), "shop.example");
    for headers in ["", &lie] {
        assert_eq!(ask(&mut client, "shop.example", headers).status, 200);
        let seen = asking.upstream.last();
        let expected = format!(
            "By=spiffe://shop/serin;Hash={};Subject=\"O=Shop\\, Inc.,CN=ada\";URI=spiffe://shop/ada;DNS=ada.example",
            hash(&ada)
        );
        assert_eq!(seen.headers(XFCC), [expected]);
        assert!(!seen.head.contains("Hash=lie"), "{}", seen.head);
    }
    let mut nobody = asking.servers.trusting().connect(asking.serin.web(), "shop.example");
    assert_eq!(ask(&mut nobody, "shop.example", &lie).status, 200);
    let seen = asking.upstream.last();
    assert!(!seen.head.to_ascii_lowercase().contains("forwarded-client-cert"), "{}", seen.head);
    assert!(!seen.head.contains("Hash="), "{}", seen.head);
}

#[test]
fn a_trusted_peer_may_speak_for_others() {
    let asking = asking(", clientAuth: optional", "forwarded: { trust: [127.0.0.1] }", |config| config);
    let proxy = asking.clients.client("proxy");
    let before = format!("{XFCC}: Hash=1;Subject=\"CN=ada\"\r\n");
    let mut client = asking.servers.trusting().showing(&proxy).connect(asking.serin.web(), "shop.example");
    assert_eq!(ask(&mut client, "shop.example", &before).status, 200);
    let own = format!("By=spiffe://shop/serin;Hash={};Subject=\"CN=proxy\"", hash(&proxy));
    assert_eq!(asking.upstream.last().headers(XFCC), [format!("Hash=1;Subject=\"CN=ada\",{own}")]);
    let mut client = asking.servers.trusting().connect(asking.serin.web(), "shop.example");
    assert_eq!(ask(&mut client, "shop.example", &before).status, 200);
    assert_eq!(asking.upstream.last().headers(XFCC), ["Hash=1;Subject=\"CN=ada\""]);
}

#[test]
fn a_certificate_may_decide_the_version_and_is_in_the_access_log() {
    let asking = asking("", "accessLog: { path: access.log }", |config| {
        let path = "FOLDER/access.log";
        config
            .replace("path: access.log", &format!("path: \"{path}\""))
            .replace("routes:", "    sticky: [ { clientCertificate: uri }, { clientCertificate: subject } ]\nroutes:")
    });
    for name in ["ada", "grace"] {
        let pair = asking.clients.client(name);
        let mut client = asking.servers.trusting().showing(&pair).connect(asking.serin.web(), "shop.example");
        assert_eq!(ask(&mut client, "shop.example", "").status, 200);
    }
    eventually("two picks by key", || {
        (asking.serin.metric("serin_picks_total", &["why=\"key\""]) == 2.0).then_some(())
    });
    let lines = eventually("two lines", || {
        let text = std::fs::read_to_string(asking.serin.path("access.log")).ok()?;
        (text.lines().count() == 2).then_some(text)
    });
    for (line, name) in lines.lines().zip(["ada", "grace"]) {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        assert_eq!((&line["tls"], &line["clientCertificate"]), (&"TLSv1.3".into(), &format!("CN={name}").into()));
    }
}

/// A listener with an open name, a name that requires a certificate and one that asks for it.
fn mixed(first: &str) -> (Asking, &'static str) {
    let (servers, clients, upstream) = (Ca::new("servers"), Ca::new("clients"), Upstream::named("ok"));
    let folder = tempfile::tempdir().expect("a folder");
    servers.server(&["open.example", "open-too.example"]).write(folder.path(), "open");
    servers.server(&["secret.example", "*.secret.example"]).write(folder.path(), "secret");
    servers.server(&["maybe.example"]).write(folder.path(), "maybe");
    std::fs::write(folder.path().join("clients.crt"), &clients.pem).expect("a file");
    let open = "{ certificate: open.crt, key: open.key }";
    let secret = "{ certificate: secret.crt, key: secret.key, clientCa: clients.crt }";
    let maybe = "{ certificate: maybe.crt, key: maybe.key, clientCa: clients.crt, clientAuth: optional }";
    let order = if first == "open" { [open, secret, maybe] } else { [secret, open, maybe] };
    let tls = format!("{{ certificates: [ {} ] }}", order.join(", "));
    let serin = Serin::in_folder(folder, &config(&tls, &upstream.url(), ""));
    (Asking { servers, clients, upstream, serin }, if first == "open" { "open.example" } else { "secret.example" })
}

#[test]
fn a_connection_for_one_name_does_not_reach_another_that_asks_more_of_clients() {
    for first in ["open", "secret"] {
        let (asking, default) = mixed(first);
        let known = asking.servers.trusting().showing(&asking.clients.client("ada"));
        let hosts = [
            "open.example",
            "open-too.example",
            "secret.example",
            "a.secret.example",
            "maybe.example",
            "unknown.example",
        ];
        let group = |host: &str| match host {
            "unknown.example" => default.split('.').next().map(str::to_owned),
            host => host
                .strip_suffix(".example")
                .and_then(|host| host.rsplit('.').next())
                .map(|host| host.replace("-too", "")),
        };
        for name in ["open.example", "secret.example", "maybe.example"] {
            for host in hosts {
                let expected = if group(name) == group(host) { 200 } else { 421 };
                for spelling in [host.to_owned(), format!("{}:443", host.to_uppercase()), format!("{host}.")] {
                    let mut client = known.connect(asking.serin.web(), name);
                    let answer = ask(&mut client, &spelling, "");
                    assert_eq!(answer.status, expected, "{name} asked for {spelling}, first {first}");
                    assert_eq!(answer.header("x-serin-error"), (expected == 421).then_some("misdirected"));
                }
                // The target's host wins over Host.
                let mut client = known.connect(asking.serin.web(), name);
                client.send(format!("GET http://{host}/ HTTP/1.1\r\nhost: {name}\r\n\r\n"));
                assert_eq!(client.response(false).expect("an answer").status, expected, "{name} asked for {host}");
            }
            let statuses = h2::run(async {
                let mut client = h2::connect_over(known.h2(asking.serin.web(), name).await).await;
                let mut statuses = Vec::new();
                for host in hosts {
                    let request = http::Request::get(format!("https://{host}/")).body(h2::empty()).expect("a request");
                    let answer = client.send_request(request).await.expect("an answer");
                    statuses.push((host, answer.status().as_u16()));
                }
                statuses
            });
            for (host, status) in statuses {
                let expected = if group(name) == group(host) { 200 } else { 421 };
                assert_eq!(status, expected, "{name} asked for {host} over HTTP/2");
            }
        }
        let mut old = asking.servers.trusting().connect(asking.serin.web(), "open.example");
        old.send("GET / HTTP/1.0\r\n\r\n");
        assert_eq!(old.response(false).expect("an answer").status, 200, "no host: that of the handshake");
    }
}

#[test]
fn a_session_of_one_name_is_nothing_to_a_name_that_asks_more_of_clients() {
    for version in [&TLS12, &TLS13] {
        let (asking, _) = mixed("open");
        // A client that shows what it was given for one name under the other.
        let memory = Confused::new("secret.example", "open.example");
        let config = asking.servers.trusting().only(version).remembering(memory).config();
        let mut open = connect(asking.serin.web(), "open.example", &config).expect("a handshake");
        assert_eq!(ask(&mut open, "open.example", "").status, 200);
        let refused = match connect(asking.serin.web(), "secret.example", &config) {
            Err(_) => true,
            Ok(mut client) => {
                assert_ne!(client.stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
                client.send("GET / HTTP/1.1\r\nhost: secret.example\r\n\r\n");
                client.rest().is_empty()
            }
        };
        assert!(refused, "{version:?}");
        // Where it belongs it goes on.
        let mut again = connect(asking.serin.web(), "open.example", &config).expect("a handshake");
        assert_eq!(ask(&mut again, "open.example", "").status, 200);
        assert_eq!(again.stream.conn.handshake_kind(), Some(HandshakeKind::Resumed));
    }
}

#[test]
fn a_resumed_session_is_still_the_same_client() {
    let asking = asking("", "", |config| config);
    let ada = asking.clients.client("ada");
    for version in [&TLS12, &TLS13] {
        let config = asking.servers.trusting().only(version).showing(&ada).config();
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed] {
            let mut client = connect(asking.serin.web(), "shop.example", &config).expect("a handshake");
            assert_eq!(ask(&mut client, "shop.example", "").status, 200);
            assert_eq!(client.stream.conn.handshake_kind(), Some(kind));
            let seen = asking.upstream.last().headers(XFCC).join(" ");
            assert!(seen.contains(&hash(&ada)) && seen.contains("CN=ada"), "{seen}");
        }
    }
}
