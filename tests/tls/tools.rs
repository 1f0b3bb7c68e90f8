//! Other people's clients. Each is skipped aloud where it is missing, and required where `CI=true`.

use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::support::serin::Serin;
use crate::support::tls::Ca;
use crate::support::upstream::Upstream;
use crate::{config, shop};

/// What a program says; `None` where it is not installed.
///
/// # Panics
/// If it is not and `CI=true`.
fn run(program: &str, args: &[&str], how: &str) -> Option<Output> {
    let output = Command::new(program).args(args).stdin(Stdio::null()).output().ok();
    assert!(output.is_some() || std::env::var("CI").as_deref() != Ok("true"), "CI needs `{program}`: {how}");
    if output.is_none() {
        eprintln!("SKIPPED: `{program}` is not installed");
    }
    output
}

#[test]
fn curl_is_answered_over_both_protocols_and_shows_its_certificate() {
    let (servers, clients, upstream) = (Ca::new("servers"), Ca::new("clients"), Upstream::named("ok"));
    let folder = tempfile::tempdir().expect("a folder");
    servers.server(&["shop.example"]).write(folder.path(), "shop");
    clients.client("curl").write(folder.path(), "curl");
    std::fs::write(folder.path().join("clients.crt"), &clients.pem).expect("a file");
    std::fs::write(folder.path().join("servers.crt"), &servers.pem).expect("a file");
    let tls = "{ certificate: shop.crt, key: shop.key, clientCa: clients.crt }";
    let serin = Serin::in_folder(folder, &config(tls, &upstream.url(), ""));
    let file = |name: &str| serin.path(name).display().to_string();
    let resolve = format!("shop.example:{}:127.0.0.1", serin.web().port());
    let url = format!("https://shop.example:{}/item", serin.web().port());
    for protocol in ["--http1.1", "--http2"] {
        for version in ["1.2", "1.3"] {
            let (ca, own, key) = (file("servers.crt"), file("curl.crt"), file("curl.key"));
            let args = ["-sS", protocol, "--tls-max", version, "--resolve", &resolve, "--cacert", &ca];
            let with =
                [&args[..], &["--cert", &own, "--key", &key, "-w", " %{http_version} %{http_code}", &url]].concat();
            let Some(said) = run("curl", &with, "apt-get install curl") else { return };
            let wanted = if protocol == "--http2" { "ok 2 200" } else { "ok 1.1 200" };
            assert_eq!(String::from_utf8_lossy(&said.stdout), wanted, "{}", String::from_utf8_lossy(&said.stderr));
            let without = run("curl", &[&args[..], &[&url]].concat(), "apt-get install curl").expect("installed");
            assert!(!without.status.success());
        }
    }
    assert!(upstream.last().header("x-forwarded-client-cert").is_some_and(|cert| cert.contains("CN=curl")));
}

#[test]
fn openssl_resumes_its_session() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let address = serin.web().to_string();
    for version in ["-tls1_2", "-tls1_3"] {
        let args = ["s_client", "-connect", &address, "-servername", "shop.example", "-reconnect", version];
        let Some(said) = run("openssl", &args, "apt-get install openssl") else { return };
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        // Under TLS 1.3 it does not wait for tickets when it reconnects, so all that is asked is that it connects.
        let count = said.matches(if version == "-tls1_2" { "Reused, TLSv1.2" } else { "TLSv1.3, Cipher is" }).count();
        assert!(count >= 5, "{version}: {said}");
    }
}

#[test]
fn openssl_finds_no_way_to_renegotiate_or_to_older_versions() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let serin = shop(&ca, &upstream);
    let address = serin.web().to_string();
    for args in [&["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"][..], &["-tls1_2", "-cipher", "AES128-SHA:@SECLEVEL=0"]] {
        let args = [&["s_client", "-connect", &address, "-servername", "shop.example"], args].concat();
        let Some(said) = run("openssl", &args, "apt-get install openssl") else { return };
        assert!(String::from_utf8_lossy(&said.stdout).contains("Cipher is (NONE)"), "{args:?}");
    }
}

/// Mozilla's intermediate configuration, as sslyze checks it: versions, suites, groups, the certificate's kind and term.
#[test]
fn sslyze_finds_mozillas_intermediate_configuration() {
    let (ca, upstream) = (Ca::new("ca"), Upstream::named("ok"));
    let pair = ca.server_with(&["shop.example"], |params| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        let day = Duration::from_hours(24);
        params.not_before = rcgen::date_time_ymd(1970, 1, 1) + now.saturating_sub(day);
        params.not_after = params.not_before + 89 * day;
    });
    let files = [("shop.crt", &*pair.certificate), ("shop.key", &*pair.key)];
    let serin = Serin::with_files(&config(crate::SHOP, &upstream.url(), ""), &files);
    std::fs::write(serin.path("ca.crt"), &ca.pem).expect("a file");
    let (address, roots) = (serin.web().to_string(), serin.path("ca.crt").display().to_string());
    let args = ["--mozilla_config", "intermediate", "--sni", "shop.example", "--certinfo_ca_file", &roots, &address];
    let Some(said) = run("sslyze", &args, "pip install sslyze") else { return };
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    assert!(said.contains("OK - Compliant"), "{said}");
}
