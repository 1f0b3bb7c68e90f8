//! The whole frame: as much of what is known as fits, the most important first.

use super::line::{Frame, Line, Size, Style};
use super::look::Look;
use super::service::{Block, Detail};
use super::state::{Screen, Snapshot};
use crate::cli::text::plain;
use crate::ledger::{Entry, Time};

/// From all there is to what nobody can do without.
const DETAILS: [Detail; 5] = [
    Detail { minute: true, said: 4, versions: usize::MAX },
    Detail { minute: true, said: 2, versions: usize::MAX },
    Detail { minute: true, said: 1, versions: usize::MAX },
    Detail { minute: false, said: 1, versions: usize::MAX },
    Detail { minute: false, said: 0, versions: usize::MAX },
];

/// What is to be on a terminal of this size.
pub(super) fn frame(screen: &Screen, size: Size, look: Look) -> Frame {
    let mut lines = vec![header(screen)];
    let footer = screen.keys && size.rows >= 6;
    let tabs = screen.focused().is_some() && screen.snapshot.state.services.len() > 1 && size.rows >= 8;
    if tabs {
        lines.push(others(screen, size.columns, look));
    }
    let room = size.rows.saturating_sub(lines.len() + usize::from(footer));
    lines.extend(body(screen, room, size.columns, look));
    if footer {
        lines.resize_with(size.rows - 1, Line::default);
        lines.push(Line::of(Style::Dim, if look.ascii { KEYS_ASCII } else { KEYS }));
    }
    Frame::new(&lines, size, look)
}

const KEYS: &str = "q quit  ↑ ↓ or 1-9 one service  0 all  p freeze";
const KEYS_ASCII: &str = "q quit  up, down or 1-9 one service  0 all  p freeze";

fn header(screen: &Screen) -> Line {
    let Snapshot { at, state, .. } = &screen.snapshot;
    let mut line = Line::of(Style::Bold, "serin top");
    if let Some(lost) = &screen.lost {
        line.push(Style::Bad, &format!("  NO ANSWER for {}s", lost.for_ms / 1000));
        line.push(Style::Plain, &format!(", trying again: {}", lost.why));
        return line;
    }
    if screen.frozen {
        line.push(Style::Warn, "  FROZEN");
    }
    let services = state.services.len();
    let counted = format!("  {}  {services} service{}", screen.admin, if services == 1 { "" } else { "s" });
    line.push(Style::Plain, &format!("  {}", clock(*at)));
    line.push(Style::Dim, &counted);
    line
}

/// The names of all services, the one that is shown among them; those before it are left out where there is no room for all.
fn others(screen: &Screen, width: usize, look: Look) -> Line {
    let services = &screen.snapshot.state.services;
    let whole = tabs(screen, 0, Line::default());
    let before = screen.focused().map_or(0, |shown| shown.saturating_sub(1));
    if whole.width() <= width || before == 0 {
        return whole;
    }
    // Towards the end of the list as many as fit, so that no room is left empty.
    let fits = |from: &usize| {
        let line = tabs(screen, *from, Line::of(Style::Dim, &format!("{} ", look.cut())));
        *from == before || line.width() <= width
    };
    let from = (1..services.len()).find(fits).unwrap_or(before).min(before);
    tabs(screen, from, Line::of(Style::Dim, &format!("{} ", look.cut())))
}

fn tabs(screen: &Screen, from: usize, mut line: Line) -> Line {
    let shown = screen.focused();
    for (place, service) in screen.snapshot.state.services.iter().enumerate().skip(from) {
        let style = if shown == Some(place) { Style::Bold } else { Style::Dim };
        let (open, close) = if shown == Some(place) { ("[", "]") } else { (" ", " ") };
        line.push(style, &format!("{open}{} {}{close}", place + 1, service.name));
    }
    line
}

fn body(screen: &Screen, room: usize, width: usize, look: Look) -> Vec<Line> {
    let snapshot = &screen.snapshot;
    let focus = screen.focused();
    let services = snapshot.state.services.iter().enumerate();
    let blocks: Vec<Block<'_>> = services
        .filter(|(place, _)| focus.is_none_or(|focus| focus == *place))
        .map(|(place, service)| {
            let minute = snapshot.minutes.get(&service.name);
            Block { number: place + 1, service, minute, width, look }
        })
        .collect();
    let focused = focus.map(|place| snapshot.state.services[place].name.as_str());
    let concerns = |entry: &&Entry| {
        focused.is_none_or(|name| entry.draft.service.as_deref().is_none_or(|service| service == name))
    };
    let several = blocks.len() > 1;
    let changes: Vec<Line> = snapshot.changes.iter().filter(concerns).map(|entry| change(entry, several)).collect();
    // Where there is room at all, some of it is for what changed last.
    let kept = match room {
        _ if changes.is_empty() => 0,
        0..14 => 0,
        14..30 => 3,
        _ => 7,
    };
    let mut lines = fitting(&blocks, room - kept.min(room)).unwrap_or_else(|| squeezed(&blocks, room));
    let left = room.saturating_sub(lines.len() + 1);
    if left > 0 && !changes.is_empty() {
        lines.push(Line::of(Style::Bold, "changes (UTC)"));
        lines.extend(changes.into_iter().take(left));
    }
    lines
}

/// All of the services in as much detail as there is room for; `None` where there is not even room for the least.
fn fitting(blocks: &[Block<'_>], room: usize) -> Option<Vec<Line>> {
    DETAILS.into_iter().find_map(|detail| {
        let mut lines = Vec::new();
        for block in blocks {
            lines.extend(block.lines(detail));
            if lines.len() > room {
                return None;
            }
        }
        Some(lines)
    })
}

/// As many services, and as many of their versions, as there is room for.
fn squeezed(blocks: &[Block<'_>], room: usize) -> Vec<Line> {
    // Alone, a service has all the room; else each has so much that the most important versions of many are seen.
    let versions = |versions| Detail { minute: false, said: 0, versions };
    if let [block] = blocks {
        let rest = block.lines(versions(0)).len();
        let mut lines = block.lines(versions(room.saturating_sub(rest).max(1)));
        lines.truncate(room);
        return lines;
    }
    let mut lines = Vec::new();
    for (place, block) in blocks.iter().enumerate() {
        let of_this = block.lines(versions(3));
        let is_last = place + 1 == blocks.len();
        if lines.len() + of_this.len() + usize::from(!is_last) > room {
            lines.truncate(room.saturating_sub(1));
            let more = blocks.len() - place;
            lines.push(Line::of(Style::Dim, &format!("{more} more services: a number or the arrows show one")));
            return lines;
        }
        lines.extend(of_this);
    }
    lines
}

/// A change; whom it concerns is said where there are several.
fn change(entry: &Entry, several: bool) -> Line {
    let draft = &entry.draft;
    let mut line = Line::of(Style::Dim, &format!("  {}", hours(entry.time)));
    if let Some(service) = draft.service.as_ref().filter(|_| several) {
        line.push(Style::Plain, &format!("  {service}"));
    }
    line.push(Style::Plain, &format!("  {} {}", draft.what.kind(), draft.what));
    let reason = if draft.reason.is_empty() { String::new() } else { format!(": {}", draft.reason) };
    line.push(Style::Dim, &plain(&format!("  [{}{reason}]", draft.actor)));
    line
}

/// The time of day.
fn hours(time: Time) -> String {
    time.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// The time of day in UTC, of milliseconds since 1970.
fn clock(at: u64) -> String {
    let seconds = at / 1000 % 86_400;
    format!("{:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
