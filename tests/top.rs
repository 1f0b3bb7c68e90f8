//! `serin top` and `serin status --watch` on a real terminal; the first also in a pipe, and beside a serin that goes and comes
//! back.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use support::client::Raw;
use support::load::{Load, WITH_WEIGHTS, ask, shop};
use support::serin::{Serin, binary, command};
use support::terminal::Terminal;
use support::upstream::Upstream;

const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

fn two() -> [Upstream; 2] {
    [Upstream::named("old"), Upstream::named("new")]
}

fn config(upstreams: &[Upstream; 2]) -> String {
    shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", WITH_WEIGHTS)
}

fn start(upstreams: &[Upstream; 2]) -> Serin {
    Serin::with_files(&config(upstreams), &[("weights.yaml", "shop: { old: 3, new: 1 }\n")])
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn out(output: &Output) -> String {
    text(&output.stdout)
}

#[test]
fn a_terminal_shows_what_versions_do_and_is_left_as_it_was() {
    let upstreams = two();
    let serin = start(&upstreams);
    let load = Load::start(serin.web(), 2);
    let mut terminal = Terminal::start(&["top", "--every", "200ms", "--admin", &serin.admin_url()], 80, 24);
    let frame = terminal.await_frame(&["1 shop", "  old", "  new", "75.0%", "┃", "█", "req/s ", "changes (UTC)"]);
    assert!(terminal.is_raw());
    assert!(frame.len() <= 24 && frame.iter().all(|line| line.chars().count() <= 80), "{frame:#?}");
    // What is changed meanwhile is seen, until it is frozen.
    let set = command(&["set", "shop", "old=1", "new=1", "--reason", "half\u{1b}[2J", "--admin", &serin.admin_url()]);
    assert_eq!(set.status.code(), Some(0));
    terminal.await_frame(&["50.0%", "half [2J"]);
    terminal.press("p");
    terminal.await_frame(&["FROZEN"]);
    terminal.press("p1");
    let small = {
        terminal.resize(40, 10);
        support::eventually("a small frame", || {
            terminal.frame().filter(|frame| frame.len() <= 10 && !frame.join("").contains("FROZEN"))
        })
    };
    assert!(small.iter().all(|line| line.chars().count() <= 40) && small.join("").contains("shop"), "{small:#?}");
    terminal.press("q");
    assert_eq!(terminal.wait().code(), Some(0));
    assert!(!terminal.is_raw());
    load.stop();
    support::eventually("the end of it", || terminal.drawn().ends_with(LEAVE).then_some(()));
    let drawn = terminal.drawn();
    assert!(drawn.starts_with(ENTER) && drawn.matches(LEAVE).count() == 1, "{drawn:?}");
}

#[test]
fn a_signal_or_ctrl_c_leaves_the_terminal_as_it_was() {
    let upstreams = two();
    let serin = start(&upstreams);
    for end in ["TERM", "HUP", "INT", "\x03"] {
        let mut terminal = Terminal::start(&["top", "--admin", &serin.admin_url()], 80, 24);
        terminal.await_frame(&["1 shop"]);
        if end == "\x03" {
            terminal.press(end);
        } else {
            terminal.signal(end);
        }
        assert_eq!(terminal.wait().code(), Some(0), "{end}");
        assert!(!terminal.is_raw(), "{end}");
        support::eventually("the end of it", || terminal.drawn().ends_with(LEAVE).then_some(()));
    }
}

#[test]
fn a_serin_that_is_gone_is_said_to_be_and_seen_again_when_it_is_back() {
    let upstreams = two();
    let sockets = tempfile::tempdir().expect("a temporary folder");
    let admin = format!("unix:{}/admin.sock", sockets.path().display());
    let config =
        config(&upstreams).replace("address: 127.0.0.1:0, open: true", &format!("address: \"{admin}\", open: true"));
    let files = [("weights.yaml", "shop: { old: 3, new: 1 }\n")];
    let first = Serin::with_files(&config, &files);
    let mut terminal = Terminal::start(&["top", "--every", "200ms", "--admin", &admin], 120, 24);
    terminal.await_frame(&["75.0%"]);
    drop(first);
    let frame = terminal.await_frame(&["NO ANSWER for", "trying again", "75.0%"]);
    assert!(frame[0].contains(&admin), "{frame:#?}");
    let _second = Serin::with_files(&config, &[("weights.yaml", "shop: { old: 1, new: 1 }\n")]);
    let frame = terminal.await_frame(&["50.0%"]);
    assert!(!frame.join("").contains("NO ANSWER"), "{frame:#?}");
    terminal.press("q");
    assert_eq!(terminal.wait().code(), Some(0));
}

#[test]
fn a_watched_status_is_drawn_again_in_eighty_columns_without_colour() {
    let upstreams = two();
    let serin = start(&upstreams);
    let terminal = Terminal::start(&["status", "--watch", "--admin", &serin.admin_url()], 80, 24);
    let shows = |words: &str| {
        support::eventually(words, || {
            let drawn = terminal.drawn();
            let (_, last) = drawn.rsplit_once("\x1b[H\x1b[J")?;
            last.contains(words).then(|| last.to_owned())
        })
    };
    let first = shows("75.0%");
    let set = command(&["set", "shop", "old=1", "new=1", "--reason", "half", "--admin", &serin.admin_url()]);
    assert_eq!(set.status.code(), Some(0));
    let second = shows("50.0%");
    for frame in [first, second] {
        assert!(frame.lines().all(|line| line.chars().count() <= 80) && !frame.contains('\x1b'), "{frame}");
    }
}

#[test]
fn in_a_pipe_there_is_one_frame_without_orders_to_a_terminal() {
    let upstreams = two();
    let serin = start(&upstreams);
    let mut connection = Raw::connect(serin.web());
    (0..20).for_each(|user| _ = ask(&mut connection, &format!("x-user-id: {user}\r\n")));
    let top = Command::new(binary())
        .args(["top", "--admin", &serin.admin_url()])
        .env("LC_ALL", "C.UTF-8")
        .env("TERM", "xterm")
        .output()
        .expect("it starts");
    assert_eq!(top.status.code(), Some(0), "{}", text(&top.stderr));
    let said = out(&top);
    assert!(said.starts_with("serin top  ") && said.contains("1 shop") && said.contains('┃'), "{said}");
    assert!(!said.contains('\x1b') && !said.contains("q quit"), "{said}");
    assert!(said.lines().all(|line| line.chars().count() <= 80), "{said}");
    let ascii = out(&command(&["top", "shop", "--once", "--ascii", "--admin", &serin.admin_url()]));
    assert!(ascii.is_ascii() && ascii.contains("1 shop"), "{ascii}");
}

#[test]
fn json_is_a_line_each_time_for_as_long_as_somebody_reads() {
    let upstreams = two();
    let serin = start(&upstreams);
    let admin = serin.admin_url();
    let once = command(&["top", "--json", "--once", "--admin", &admin]);
    let line: Value = serde_json::from_slice(&once.stdout).expect("one line of JSON");
    assert_eq!(line["services"][0]["versions"][1]["share"], 0.25, "{line}");
    assert!(line["at"].as_u64().is_some_and(|at| at > 1_700_000_000_000), "{line}");
    let mut child = Command::new(binary())
        .args(["top", "--json", "--every", "200ms", "--admin", &admin])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().expect("a line").expect("text")).expect("JSON");
    assert!(next()["services"].is_array() && next()["services"].is_array());
    drop(serin);
    let lost = support::eventually("that serin is gone", || Some(next()).filter(|line| line["problem"].is_string()));
    assert!(lost["at"].is_u64(), "{lost}");
    drop(lines);
    let ended = child.wait_with_output().expect("it ends");
    assert_eq!((ended.status.code(), &*text(&ended.stderr)), (Some(0), ""));
}

#[test]
fn a_terminal_that_cannot_draw_in_place_gets_frames_one_below_the_other() {
    let upstreams = two();
    let serin = start(&upstreams);
    let args = ["top", "--every", "200ms", "--admin", &serin.admin_url()];
    let mut terminal = Terminal::start_as(&args, 80, 24, "dumb", |command| _ = command.env("LC_ALL", "C"));
    support::eventually("two frames", || (terminal.drawn().matches("serin top").count() >= 2).then_some(()));
    let drawn = terminal.drawn();
    assert!(drawn.is_ascii() && !drawn.contains('\x1b'), "{drawn:?}");
    assert!(!terminal.is_raw());
    terminal.signal("TERM");
    terminal.wait();
}

#[test]
fn what_cannot_be_shown_is_said_before_the_terminal_is_taken() {
    let upstreams = two();
    let serin = start(&upstreams);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    let cases = [
        (vec!["top", "--admin"], format!("http://{gone}"), 1, "Is `serin run` up"),
        (vec!["top", "shpo", "--admin"], serin.admin_url(), 1, "did you mean `shop`?"),
        (vec!["top", "--every", "1ms", "--admin"], serin.admin_url(), 2, "expected 200ms to 1m"),
        (vec!["top", "--json", "--admin"], format!("http://{gone}"), 1, "Is `serin run` up"),
    ];
    for (mut args, admin, code, words) in cases {
        args.push(&admin);
        let mut terminal = Terminal::start(&args, 80, 24);
        assert_eq!(terminal.wait().code(), Some(code), "{args:?}");
        let said = support::eventually("what is wrong", || Some(terminal.drawn()).filter(|said| said.contains(words)));
        assert!(!said.contains("\x1b[?1049h"), "{said:?}");
    }
}
