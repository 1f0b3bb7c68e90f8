//! A real nginx behind serin. Needs Debian's `nginx-light` (and for one test `wrk`): skipped aloud where they are missing,
//! required where `CI=true`.

#![allow(clippy::float_cmp, reason = "counts are whole numbers, and shares are compared with what was set")]

mod support;

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use support::client::{Raw, Response};
use support::eventually;
use support::load::{Load, WITH_WEIGHTS, ask, named, shop_at};
use support::serin::Serin;

/// Whether a program is there.
///
/// # Panics
/// If it is not and `CI=true`.
fn installed(program: &str) -> bool {
    let there = Command::new(program).arg("-v").stdin(Stdio::null()).output().is_ok();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "CI needs `{program}`: apt-get install it");
    if !there {
        eprintln!("SKIPPED: `{program}` is not installed");
    }
    there
}

/// An nginx that serves `www` of its folder, names itself at `/item`, takes files by PUT at `/up/` and answers chunked at
/// `/chunked`.
struct Nginx {
    folder: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
}

impl Nginx {
    fn start(name: &str) -> Self {
        // nginx cannot be asked for any port, so one that was free is tried, and another if it was taken meanwhile.
        (0..20).find_map(|_| Self::try_start(name)).expect("nginx starts")
    }

    fn try_start(name: &str) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        for sub in ["www", "www/up", "tmp"] {
            std::fs::create_dir(folder.path().join(sub)).expect("a folder");
        }
        let root = folder.path().display();
        let config = format!(
            "daemon off; master_process off; worker_processes 1; pid {root}/pid; error_log stderr error;\n\
             events {{ worker_connections 512; }}\n\
             http {{\n\
               access_log off; default_type text/plain; client_max_body_size 0; keepalive_requests 50;\n\
               client_body_temp_path {root}/tmp; proxy_temp_path {root}/tmp; fastcgi_temp_path {root}/tmp;\n\
               uwsgi_temp_path {root}/tmp; scgi_temp_path {root}/tmp;\n\
               server {{\n\
                 listen {address}; root {root}/www;\n\
                 location = /item {{ return 200 {name}; }}\n\
                 location = /chunked {{ gzip on; gzip_types text/plain; gzip_min_length 1; try_files /big.txt =404; }}\n\
                 location /up/ {{ dav_methods PUT; }}\n\
               }}\n\
             }}\n"
        );
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, config).expect("nginx.conf");
        let child = Command::new("nginx")
            .args(["-e", "stderr", "-c"])
            .arg(&path)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx starts");
        let mut nginx = Self { folder, child, address };
        let ended = eventually("nginx to listen", || {
            let ended = nginx.child.try_wait().expect("a child").is_some();
            (ended || TcpStream::connect(address).is_ok()).then_some(ended)
        });
        (!ended).then_some(nginx)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("www").join(name)
    }

    fn url(&self) -> String {
        format!("\"http://{}\"", self.address)
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn before(nginx: &Nginx) -> Serin {
    Serin::new(&shop_at(&[("only", nginx.url())], "", ""))
}

/// Sends a request on a kept connection and reads the answer.
fn exchange(connection: &mut Raw, line: &str, headers: &str) -> Response {
    connection.send(format!("{line} HTTP/1.1\r\nhost: shop.example\r\n{headers}\r\n"));
    connection.response(line.starts_with("HEAD")).expect("an answer")
}

/// Bytes that repeat nowhere soon.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    (0..length.div_ceil(8)).flat_map(step).take(length).collect()
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("a file");
}

#[test]
fn connections_are_kept_on_both_sides() {
    if !installed("nginx") {
        return;
    }
    let nginx = Nginx::start("only");
    let serin = before(&nginx);
    let mut connection = Raw::connect(serin.web());
    // More than nginx answers on one connection.
    for _ in 0..200 {
        assert_eq!(named(&ask(&mut connection, "")), "only");
    }
}

#[test]
fn files_cross_whole_in_both_directions() {
    if !installed("nginx") {
        return;
    }
    let nginx = Nginx::start("only");
    let big = noise(20 << 20);
    write(&nginx.file("big.bin"), &big);
    let serin = before(&nginx);
    let mut connection = Raw::connect(serin.web());
    let down = exchange(&mut connection, "GET /big.bin", "");
    assert_eq!((down.status, down.body.len()), (200, big.len()));
    assert!(down.body == big, "the bytes are the file's");
    let mut sending = connection.stream.try_clone().expect("a second handle");
    let sent = big.clone();
    let sender = std::thread::spawn(move || {
        use std::io::Write;
        let head = format!("PUT /up/copy.bin HTTP/1.1\r\nhost: shop.example\r\ncontent-length: {}\r\n\r\n", sent.len());
        sending.write_all(head.as_bytes()).and_then(|()| sending.write_all(&sent))
    });
    let up = connection.response(false).expect("an answer");
    sender.join().expect("no panic").expect("everything was taken");
    assert_eq!(up.status, 201);
    assert!(std::fs::read(nginx.file("up/copy.bin")).expect("the copy") == big, "the bytes are the client's");
    // The same with a body of unknown length.
    let mut body = Vec::new();
    for chunk in big[..1 << 20].chunks(50_000) {
        body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        body.extend(chunk);
        body.extend(b"\r\n");
    }
    body.extend(b"0\r\n\r\n");
    connection
        .send("PUT /up/chunked.bin HTTP/1.1\r\nhost: shop.example\r\ntransfer-encoding: chunked\r\n\r\n")
        .send(body);
    assert_eq!(connection.response(false).expect("an answer").status, 201);
    assert!(std::fs::read(nginx.file("up/chunked.bin")).expect("the copy") == big[..1 << 20]);
}

#[test]
fn what_nginx_says_of_a_file_arrives() {
    if !installed("nginx") {
        return;
    }
    let nginx = Nginx::start("only");
    write(&nginx.file("page.txt"), b"0123456789");
    write(&nginx.file("big.txt"), "words and words\n".repeat(50_000).as_bytes());
    let serin = before(&nginx);
    let mut connection = Raw::connect(serin.web());
    let page = exchange(&mut connection, "GET /page.txt", "");
    assert_eq!((page.status, page.text().as_str()), (200, "0123456789"));
    let tag = page.header("etag").expect("an entity tag").to_owned();

    let head = exchange(&mut connection, "HEAD /page.txt", "");
    assert_eq!((head.status, head.header("content-length"), head.body.len()), (200, Some("10"), 0));
    let cached = exchange(&mut connection, "GET /page.txt", &format!("if-none-match: {tag}\r\n"));
    assert_eq!((cached.status, cached.header("etag"), cached.body.len()), (304, Some(tag.as_str()), 0));
    let part = exchange(&mut connection, "GET /page.txt", "range: bytes=2-5\r\n");
    assert_eq!((part.status, part.text().as_str()), (206, "2345"));
    assert_eq!(part.header("content-range"), Some("bytes 2-5/10"));
    let beyond = exchange(&mut connection, "GET /page.txt", "range: bytes=20-\r\n");
    assert_eq!(beyond.status, 416);
    let chunked = exchange(&mut connection, "GET /chunked", "accept-encoding: gzip\r\n");
    assert_eq!((chunked.status, chunked.header("content-encoding")), (200, Some("gzip")));
    assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
    assert_eq!(chunked.body[..2], [0x1f, 0x8b], "gzip's first bytes");
    assert_eq!(exchange(&mut connection, "GET /none", "").status, 404);
    let continued = {
        connection
            .send("PUT /up/small HTTP/1.1\r\nhost: shop.example\r\nexpect: 100-continue\r\ncontent-length: 4\r\n\r\n");
        assert_eq!(connection.head().expect("an interim answer").status, 100);
        connection.send("body").response(false).expect("an answer")
    };
    assert_eq!(continued.status, 201);
    assert_eq!(std::fs::read(nginx.file("up/small")).expect("the copy"), b"body");
}

#[test]
fn a_split_that_is_edited_under_load_loses_nothing() {
    if !installed("nginx") {
        return;
    }
    let nginxes = [Nginx::start("old"), Nginx::start("new")];
    let text = shop_at(&[("old", nginxes[0].url()), ("new", nginxes[1].url())], "", WITH_WEIGHTS);
    let serin = Serin::with_files(&text, &[("weights.yaml", "shop: { old: 100 }\n")]);
    let load = Load::start(serin.web(), 4);
    let wrk = installed("wrk").then(|| {
        let url = format!("http://{}/item", serin.web());
        let wrk = Command::new("wrk").args(["-t1", "-c8", "-d2s", &url]).stdout(Stdio::piped()).spawn();
        wrk.expect("wrk starts")
    });
    for new in (10..=100).step_by(10) {
        load.await_more(100);
        std::fs::write(serin.path("weights.yaml"), format!("shop: {{ old: {}, new: {new} }}\n", 100 - new))
            .expect("an edit");
        serin.await_share("shop", "new", f64::from(new) / 100.0);
    }
    let tally = load.stop();
    assert_eq!((tally.failed(), tally.broken, tally.closed), (0, 0, 0), "{tally:?}");
    assert!(tally.of("old") > 0 && tally.of("new") > 0, "{tally:?}");
    if let Some(wrk) = wrk {
        let output = wrk.wait_with_output().expect("wrk ends");
        let report = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(report.contains("requests in"), "{report}");
        assert!(!report.contains("Non-2xx") && !report.contains("Socket errors"), "{report}");
    }
    assert_eq!(serin.metric("serin_requests_total", &["code=\"5xx\""]), 0.0);
    assert_eq!(serin.metric("serin_requests_total", &["code=\"reset\""]), 0.0);
}
