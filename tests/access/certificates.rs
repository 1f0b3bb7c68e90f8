//! Client certificates, and TLS on the admin address.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

use std::io::{Read, Write};

use crate::support::client::{Raw, Response};
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::{Serin, command};
use crate::support::tls::{Ca, Pair, Trust};
use crate::{changing, config, problem};

const CLIENTS: &str = "clients: [ { subject: CN=alice, name: alice, role: operator }, \
    { uri: \"spiffe://shop/approver\", name: bob, role: approver }, { dns: ci.shop.example, name: ci, role: admin } ]";
const JSON: &str = "content-type: application/json\r\n";

struct House {
    serin: Serin,
    ca: Ca,
    clients: Ca,
}

fn house(auth: &str) -> House {
    let (ca, clients) = (Ca::new("serin's"), Ca::new("people's"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    ca.server(&["serin.internal", "localhost"]).write(folder.path(), "admin");
    std::fs::write(folder.path().join("ca.crt"), &ca.pem).expect("a file");
    std::fs::write(folder.path().join("people.crt"), &clients.pem).expect("a file");
    let tls = format!("tls: {{ certificate: admin.crt, key: admin.key, clientCa: people.crt, clientAuth: {auth} }}");
    let serin = Serin::in_folder(folder, &config(&format!("{{ address: 127.0.0.1:0, {tls}, {CLIENTS} }}")));
    House { serin, ca, clients }
}

impl House {
    fn ask(&self, trust: &Trust, text: &str) -> Response {
        exchange(&mut trust.connect(self.serin.admin(), "serin.internal"), text)
    }

    fn change(&self, who: &Pair) -> Response {
        self.ask(&self.ca.trusting().showing(who), &changing("serin.internal", JSON))
    }
}

fn exchange<S: Read + Write>(client: &mut Raw<S>, text: &str) -> Response {
    client.send(text).response(false).expect("an answer")
}

#[test]
fn a_certificate_says_who_somebody_is_by_subject_uri_or_dns_name() {
    let house = house("optional");
    let alice = house.clients.client("alice");
    for version in rustls::ALL_VERSIONS {
        let trust = house.ca.trusting().showing(&alice).only(version);
        assert_eq!(house.ask(&trust, &changing("serin.internal", JSON)).status, 200, "{version:?}");
    }
    let log = said(&house.serin, "weights changed");
    assert!(log.lines().any(|line| line.contains("weights changed") && line.contains("alice")), "{log}");
    let bob = house.clients.client_named("someone", "spiffe://shop/approver", "other.example");
    let detail = problem(&house.change(&bob), 403);
    assert!(detail.contains("bob is approver"), "{detail}");
    assert_eq!(
        house.change(&house.clients.client_named("robot", "spiffe://shop/other", "ci.shop.example")).status,
        200
    );
}

#[test]
fn a_certificate_of_nobody_and_none_may_read_and_no_more() {
    let house = house("optional");
    let mallory = house.clients.client("mallory");
    let detail = problem(&house.change(&mallory), 401);
    assert!(detail.contains("CN=mallory"), "{detail}");
    let get = "GET /api/v1/services HTTP/1.1\r\nhost: serin.internal\r\n\r\n";
    assert_eq!(house.ask(&house.ca.trusting().showing(&mallory), get).status, 200);
    assert_eq!(house.ask(&house.ca.trusting(), get).status, 200);
    problem(&house.ask(&house.ca.trusting(), &changing("serin.internal", JSON)), 401);
    let log = said(&house.serin, "unknownCertificate");
    assert!(log.contains("CN=mallory"), "{log}");
    // One that another CA vouches for is none at all.
    let stranger = house.ca.trusting().showing(&Ca::new("another").client("alice"));
    let refused = crate::support::tls::connect(house.serin.admin(), "serin.internal", &stranger.config());
    assert!(refused.is_err() || refused.is_ok_and(|mut client| client.send(get).rest().is_empty()));
}

#[test]
fn where_certificates_are_required_nobody_gets_in_without() {
    let house = house("required");
    let none = crate::support::tls::connect(house.serin.admin(), "serin.internal", &house.ca.trusting().config());
    assert!(
        none.is_err()
            || none.is_ok_and(|mut client| client.send("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").rest().is_empty())
    );
    assert_eq!(house.change(&house.clients.client("alice")).status, 200);
}

#[test]
fn a_browser_that_shows_a_certificate_for_another_page_is_not_followed() {
    let house = house("optional");
    let alice = house.ca.trusting().showing(&house.clients.client("alice"));
    let from = |origin: &str| house.ask(&alice, &changing("serin.internal", &format!("{JSON}origin: {origin}\r\n")));
    problem(&from("https://evil.example"), 403);
    problem(&from("http://serin.internal"), 403);
    assert_eq!(from("https://serin.internal").status, 200);
}

#[test]
fn who_is_known_changes_while_connections_stay() {
    let house = house("optional");
    let trust = house.ca.trusting().showing(&house.clients.client("alice"));
    let mut client = trust.connect(house.serin.admin(), "serin.internal");
    let ask = || changing("serin.internal", JSON).replace("connection: close\r\n", "");
    assert_eq!(exchange(&mut client, &ask()).status, 200);
    let file = house.serin.path("serin.yaml");
    let text = std::fs::read_to_string(&file).expect("a file");
    std::fs::write(&file, text.replace("role: operator", "role: viewer")).expect("a file");
    eventually("alice to be a viewer", || (exchange(&mut client, &ask()).status == 403).then_some(()));
}

#[test]
fn the_certificate_of_the_admin_address_is_exchanged_while_serin_runs() {
    let house = house("optional");
    let before = house.ca.trusting().connect(house.serin.admin(), "serin.internal");
    let shown =
        |client: &crate::support::tls::RawTls| client.stream.conn.peer_certificates().expect("a chain")[0].clone();
    let first = shown(&before);
    house.ca.server(&["serin.internal", "localhost"]).write(house.serin.folder.path(), "admin");
    eventually("another certificate", || {
        let client = house.ca.trusting().connect(house.serin.admin(), "serin.internal");
        (shown(&client) != first).then_some(())
    });
}

#[test]
fn the_command_line_speaks_tls_and_shows_certificates() {
    let house = house("optional");
    let folder = house.serin.folder.path();
    house.clients.client("alice").write(folder, "alice");
    let path = |name: &str| folder.join(name).display().to_string();
    let admin = format!("https://localhost:{}", house.serin.admin().port());
    let (ca, certificate, key) = (path("ca.crt"), path("alice.crt"), path("alice.key"));
    let set = ["set", "shop", "old=1", "new=3", "--reason", "a test", "--admin", &admin, "--ca-file", &ca];
    let shown = ["--client-certificate", &certificate, "--client-key", &key];
    let done = command(&[&set[..], &shown[..]].concat());
    assert_eq!(done.status.code(), Some(0), "{}", String::from_utf8_lossy(&done.stderr));
    let nobody = command(&set);
    let said = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert_eq!(nobody.status.code(), Some(1), "{said}");
    assert!(said.contains("401") && said.contains("certificate"), "{said}");
    let stranger = command(&["status", "--admin", &admin]);
    let said = String::from_utf8_lossy(&stranger.stderr).into_owned();
    assert!(!stranger.status.success() && said.contains("no TLS"), "{said}");
    let wrong = command(&["status", "--admin", &admin, "--ca-file", &path("none.crt")]);
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(said.contains("none.crt: cannot be read"), "{said}");
    let half = command(&["status", "--admin", &admin, "--client-key", &key]);
    assert_eq!(half.status.code(), Some(2));
}
