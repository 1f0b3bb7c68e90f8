//! Other people's clients. They need Debian's `nghttp2-client` and `curl`: skipped aloud where they are missing, required where
//! `CI=true`.

use std::process::{Command, Stdio};

use crate::support::serin::Serin;
use crate::support::sidecar;
use crate::support::upstream::Upstream;

/// What a program says, or `None` where it is not installed.
///
/// # Panics
/// If it is not and `CI=true`.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let Ok(output) = Command::new(program).args(arguments).stdin(Stdio::null()).output() else {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI needs `{program}`: apt-get install it");
        eprintln!("SKIPPED: `{program}` is not installed");
        return None;
    };
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

fn serin() -> (Upstream, Serin) {
    let upstream = Upstream::named(&"x".repeat(100));
    let serin = sidecar::before(&upstream.url());
    (upstream, serin)
}

#[test]
fn every_request_of_h2load_is_answered() {
    let (_upstream, serin) = serin();
    let url = format!("http://{}/", serin.web());
    let Some(said) = said_by("h2load", &["-n", "5000", "-c", "4", "-m", "32", &url]) else { return };
    assert!(said.contains("5000 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(said.contains("status codes: 5000 2xx"), "{said}");
}

#[test]
fn uploads_of_h2load_are_answered() {
    let (upstream, serin) = serin();
    let file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(file.path(), vec![b'y'; 300_000]).expect("a file");
    let (url, path) = (format!("http://{}/", serin.web()), file.path().to_string_lossy().into_owned());
    let Some(said) = said_by("h2load", &["-n", "60", "-c", "2", "-m", "10", "-d", &path, &url]) else { return };
    assert!(said.contains("60 succeeded, 0 failed, 0 errored, 0 timeout"), "{said}");
    assert!(upstream.requests().iter().all(|request| request.body.len() == 300_000));
}

#[test]
fn nghttp_and_curl_are_content() {
    let (_upstream, serin) = serin();
    let url = format!("http://{}/", serin.web());
    if let Some(said) = said_by("nghttp", &["-v", "--window-bits=3", &url]) {
        assert!(said.contains(":status: 200") && !said.contains("RST_STREAM"), "{said}");
    }
    let arguments =
        ["-sS", "--http2-prior-knowledge", "-w", "%{http_version} %{http_code}", "-d", "hello", "-o", "/dev/null"];
    if let Some(said) = said_by("curl", &[&arguments[..], &[&url]].concat()) {
        assert_eq!(said, "2 200");
    }
}
