//! What is asked without credentials, and slow or silent clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use crate::support::client::Raw;
use crate::support::load::said;
use crate::support::serin::Serin;
use crate::support::{PATIENCE, eventually};
use crate::{bearer, changing, config, problem, read, tokens};

#[test]
fn probes_answer_everybody_and_figures_and_reads_can_be_protected() {
    let serin = Serin::with_files(
        &config("{ address: 127.0.0.1:0, tokens: tokens.yaml, reads: protected, metrics: protected }"),
        &[("tokens.yaml", &tokens(&[("eve", "viewer", "secret")]))],
    );
    for path in ["/livez", "/readyz"] {
        assert_eq!(read(&serin, path, "").status, 200, "{path}");
    }
    for path in ["/metrics", "/api/v1/services", "/api/v1/services/shop", "/api/v1/openapi.json"] {
        problem(&read(&serin, path, ""), 401);
        assert_eq!(read(&serin, path, &bearer("secret")).status, 200, "{path}");
    }
    let open = Serin::new(&config("{ address: 127.0.0.1:0 }"));
    for path in ["/", "/metrics", "/api/v1/services"] {
        assert_eq!(read(&open, path, "").status, 200, "{path}");
    }
}

#[test]
fn what_is_not_there_or_not_offered_says_so_to_everybody() {
    let serin = Serin::new(&config("{ address: 127.0.0.1:0, reads: protected }"));
    problem(&read(&serin, "/api/v1/nothing", ""), 404);
    let deletion = changing("localhost", "").replacen("PUT", "DELETE", 1);
    problem(&crate::support::client::request(serin.admin(), &deletion), 405);
}

#[test]
fn at_a_unix_socket_the_user_behind_it_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("admin.sock");
    let ask = |text: &str| {
        let stream = UnixStream::connect(&path).expect("connect");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Raw::over(stream).send(text).response(false).expect("an answer")
    };
    let json = "content-type: application/json\r\n";
    let at = |more: &str| config(&format!("{{ address: \"unix:{}\"{more} }}", path.display()));
    let closed = Serin::new(&at(""));
    problem(&ask(&changing("any", json)), 403);
    drop(closed);
    let open = Serin::new(&at(", open: true"));
    // No web page reaches it, so any host will do.
    assert_eq!(ask(&changing("any", json)).status, 200);
    let uid = std::fs::metadata(&path).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).expect("its owner");
    let log = said(&open, "weights changed");
    let line = log.lines().find(|line| line.contains("weights changed")).expect("a line");
    assert!(line.contains(&format!("uid {uid}")), "{line}");
}

#[test]
fn connections_have_a_bound_and_those_that_are_open_go_on() {
    let serin = Serin::new(&config("{ address: 127.0.0.1:0, open: true }"));
    let mut first = Raw::connect(serin.admin());
    let ask = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
    assert_eq!(first.send(ask).response(false).expect("an answer").status, 200);
    let connect = || TcpStream::connect(serin.admin()).expect("connect");
    let mut others: Vec<TcpStream> = (0..511).map(|_| connect()).collect();
    let is_refused = || {
        let mut one_more = connect();
        one_more.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let sent = one_more.write_all(ask.as_bytes());
        sent.is_err() || !matches!(one_more.read(&mut [0; 64]), Ok(1..))
    };
    assert!(is_refused());
    assert_eq!(first.send(ask).response(false).expect("an answer").status, 200);
    others.truncate(500);
    eventually("room again", || (!is_refused()).then_some(()));
}
