use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::names::Names;
use super::*;

/// A self-signed certificate, as PEM, and its key.
fn pair(names: &[&str], change: impl FnOnce(&mut CertificateParams)) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, "ada");
    change(&mut params);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()
}

fn material(files: &[(&str, &str)]) -> Material {
    let mut material = Material::default();
    for (path, content) in files {
        material.insert(path.into(), Ok(content.as_bytes().to_vec()));
    }
    material
}

fn files(name: &str, client_auth: ClientAuth) -> ServerCertificate {
    let path = |end: &str| PathBuf::from(format!("{name}.{end}"));
    ServerCertificate { files: CertificateFiles { certificate: path("crt"), key: path("key") }, client_auth }
}

fn server(certificates: Vec<ServerCertificate>) -> ServerFiles {
    ServerFiles { certificates, min_version: MinVersion::Tls12 }
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let faults = Server::new(&server(vec![self::files("a", ClientAuth::None)]), &material(files), None).unwrap_err();
    faults.iter().map(Fault::to_string).collect()
}

#[test]
fn an_exact_name_wins_over_a_wildcard_which_stands_for_one_label() {
    let mut names = Names::default();
    for (position, name) in
        ["*.shop.example", "own.shop.example", "shop.example", "own.shop.example"].iter().enumerate()
    {
        names.add(name, position);
    }
    for (name, found) in [
        ("own.shop.example", &[1, 3][..]),
        ("OWN.Shop.example.", &[1, 3]),
        ("any.shop.example", &[0]),
        ("shop.example", &[2]),
        ("a.b.shop.example", &[]),
        (".shop.example", &[]),
        ("example", &[]),
        ("", &[]),
    ] {
        assert_eq!(names.find(name), found, "{name}");
    }
}

#[test]
fn what_is_wrong_with_files_is_said_of_each() {
    let ((certificate, key), (_, other)) = (pair(&["a.example"], |_| {}), pair(&["a.example"], |_| {}));
    assert_eq!(faults(&[("a.crt", &certificate)]), ["a.key: was not read"]);
    assert_eq!(
        faults(&[("a.crt", ""), ("a.key", "none")]),
        [
            "a.crt: there is no certificate in it: PEM is expected",
            "a.key: there is no private key in it: PEM is expected"
        ]
    );
    assert_eq!(
        faults(&[("a.crt", &certificate), ("a.key", &other)]),
        ["a.key: the private key does not belong to the certificate in a.crt"]
    );
    assert_eq!(
        faults(&[("a.crt", &certificate[..certificate.len() / 2]), ("a.key", &key)]),
        ["a.crt: not PEM: a section has no end"]
    );
    let wrong = certificate.replacen("MII", "!!!", 1);
    assert_eq!(faults(&[("a.crt", &wrong), ("a.key", &key)]), ["a.crt: not PEM: a section is not base64"]);
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(faults(&[("a.crt", not_der), ("a.key", &key)])[0].starts_with("a.crt: a certificate in it cannot be read"));
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(
        faults(&[("a.crt", &certificate), ("a.key", encrypted)]),
        ["a.key: the private key is encrypted: it must not be"]
    );
    let swapped = faults(&[("a.crt", &key), ("a.key", &certificate)]);
    assert_eq!(swapped.len(), 2, "{swapped:?}");
    assert!(!format!("{swapped:?}").contains("MII"), "no word of a key is ever said: {swapped:?}");
}

#[test]
fn a_certificate_that_nobody_can_ask_for_must_be_the_first() {
    let ((one, one_key), (nameless, nameless_key)) = (pair(&["a.example"], |_| {}), pair(&[], |_| {}));
    let material = material(&[("a.crt", &one), ("a.key", &one_key), ("b.crt", &nameless), ("b.key", &nameless_key)]);
    let order = |first, second| server(vec![files(first, ClientAuth::None), files(second, ClientAuth::None)]);
    assert!(Server::new(&order("b", "a"), &material, None).is_ok());
    let faults = Server::new(&order("a", "b"), &material, None).unwrap_err();
    assert_eq!(faults[0].to_string(), "b.crt: there is no DNS name in it, so nobody would ever be shown it");
}

#[test]
fn names_that_ask_different_things_of_clients_share_neither_sessions_nor_tickets() {
    let (ca, _) = pair(&[], |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let pairs = ["a.example", "b.example", "c.example", "d.example"].map(|name| pair(&[name], |_| {}));
    let mut material = material(&[("ca.crt", &ca)]);
    for (name, (certificate, key)) in ["a", "b", "c", "d"].iter().zip(&pairs) {
        material.insert(format!("{name}.crt").into(), Ok(certificate.clone().into_bytes()));
        material.insert(format!("{name}.key").into(), Ok(key.clone().into_bytes()));
    }
    let written = server(vec![
        files("a", ClientAuth::None),
        files("b", ClientAuth::Required("ca.crt".into())),
        files("c", ClientAuth::Optional("ca.crt".into())),
        files("d", ClientAuth::None),
    ]);
    let first = Server::new(&written, &material, None).unwrap();
    let group = |name| first.choose(Some(name)).group;
    assert_eq!((group("a.example"), group("d.example"), group("unknown.example")), (0, 0, 0));
    assert_eq!((group("b.example"), group("c.example"), first.has_groups()), (1, 2, true));
    let config = |server: &Server, name| Arc::clone(server.choose(Some(name)).config);
    let stores = |server: &Server| {
        ["a.example", "b.example", "c.example"].map(|name| config(server, name).session_storage.clone())
    };
    let tickets =
        |server: &Server| ["a.example", "b.example", "c.example"].map(|name| config(server, name).ticketer.clone());
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        assert!(!Arc::ptr_eq(&stores(&first)[one], &stores(&first)[other]));
        assert!(!Arc::ptr_eq(&tickets(&first)[one], &tickets(&first)[other]));
    }
    // Another certificate does not end sessions; another CA does, of those that it vouched for.
    let (again, again_key) = pair(&["b.example"], |_| {});
    material.insert("b.crt".into(), Ok(again.into_bytes()));
    material.insert("b.key".into(), Ok(again_key.into_bytes()));
    let second = Server::new(&written, &material, Some(&first)).unwrap();
    assert_ne!(first, second);
    for group in 0..3 {
        assert!(Arc::ptr_eq(&stores(&first)[group], &stores(&second)[group]));
        assert!(Arc::ptr_eq(&tickets(&first)[group], &tickets(&second)[group]));
    }
    let (other, _) = pair(&[], |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    material.insert("ca.crt".into(), Ok(other.into_bytes()));
    let third = Server::new(&written, &material, Some(&second)).unwrap();
    assert!(Arc::ptr_eq(&tickets(&second)[0], &tickets(&third)[0]));
    assert!((1..3).all(|group| !Arc::ptr_eq(&tickets(&second)[group], &tickets(&third)[group])));
    assert!((1..3).all(|group| !Arc::ptr_eq(&stores(&second)[group], &stores(&third)[group])));
    assert_eq!(third, Server::new(&written, &material, Some(&third)).unwrap(), "the same files make the same");
}

#[test]
fn a_subject_is_written_so_that_nothing_in_it_can_be_taken_for_its_structure() {
    let subject = |name: &str| {
        let (certificate, _) = pair(&[], |params| {
            params.distinguished_name = rcgen::DistinguishedName::new();
            params.distinguished_name.push(DnType::CountryName, "CH");
            params.distinguished_name.push(DnType::CommonName, DnValue::Utf8String(name.to_owned()));
        });
        Identity::new(&der(&certificate), &[]).unwrap().subject().to_string()
    };
    for (name, written) in [
        ("ada", "CN=ada,C=CH"),
        ("Shop, \"Inc.\"; a+b\\c<d>", "CN=Shop\\, \\\"Inc.\\\"\\; a\\+b\\\\c\\<d\\>,C=CH"),
        ("#1 ", "CN=\\#1\\ ,C=CH"),
        ("Zoë\r\n", "CN=Zo\\C3\\AB\\0D\\0A,C=CH"),
        ("ada,CN=root", "CN=ada\\,CN=root,C=CH"),
    ] {
        assert_eq!(subject(name), written);
    }
}

#[test]
fn an_identity_is_written_as_envoy_does_and_cannot_name_another() {
    let (certificate, _) = pair(&["ada.example"], |params| {
        let uri = |uri: &str| SanType::URI(uri.try_into().unwrap());
        params.subject_alt_names.push(uri("spiffe://shop/ada"));
        params.subject_alt_names.push(uri("https://a/?x=1;Hash=2,By=\"root\""));
    });
    let identity = Identity::new(&der(&certificate), &["spiffe://shop/serin".to_owned()]).unwrap();
    let hash = identity.part(Part::Hash).unwrap();
    assert_eq!(
        identity.forwarded().to_str().unwrap(),
        format!(
            "By=spiffe://shop/serin;Hash={hash};Subject=\"CN=ada\";URI=spiffe://shop/ada;\
             URI=\"https://a/?x=1;Hash=2,By=\\\"root\\\"\";DNS=ada.example"
        )
    );
    assert_eq!((hash.len(), identity.part(Part::Subject)), (64, Some("CN=ada")));
    assert_eq!((identity.part(Part::Uri), identity.part(Part::Dns)), (Some("spiffe://shop/ada"), Some("ada.example")));
    let (nameless, _) = pair(&[], |_| {});
    let identity = Identity::new(&der(&nameless), &[]).unwrap();
    assert_eq!((identity.part(Part::Uri), identity.part(Part::Dns)), (None, None));
    assert!(Identity::new(b"nonsense", &[]).is_none());
}

#[test]
fn a_connector_is_whole_or_says_what_is_wrong() {
    let (certificate, key) = pair(&[], |params| params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained));
    let own = CertificateFiles { certificate: "own.crt".into(), key: "own.key".into() };
    let files = ClientFiles { ca: Some("ca.crt".into()), server_name: None, certificate: Some(own) };
    let all = [("ca.crt", &*certificate), ("own.crt", &*certificate), ("own.key", &*key)];
    let whole = Connector::new(&files, &material(&all)).unwrap();
    assert_eq!(whole.config(Speaks::Http1).alpn_protocols, [b"http/1.1"]);
    assert_eq!(whole.config(Speaks::H2).alpn_protocols, [b"h2"]);
    assert_eq!(whole, Connector::new(&files, &material(&all)).unwrap());
    let faults = Connector::new(&files, &material(&[("ca.crt", ""), ("own.crt", &certificate), ("own.key", "")]));
    let faults: Vec<_> = faults.unwrap_err().iter().map(Fault::to_string).collect();
    assert_eq!(
        faults,
        [
            "ca.crt: there is no certificate in it: PEM is expected",
            "own.key: there is no private key in it: PEM is expected"
        ]
    );
}
