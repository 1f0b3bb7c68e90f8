//! `serin check` reads the files of certificates as well.

use std::path::Path;

use crate::SHOP;
use crate::config;
use crate::support::serin::command;
use crate::support::tls::Ca;

/// Exit code, standard output and standard error of `serin check` in a folder with this configuration.
fn check(folder: &Path, config: &str) -> (Option<i32>, String, String) {
    let path = folder.join("serin.yaml");
    std::fs::write(&path, config).expect("serin.yaml");
    let output = command(&["check", "--config", &path.display().to_string()]);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace(&format!("{}/", folder.display()), "");
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_file_that_cannot_be_used_is_an_error_at_the_place_where_it_is_named() {
    let ca = Ca::new("ca");
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(SHOP, "http://127.0.0.1:8401", "");
    let (code, out, err) = check(folder.path(), &config);
    assert_eq!((code, &*out), (Some(2), ""));
    let expected = "\
serin.yaml:1:69: listeners[0].tls.certificate: shop.crt: cannot be read: No such file or directory (os error 2)
  |
1 | listeners: [ { name: web, address: 127.0.0.1:0, tls: { certificate: shop.crt, key: shop.key } } ]
  |                                                                     ^^^^^^^^

serin.yaml:1:84: listeners[0].tls.key: shop.key: cannot be read: No such file or directory (os error 2)
";
    assert!(err.starts_with(expected), "{err}");
    ca.server(&["shop.example"]).write(folder.path(), "shop");
    let (code, out, err) = check(folder.path(), &config);
    assert_eq!((code, &*out, &*err), (Some(0), "serin.yaml: valid: 1 listener, 1 service, 1 route\n", ""));
    std::fs::write(folder.path().join("shop.key"), ca.server(&["shop.example"]).key).expect("another key");
    let (code, _, err) = check(folder.path(), &config);
    assert_eq!(code, Some(2));
    let message = "listeners[0].tls.key: shop.key: the private key does not belong to the certificate in shop.crt\n";
    assert!(err.contains(message), "{err}");
}

#[test]
fn a_certificate_that_has_expired_is_a_warning() {
    let folder = tempfile::tempdir().expect("a folder");
    let pair =
        Ca::new("ca").server_with(&["shop.example"], |params| params.not_after = rcgen::date_time_ymd(2020, 1, 2));
    pair.write(folder.path(), "shop");
    let (code, _, err) = check(folder.path(), &config(SHOP, "http://127.0.0.1:8401", ""));
    assert_eq!(code, Some(0));
    let message = "warning: serin.yaml:1:69: listeners[0].tls.certificate: shop.crt: the certificate has expired\n";
    assert!(err.starts_with(message), "{err}");
}

#[test]
fn files_of_upstreams_are_read_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = crate::support::sidecar::config("upstream: \"https://127.0.0.1:8401\", tls: { ca: ca.crt }", "", "");
    std::fs::write(folder.path().join("ca.crt"), "not a certificate").expect("a file");
    let (code, _, err) = check(folder.path(), &config);
    assert_eq!(code, Some(2));
    let message = "services.shop.versions.only.tls.ca: ca.crt: there is no certificate in it: PEM is expected\n";
    assert!(err.contains(message), "{err}");
}
