use std::io::Write;
use std::sync::mpsc::channel;
use std::time::UNIX_EPOCH;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::telemetry::Why;

fn entry() -> Entry {
    Entry {
        time: UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456),
        client: Some("10.0.0.1:5123".parse().unwrap()),
        protocol: http::Version::HTTP_11,
        method: Some(http::Method::GET),
        host: Some("shop.example".to_owned()),
        path: Some("/cart?x=1".to_owned()),
        status: Some(200),
        service: Some("checkout".into()),
        version: Some("new".into()),
        why: Some(Why::Key),
        fault: None,
        trace_id: None,
        span_id: None,
        outcome: "2xx",
        duration: Duration::from_micros(1_234),
        first_byte: Some(Duration::from_micros(900)),
        bytes_in: 0,
        bytes_out: 512,
        tries: 1,
        tls: None,
        client_certificate: None,
    }
}

fn with_path(path: &str) -> Entry {
    Entry { path: Some(path.to_owned()), ..entry() }
}

fn refused() -> Entry {
    Entry {
        client: None,
        method: None,
        host: None,
        path: None,
        status: None,
        service: None,
        version: None,
        why: None,
        fault: None,
        trace_id: None,
        span_id: None,
        outcome: "malformed",
        first_byte: None,
        ..entry()
    }
}

fn line(entry: &Entry, format: Format) -> String {
    let mut out = Vec::new();
    entry.write(format, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_json_line_has_every_member() {
    let value: Value = serde_json::from_str(&line(&entry(), Format::Json)).unwrap();
    let expected = json!({
        "time": "2026-09-21T14:13:20.123456Z", "client": "10.0.0.1:5123", "protocol": "HTTP/1.1", "method": "GET",
        "host": "shop.example", "path": "/cart?x=1", "status": 200, "service": "checkout", "version": "new",
        "why": "key", "fault": null, "traceId": null, "spanId": null, "outcome": "2xx", "duration": 0.001_234,
        "firstByte": 0.0009, "bytesIn": 0, "bytesOut": 512, "tries": 1, "tls": null, "clientCertificate": null,
    });
    assert_eq!(value, expected);
}

#[test]
fn a_text_line_reads_from_left_to_right() {
    assert_eq!(
        line(&entry(), Format::Text),
        "2026-09-21T14:13:20.123456Z 10.0.0.1:5123 \"GET shop.example/cart?x=1 HTTP/1.1\" 200 2xx checkout/new key \
         duration=1.234ms firstByte=0.900ms in=0 out=512 tries=1 fault=- trace=- span=-\n"
    );
}

#[test]
fn what_tls_says_of_the_client_is_at_the_end() {
    let entry = Entry { tls: Some("TLSv1.3"), client_certificate: Some("CN=ada l,C=CH".into()), ..entry() };
    assert!(line(&entry, Format::Text).ends_with(" span=- tls=TLSv1.3 clientCertificate=CN=ada\\u{20}l,C=CH\n"));
    let value: Value = serde_json::from_str(&line(&entry, Format::Json)).unwrap();
    assert_eq!((&value["tls"], &value["clientCertificate"]), (&json!("TLSv1.3"), &json!("CN=ada l,C=CH")));
}

#[test]
fn what_is_absent_is_null_or_a_dash() {
    let value: Value = serde_json::from_str(&line(&refused(), Format::Json)).unwrap();
    for member in [
        "client",
        "method",
        "host",
        "path",
        "status",
        "service",
        "version",
        "why",
        "fault",
        "traceId",
        "spanId",
        "firstByte",
    ] {
        assert_eq!(value.get(member), Some(&Value::Null), "{member}");
    }
    let text = line(&refused(), Format::Text);
    assert!(text.contains(" - \"- - HTTP/1.1\" - malformed -/- - duration=1.234ms firstByte=- in=0"), "{text}");
}

#[test]
fn what_a_client_sends_cannot_forge_text() {
    let text = line(&with_path("/a\nb \"c\\ \u{1b}[2J\u{202e}ü'"), Format::Text);
    assert!(text.contains(r#""GET shop.example/a\nb\u{20}\"c\\\u{20}\u{1b}[2J\u{202e}ü' HTTP/1.1""#), "{text}");
}

proptest! {
    #[test]
    fn any_request_is_one_line_and_json_gives_it_back(path in any::<String>(), host in any::<String>()) {
        let entry = Entry { host: Some(host.clone()), ..with_path(&path) };
        let (json, text) = (line(&entry, Format::Json), line(&entry, Format::Text));
        prop_assert_eq!(json.find('\n'), Some(json.len() - 1));
        prop_assert_eq!(text.find(char::is_control), Some(text.len() - 1));
        prop_assert_eq!(text.split(' ').count(), 17, "spaces only separate: {}", text);
        let value: Value = serde_json::from_str(&json).unwrap();
        prop_assert_eq!(value["path"].as_str(), Some(path.as_str()));
        prop_assert_eq!(value["host"].as_str(), Some(host.as_str()));
    }
}

/// Sends, waiting for room: tests are about what is written, not about a full queue.
fn send(sender: &AccessLogSender, entry: &Entry) {
    while !sender.send(entry.clone()) {
        thread::yield_now();
    }
}

#[test]
fn everything_queued_is_in_the_file_when_the_log_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    std::fs::write(&path, "what was there\n").unwrap();
    let log = AccessLog::open(Target::File(path.clone()), Format::Text).unwrap();
    thread::scope(|scope| {
        for worker in 0..4 {
            let sender = log.sender();
            scope.spawn(move || (0..5_000).for_each(|n| send(&sender, &with_path(&format!("/{worker}/{n}")))));
        }
    });
    let late = log.sender();
    drop(log);
    assert!(!late.send(entry()), "the log has ended");
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written.starts_with("what was there\n"));
    for worker in 0..4 {
        let of_worker = format!("shop.example/{worker}/");
        let numbers =
            written.lines().filter_map(|line| line.split_once(&of_worker)?.1.split(' ').next()?.parse::<u32>().ok());
        assert!(numbers.eq(0..5_000), "all of worker {worker}'s lines, in order");
    }
}

#[test]
fn a_rotated_file_is_opened_again_under_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let (path, rotated) = (folder.path().join("access.log"), folder.path().join("access.log.1"));
    let log = AccessLog::open(Target::File(path.clone()), Format::Text).unwrap();
    let sender = log.sender();
    std::fs::rename(&path, &rotated).unwrap();
    send(&sender, &with_path("/before"));
    log.reopen().unwrap();
    send(&sender, &with_path("/after"));
    drop(log);
    let (old, new) = (std::fs::read_to_string(&rotated).unwrap(), std::fs::read_to_string(&path).unwrap());
    assert!(old.contains("/before") && !old.contains("/after"), "{old}");
    assert!(new.contains("/after") && !new.contains("/before"), "{new}");
}

#[test]
fn a_file_that_cannot_be_opened_again_stays_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let (inner, moved) = (folder.path().join("inner"), folder.path().join("moved"));
    std::fs::create_dir(&inner).unwrap();
    let log = AccessLog::open(Target::File(inner.join("access.log")), Format::Text).unwrap();
    std::fs::rename(&inner, &moved).unwrap();
    assert_eq!(log.reopen().unwrap_err().kind(), io::ErrorKind::NotFound);
    send(&log.sender(), &with_path("/still"));
    drop(log);
    assert!(std::fs::read_to_string(moved.join("access.log")).unwrap().contains("/still"));
}

#[test]
fn a_folder_that_is_missing_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let target = Target::File(folder.path().join("missing/access.log"));
    assert_eq!(AccessLog::open(target, Format::Json).unwrap_err().kind(), io::ErrorKind::NotFound);
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_loses_lines_and_counts_them() {
    let log = AccessLog::open(Target::File("/dev/full".into()), Format::Json).unwrap();
    let (sender, lost) = (log.sender(), log.lost());
    (0..10).for_each(|_| send(&sender, &entry()));
    drop(log);
    assert_eq!(lost.load(Ordering::Relaxed), 10);
}

/// A disk with room for some bytes, until `reopen` makes it large.
struct SmallDisk {
    room: usize,
    written: Arc<Mutex<Vec<u8>>>,
}

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.room -= taken;
        self.written.lock().unwrap().extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for SmallDisk {
    fn reopen(&mut self) -> io::Result<()> {
        self.room = usize::MAX;
        Ok(())
    }
}

#[test]
fn a_line_torn_by_a_full_disk_is_counted_and_does_not_spoil_the_next() {
    let length = line(&entry(), Format::Text).len();
    let written = Arc::default();
    let disk = SmallDisk { room: length + 20, written: Arc::clone(&written) };
    let log = AccessLog::start(Box::new(disk), Format::Text, 16).unwrap();
    let (sender, lost) = (log.sender(), log.lost());
    (0..3).for_each(|_| send(&sender, &entry()));
    log.reopen().unwrap();
    assert_eq!(lost.load(Ordering::Relaxed), 2);
    send(&sender, &entry());
    drop(log);
    let whole = line(&entry(), Format::Text);
    let expected = format!("{whole}{}\n{whole}", &whole[..20]);
    assert_eq!(String::from_utf8(written.lock().unwrap().clone()).unwrap(), expected);
    assert_eq!(lost.load(Ordering::Relaxed), 2);
}

/// A pipe nobody reads from until the test lets it go.
struct StuckPipe {
    stuck: std::sync::mpsc::Sender<()>,
    go: Receiver<()>,
}

impl Write for StuckPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let _ = self.stuck.send(());
        // Closed once the test lets go, so only the first write waits.
        let _ = self.go.recv();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output for StuckPipe {
    fn reopen(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_stuck_reader_never_blocks_a_worker() {
    let ((stuck, is_stuck), (let_go, go)) = (channel(), channel());
    let log = AccessLog::start(Box::new(StuckPipe { stuck, go }), Format::Json, 3).unwrap();
    let sender = log.sender();
    assert!(sender.send(entry()));
    is_stuck.recv().unwrap();
    let taken = (0..10).filter(|_| sender.send(entry())).count();
    assert_eq!(taken, 3, "as many as the queue holds; the rest is dropped at once");
    drop(let_go);
    drop(log);
}
