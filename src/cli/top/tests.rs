//! Frames: a pure function of what is known and how large the terminal is.

use super::fixture;
use super::frame::frame;
use super::line::Size;
use super::look::Look;
use super::state::{Lost, Screen};
use crate::cli::text::columns;

const LOOK: Look = Look { ascii: false, colour: false };
const ASCII: Look = Look { ascii: true, colour: false };

fn size(columns: usize, rows: usize) -> Size {
    Size { rows, columns }
}

/// The lines of a frame, which keep to their size and give a terminal no orders.
fn lines(screen: &Screen, size: Size, look: Look) -> Vec<String> {
    let text = frame(screen, size, look).text();
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    assert!(lines.len() <= size.rows, "{} lines of {}:\n{text}", lines.len(), size.rows);
    for line in &lines {
        assert!(columns(line) <= size.columns, "{} columns of {}: {line}", columns(line), size.columns);
        assert!(!line.chars().any(char::is_control), "{line:?}");
        assert!(!look.ascii || line.is_ascii(), "{line:?}");
    }
    lines
}

#[test]
fn a_frame_of_80_columns_has_everything_of_a_service() {
    let lines = lines(&fixture::screen(1, 2), size(80, 24), LOOK);
    let expected = "\
serin top  12:34:56Z  http://127.0.0.1:9901  1 service
1 service-1                  now   set   req/s  fail    p50    p90    p99  p99.9
  version-1 ███████┃······ 50.0% 50.0%   120.0 0.00% 1.23ms 4.50ms 67.8ms  1.20s
    req/s ▂▂▂▃▃▄▄▄▅▅▅▆▆▇▇▇███  fail ▁▁▁▁▁▁▁▁▁█▁▁▁▁▁▁▁▁▁  p99 ▂▂▂▃▃▃▄▄▅▅▅▆▆▇▇▇███
  version-2 ███████┃······ 50.0% 50.0%   120.0 1.25% 1.23ms 4.50ms 67.8ms  1.20s
    req/s ▂▂▂▃▃▄▄▄▅▅▅▆▆▇▇▇███  fail ▁▁▁▁▁▁▁▁▁█▁▁▁▁▁▁▁▁▁  p99 ▂▂▂▃▃▃▄▄▅▅▅▆▆▇▇▇███
";
    let text = lines.join("\n");
    assert!(text.starts_with(expected), "{text}");
    for words in [
        "  new beside old: healthy: p99 of new is between",
        "  rollout 3 old → new: baking, step 2 of 2 (25%), waits for 20s of its bake",
        "changes (UTC)",
        "  12:30:00  weights new 5, old 95 → new 25, old 75  [ada: more",
    ] {
        assert!(text.contains(words), "no {words:?} in\n{text}");
    }
    assert_eq!(lines.len(), 24);
    assert_eq!(lines[23], "q quit  ↑ ↓ or 1-9 one service  0 all  p freeze");
}

#[test]
fn a_small_terminal_has_the_figures_that_matter() {
    let lines = lines(&fixture::screen(1, 2), size(40, 10), LOOK);
    let text = lines.join("\n");
    assert!(lines[1].starts_with("1 service-1") && lines[1].contains("fail") && lines[1].contains("p99"), "{text}");
    assert!(lines[2].contains("version-1") && lines[2].contains('┃') && lines[2].contains("67.8ms"), "{text}");
    assert!(text.contains("new beside old: healthy"), "{text}");
}

#[test]
fn a_large_terminal_has_a_cell_for_about_each_second() {
    let lines = lines(&fixture::screen(2, 3), size(200, 50), LOOK);
    let text = lines.join("\n");
    assert!(text.contains("2 service-2"), "{text}");
    let line = lines.iter().find(|line| line.contains("req/s ") && line.contains('█')).expect("a minute");
    let fail = line.split("  fail ").nth(1).and_then(|rest| rest.split("  p99 ").next()).expect("failures");
    assert_eq!(fail.chars().count(), 59, "{line}");
}

#[test]
fn frames_keep_to_any_size() {
    let words = "wide 你好世界 and long ".repeat(30);
    let mut screen = fixture::of(
        vec![
            fixture::rolling(fixture::named(&"s".repeat(63), 30, &"v".repeat(60)), &words),
            fixture::service(2, 2),
            fixture::rolling(fixture::service(3, 1), &words),
        ],
        vec![fixture::entry(1, &"s".repeat(63), &words)],
    );
    for focus in [None, Some("s".repeat(63)), Some("service-2".to_owned())] {
        screen.focus = focus;
        for columns in [0, 1, 7, 20, 40, 79, 80, 200] {
            for rows in [0, 1, 2, 5, 10, 24, 200] {
                for look in [LOOK, ASCII] {
                    lines(&screen, size(columns, rows), look);
                }
            }
        }
    }
}

#[test]
fn of_thirty_versions_as_many_as_fit_are_shown_and_the_rest_is_counted() {
    let screen = fixture::screen(1, 30);
    let small = lines(&screen, size(80, 24), LOOK);
    let text = small.join("\n");
    assert!(text.contains("version-30") && text.contains("more versions"), "{text}");
    let rows = small.iter().filter(|line| line.starts_with("  version-")).count();
    assert!(rows >= 15, "{text}");
    assert!(text.contains(&format!("… {} more versions", 30 - rows)), "{text}");
    let large = lines(&screen, size(200, 80), LOOK).join("\n");
    assert!(large.contains("version-15 ") && !large.contains("more versions"), "{large}");
}

#[test]
fn of_many_services_some_are_shown_and_the_rest_is_counted() {
    let mut screen = fixture::screen(12, 4);
    let text = lines(&screen, size(80, 24), LOOK).join("\n");
    assert!(text.contains("1 service-1") && text.contains("more services: a number or the arrows show one"), "{text}");
    screen.focus = Some("service-7".to_owned());
    let text = lines(&screen, size(80, 24), LOOK).join("\n");
    assert!(text.contains("…  6 service-6 [7 service-7] 8 service-8 "), "{text}");
    assert!(text.contains("\n7 service-7") && text.contains("req/s ▂"), "{text}");
    assert!(!text.contains("weights new"), "changes of another service: {text}");
}

#[test]
fn nothing_that_others_wrote_gives_a_terminal_orders() {
    let evil = "\x1b]0;owned\x07\x1b[2J\u{9b}31m\r\n\u{202e}\u{200b}evil";
    let mut service = fixture::rolling(fixture::named("\x1b[2Jname", 2, "\x1b[Hversion"), evil);
    if let Some(rollout) = &mut service.rollout {
        (rollout.blocked, rollout.state) = (Some(evil.to_owned()), evil.to_owned());
        rollout.waiting_for = vec![evil.to_owned()];
    }
    service.drills = vec![
        serde_json::from_value(serde_json::json!({
            "name": evil, "version": evil, "share": "10%", "effects": [evil], "until": evil, "active": 0, "injected": 0, "capped": 0
        }))
        .expect("a drill"),
    ];
    let mut screen = fixture::of(vec![service], vec![fixture::entry(1, evil, evil)]);
    screen.lost = Some(Lost { for_ms: 3000, why: evil.to_owned() });
    for lost in [true, false] {
        if !lost {
            screen.lost = None;
        }
        let text = lines(&screen, size(200, 50), LOOK).join("\n");
        assert!(text.contains("evil") && !text.contains('\u{202e}') && !text.contains('\u{200b}'), "{text:?}");
        // With colours there are escape sequences, all of them serin's own.
        let coloured = frame(&screen, size(200, 50), Look { ascii: false, colour: true }).in_place();
        let own = coloured.split('\x1b').skip(1).all(|sequence| {
            sequence.starts_with("[H") || sequence.starts_with("[K") || sequence.starts_with("[J") || {
                let sgr = sequence.strip_prefix('[').and_then(|rest| rest.split_once('m'));
                sgr.is_some_and(|(numbers, _)| numbers.bytes().all(|b| b.is_ascii_digit() || b == b';'))
            }
        });
        assert!(own && !coloured.contains('\u{9b}'), "{coloured:?}");
    }
}

#[test]
fn a_lost_connection_and_a_frozen_frame_are_said_in_the_first_line() {
    let mut screen = fixture::screen(1, 2);
    screen.frozen = true;
    assert!(lines(&screen, size(80, 24), LOOK)[0].contains("FROZEN"));
    screen.lost = Some(Lost { for_ms: 12_300, why: "connection refused".to_owned() });
    let lines = lines(&screen, size(80, 24), LOOK);
    assert_eq!(lines[0], "serin top  NO ANSWER for 12s, trying again: connection refused");
    assert!(lines[2].contains("version-1"), "the last figures stay");
}

#[test]
fn ascii_shows_the_same_in_other_characters() {
    let text = lines(&fixture::screen(1, 2), size(80, 24), ASCII).join("\n");
    assert!(text.contains("version-1 #######|......") && text.contains("fail _________#_"), "{text}");
    assert!(text.contains("old > new: baking") && text.contains("up, down or 1-9"), "{text}");
}

#[test]
fn without_a_keyboard_no_keys_are_offered() {
    let screen = Screen { keys: false, ..fixture::screen(1, 2) };
    assert!(!lines(&screen, size(80, 24), LOOK).join("\n").contains("quit"));
}
