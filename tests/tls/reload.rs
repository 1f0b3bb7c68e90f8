//! Certificates are exchanged while serin runs.

use std::path::Path;

use crate::support::client::{Raw, get};
use crate::support::eventually;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::support::tls::{Ca, Front, Pair, Trust, connect};
use crate::support::upstream::Upstream;
use crate::{ask, config, shop};

fn reloads(serin: &Serin, file: &str, result: &str) -> f64 {
    serin.metric("serin_config_reload_total", &[&format!("file=\"{file}\""), &format!("result=\"{result}\"")])
}

fn await_shown(serin: &Serin, trust: &Trust, pair: &Pair) {
    eventually("the new certificate to be shown", || {
        (trust.connect(serin.web(), "shop.example").shown() == pair.der()).then_some(())
    });
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("an edit");
}

#[test]
fn a_new_pair_is_shown_and_no_connection_breaks() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let mut open = ca.trusting().connect(serin.web(), "shop.example");
    assert_eq!(ask(&mut open, "shop.example", "").status, 200);
    for _ in 0..3 {
        let next = ca.server(&["shop.example"]);
        next.write(serin.folder.path(), "shop");
        await_shown(&serin, &ca.trusting(), &next);
        assert_eq!(ask(&mut open, "shop.example", "").status, 200);
    }
    assert!(reloads(&serin, "shop.crt", "applied") >= 3.0 && reloads(&serin, "shop.key", "applied") >= 3.0);
    assert_eq!(reloads(&serin, "serin.yaml", "applied"), 0.0);
}

#[test]
fn sessions_outlive_a_new_pair_but_not_another_ca() {
    let (servers, clients, upstream) = (Ca::new("servers"), Ca::new("clients"), Upstream::named("ok"));
    let folder = tempfile::tempdir().expect("a folder");
    servers.server(&["shop.example"]).write(folder.path(), "shop");
    write(&folder.path().join("clients.crt"), &clients.pem);
    let tls = "{ certificate: shop.crt, key: shop.key, clientCa: clients.crt }";
    let serin = Serin::in_folder(folder, &config(tls, &upstream.url(), ""));
    let known = servers.trusting().showing(&clients.client("ada"));
    let remembered = known.config();
    let begun = |wanted| {
        let mut client = connect(serin.web(), "shop.example", &remembered).expect("a handshake");
        assert_eq!(ask(&mut client, "shop.example", "").status, 200);
        assert_eq!(client.stream.conn.handshake_kind(), Some(wanted));
    };
    begun(rustls::HandshakeKind::Full);
    let next = servers.server(&["shop.example"]);
    next.write(serin.folder.path(), "shop");
    await_shown(&serin, &known, &next);
    begun(rustls::HandshakeKind::Resumed);
    // Whoever was vouched for by the old CA is a stranger now, whatever they have in hand.
    write(&serin.path("clients.crt"), &Ca::new("others").pem);
    eventually("the CA to be exchanged", || (reloads(&serin, "clients.crt", "applied") == 1.0).then_some(()));
    let answer = connect(serin.web(), "shop.example", &remembered).map(|mut client| {
        client.send(crate::GET);
        client.rest()
    });
    assert!(answer.is_err() || answer.is_ok_and(|answer| answer.is_empty()));
}

#[test]
fn a_bad_pair_is_refused_and_the_old_one_stays() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let weights = "files: { weights: weights.yaml }";
    let pair = ca.server(&["shop.example"]);
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key), ("weights.yaml", "{}")];
    let serin = Serin::with_files(&config(crate::SHOP, &upstream.url(), weights), &files);
    let other = ca.server(&["shop.example"]);
    let mut refused = 0.0;
    for (file, content, says) in [
        ("shop.key", Some(&*other.key), "shop.key: the private key does not belong to the certificate in shop.crt"),
        ("shop.key", Some("nothing"), "shop.key: there is no private key in it: PEM is expected"),
        ("shop.key", None, "shop.key: cannot be read"),
    ] {
        match content {
            Some(content) => write(&serin.path(file), content),
            None => std::fs::remove_file(serin.path(file)).expect("a removal"),
        }
        refused += 1.0;
        eventually("the refusal to be counted", || (reloads(&serin, file, "refused") >= refused).then_some(()));
        let said = said(&serin, says);
        assert!(said.contains("serin.yaml:1:") && said.contains("listeners[0].tls.key"), "{said}");
        assert_eq!(ca.trusting().connect(serin.web(), "shop.example").shown(), pair.der());
    }
    assert_eq!(reloads(&serin, "shop.key", "refused"), refused, "each is said once");
    // Other files are not held up.
    write(&serin.path("weights.yaml"), "shop: { only: 7 }\n");
    eventually("the weights to be in force", || (reloads(&serin, "weights.yaml", "applied") == 1.0).then_some(()));
    // Nor are certificates by a wrong word elsewhere.
    write(&serin.path("weights.yaml"), "shop: { olny: 7 }\n");
    eventually("the weights to be refused", || (reloads(&serin, "weights.yaml", "refused") == 1.0).then_some(()));
    other.write(serin.folder.path(), "shop");
    await_shown(&serin, &ca.trusting(), &other);
}

#[test]
fn a_certificate_whose_key_comes_later_is_waited_for() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let next = ca.server(&["shop.example"]);
    write(&serin.path("shop.crt"), &next.certificate);
    eventually("it to be refused", || (reloads(&serin, "shop.crt", "refused") == 1.0).then_some(()));
    write(&serin.path("shop.key"), &next.key);
    await_shown(&serin, &ca.trusting(), &next);
}

/// A folder as the kubelet mounts a `Secret`.
fn swap(folder: &Path, version: &str, pair: &Pair) {
    std::fs::create_dir(folder.join(version)).expect("a folder");
    pair.write(&folder.join(version), "shop");
    std::os::unix::fs::symlink(version, folder.join("..data_tmp")).expect("a link");
    std::fs::rename(folder.join("..data_tmp"), folder.join("..data")).expect("a swap");
}

#[test]
fn a_secret_that_kubernetes_swaps_is_in_force() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::create_dir(&secret).expect("a folder");
    for file in ["shop.crt", "shop.key"] {
        std::os::unix::fs::symlink(format!("..data/{file}"), secret.join(file)).expect("a link");
    }
    swap(&secret, "..1", &ca.server(&["shop.example"]));
    let tls = "{ certificate: secret/shop.crt, key: secret/shop.key }";
    let serin = Serin::in_folder(folder, &config(tls, &upstream.url(), ""));
    for version in ["..2", "..3"] {
        let next = ca.server(&["shop.example"]);
        swap(&serin.path("secret"), version, &next);
        await_shown(&serin, &ca.trusting(), &next);
    }
    assert_eq!(reloads(&serin, "secret/shop.crt", "refused"), 0.0);
}

#[test]
fn a_listener_gets_tls_and_loses_it_while_it_listens() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let secured = config(crate::SHOP, &upstream.url(), "");
    let plain = secured.replace(&format!(", tls: {}", crate::SHOP), "");
    let serin = Serin::new(&plain);
    let mut open = Raw::connect(serin.web());
    assert_eq!(ask(&mut open, "shop.example", "").status, 200);
    // The files it names are not there yet.
    write(&serin.path("serin.yaml"), &secured);
    said(&serin, "shop.crt: cannot be read");
    assert_eq!(get(serin.web(), "/", "").status, 200);
    let pair = ca.server(&["shop.example"]);
    pair.write(serin.folder.path(), "shop");
    eventually("TLS", || connect(serin.web(), "shop.example", &ca.trusting().config()).ok());
    assert_eq!(ask(&mut open, "shop.example", "").status, 200, "what is open goes on as it is");
    let mut inside = ca.trusting().connect(serin.web(), "shop.example");
    write(&serin.path("serin.yaml"), &plain);
    eventually("no TLS", || {
        let mut client = Raw::connect(serin.web());
        client.send(crate::GET).until(b"HTTP/1.1 200")
    });
    assert_eq!(ask(&mut inside, "shop.example", "").status, 200);
}

#[test]
fn what_is_shown_to_an_upstream_is_exchanged_as_well() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let server = ca.server(&["upstream.example"]);
    let front = Front::before(upstream.address, &server, &["http/1.1"], Some(&ca));
    let folder = tempfile::tempdir().expect("a folder");
    let first = ca.client("first");
    first.write(folder.path(), "own");
    write(&folder.path().join("ca.crt"), &ca.pem);
    let version = format!(
        "upstream: \"https://{}\", tls: {{ ca: ca.crt, serverName: upstream.example, certificate: own.crt, key: own.key }}",
        front.address
    );
    let serin = Serin::in_folder(folder, &crate::support::sidecar::config(&version, "", ""));
    assert_eq!(get(serin.web(), "/", "").status, 200);
    let next = ca.client("next");
    next.write(serin.folder.path(), "own");
    eventually("the new certificate to be shown", || {
        assert_eq!(get(serin.web(), "/", "").status, 200);
        (front.handshakes().last()?.certificate == Some(next.der())).then_some(())
    });
    let expiry = |subject: &str| {
        let subject = format!("subject=\"CN={subject}\"");
        serin.metric("serin_tls_certificate_expiry_timestamp_seconds", &["file=\"own.crt\"", &subject])
    };
    assert!(expiry("next") > 0.0 && expiry("first") == 0.0);
}

#[test]
fn until_when_certificates_are_valid_is_a_figure() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let pair = ca.server_with(&["shop.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2));
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key)];
    let serin = Serin::with_files(&config(crate::SHOP, &upstream.url(), ""), &files);
    let labels = ["file=\"shop.crt\"", "shown_by=\"listener\"", "subject=\"CN=shop.example\""];
    assert_eq!(serin.metric("serin_tls_certificate_expiry_timestamp_seconds", &labels), 1_577_923_200.0);
    assert!(serin.stderr().contains("shop.crt: the certificate has expired"), "{}", serin.stderr());
}
