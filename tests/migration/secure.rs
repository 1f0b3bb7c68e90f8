//! Writes on their way to the version that does not have them yet: over TLS, HTTP/2 and unix sockets.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use super::support::h2::{self, H2Upstream};
use super::support::serin::Serin;
use super::support::tls::{Ca, Front};
use super::support::{eventually, load::await_metric};
use super::{Store, await_empty_journal, config, send, view};

/// A serin whose new version is `version`, with these files.
fn start(old: &Store, version: &str, migration: &str, files: &[(&str, &str)]) -> Serin {
    let nowhere = Store::new();
    let text = config(&old.upstream, &nowhere.upstream, &format!("      stage: dualWrite\n{migration}"));
    let new = format!("upstream: \"{}\"", nowhere.upstream.url());
    assert!(text.contains(&new));
    Serin::with_files(&text.replace(&new, version), files)
}

#[test]
fn a_write_is_delivered_over_tls_by_an_own_ca_a_server_name_and_a_client_certificate() {
    let (old, new, ca) = (Store::new(), Store::new(), Ca::new("ca"));
    let front = Front::before(new.upstream.address, &ca.server(&["upstream.example"]), &["http/1.1"], Some(&ca));
    let own = ca.client("serin");
    let version = format!(
        "upstream: \"https://{}\", tls: {{ ca: ca.crt, serverName: upstream.example, certificate: own.crt, key: own.key }}",
        front.address
    );
    let files = [("ca.crt", &*ca.pem), ("own.crt", &*own.certificate), ("own.key", &*own.key)];
    let serin = start(&old, &version, "", &files);
    for thing in ["one", "two"] {
        assert_eq!(send(&serin, "PUT", "/items/1", "", thing).status, 200);
        await_empty_journal(&serin);
        assert_eq!((old.thing("/items/1").as_deref(), new.thing("/items/1").as_deref()), (Some(thing), Some(thing)));
    }
    let shaken = front.handshakes();
    assert_eq!(shaken.len(), 1, "the connection is kept");
    assert_eq!(
        (shaken[0].name.as_deref(), shaken[0].protocol.as_deref(), &shaken[0].certificate),
        (Some("upstream.example"), Some("http/1.1"), &Some(own.der()))
    );
}

#[test]
fn a_write_is_delivered_over_http_2_with_and_without_tls() {
    let ca = Ca::new("ca");
    let new = H2Upstream::answering(|_| async { http::Response::new(h2::body("kept", None)) });
    let front = Front::before(new.address, &ca.server(&["upstream.example"]), &["h2", "http/1.1"], None);
    let tls = format!("upstream: \"https://{}\", tls: {{ ca: ca.crt, serverName: upstream.example }}", front.address);
    for (number, version) in [tls, format!("upstream: \"{}\"", new.url())].into_iter().enumerate() {
        let old = Store::new();
        let serin = start(&old, &format!("{version}, protocol: h2"), "", &[("ca.crt", &ca.pem)]);
        assert_eq!(send(&serin, "PUT", "/items/1?a=b", "", "one").status, 200);
        await_empty_journal(&serin);
        let heads = new.heads();
        assert_eq!(heads.len(), number + 1);
        let head = &heads[number];
        assert_eq!((head.version, &head.method), (http::Version::HTTP_2, &http::Method::PUT));
        assert_eq!(head.uri.path_and_query().expect("a path").as_str(), "/items/1?a=b");
        assert_eq!(head.uri.authority().expect("an authority").as_str(), "shop.example");
        assert_eq!(head.uri.scheme_str(), Some(["https", "http"][number]));
        assert!(head.headers.contains_key("idempotency-key"));
    }
    assert_eq!(front.handshakes()[0].protocol.as_deref(), Some("h2"));
}

/// Passes everything on from a unix socket.
fn unix_before(path: &Path, upstream: SocketAddr) {
    let listener = UnixListener::bind(path).expect("a socket");
    let pass = |mut from: UnixStream, mut to: TcpStream| {
        let (mut back, mut forth) = (from.try_clone().expect("a clone"), to.try_clone().expect("a clone"));
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let _ = io::copy(&mut forth, &mut back);
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let upstream = TcpStream::connect(upstream).expect("an upstream");
            thread::spawn(move || pass(stream, upstream));
        }
    });
}

#[test]
fn a_write_is_delivered_by_a_unix_socket_that_may_come_later() {
    let (old, new) = (Store::new(), Store::new());
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("new.sock");
    let serin = start(&old, &format!("upstream: \"unix:{}\"", path.display()), "", &[]);
    assert_eq!(send(&serin, "PUT", "/items/1", "", "one").status, 200);
    eventually("tries in vain", || {
        (serin.metric("serin_journal_deliveries_total", &["result=\"failed\""]) >= 2.0).then_some(())
    });
    assert_eq!(view(&serin)["journal"]["entries"], 1);
    unix_before(&path, new.upstream.address);
    await_empty_journal(&serin);
    assert_eq!(new.thing("/items/1").as_deref(), Some("one"));
    assert_eq!(new.upstream.last().header("host").as_deref(), Some("shop.example"));
}

/// Passes everything on, what comes back a moment late, as from afar: whoever sends has sent more before it hears of anything.
fn far_away(upstream: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        let (mut back, mut forth) = (from.try_clone().expect("a clone"), to.try_clone().expect("a clone"));
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
        let mut chunk = [0; 16 * 1024];
        while let Ok(read @ 1..) = forth.read(&mut chunk) {
            thread::sleep(Duration::from_millis(20));
            if back.write_all(&chunk[..read]).is_err() {
                break;
            }
        }
        let _ = back.shutdown(Shutdown::Write);
    };
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let upstream = TcpStream::connect(upstream).expect("an upstream");
            thread::spawn(move || pass(stream, upstream));
        }
    });
    address
}

/// Certificates expire, also while nobody looks: a write that waits for that is no dead letter.
#[test]
fn writes_wait_while_certificates_are_refused_and_are_delivered_once_they_are_replaced() {
    let (ca, other) = (Ca::new("ca"), Ca::new("other"));
    let (right, wrong) = (ca.client("serin"), other.client("serin"));
    let files = |ca: &Ca, own: &super::support::tls::Pair| {
        [("ca.crt", ca.pem.clone()), ("own.crt", own.certificate.clone()), ("own.key", own.key.clone())]
    };
    // This end does not take the version's certificate; the version does not take this end's.
    for (what, before) in [("its CA", files(&other, &right)), ("the client's", files(&ca, &wrong))] {
        let (old, new) = (Store::new(), Store::new());
        let front = Front::before(new.upstream.address, &ca.server(&["upstream.example"]), &["http/1.1"], Some(&ca));
        let version = format!(
            "upstream: \"https://{}\", tls: {{ ca: ca.crt, serverName: upstream.example, certificate: own.crt, \
             key: own.key }}",
            far_away(front.address)
        );
        let journal = "      journal: { tries: 2, backoff: { initial: 5ms, max: 50ms } }\n";
        let before = before.each_ref().map(|(name, text)| (*name, &**text));
        let serin = start(&old, &version, journal, &before);
        for item in 0..3 {
            assert_eq!(send(&serin, "PUT", &format!("/items/{item}"), "", "one").status, 200);
        }
        assert_eq!(send(&serin, "PUT", "/items/0", "", "two").status, 200);
        eventually(&format!("tries in vain by {what}"), || {
            (serin.metric("serin_journal_deliveries_total", &["result=\"failed\""]) >= 10.0).then_some(())
        });
        assert_eq!((&view(&serin)["journal"]["deadLetters"], new.asked().len()), (&0.into(), 0), "{what}");
        for (name, text) in files(&ca, &right) {
            std::fs::write(serin.path(name), text).expect("an edit");
        }
        await_empty_journal(&serin);
        await_metric(&serin, "serin_journal_deliveries_total", &["result=\"delivered\""], 4.0);
        assert_eq!((old.thing("/items/0"), new.thing("/items/0")), (Some("two".into()), Some("two".into())), "{what}");
        assert!(front.handshakes().iter().any(|shaken| shaken.certificate == Some(right.der())), "{what}");
    }
}
