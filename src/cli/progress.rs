//! How far long work is: a line on standard error that is drawn again and again, on a terminal only.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::text::{clip, plain};

/// Work that takes no longer than this shows nothing.
const SOON: Duration = Duration::from_millis(700);
/// Least time between two drawings.
const EVERY: Duration = Duration::from_millis(100);
/// Characters of the bar.
const WIDTH: usize = 30;
/// What turns where nobody knows how much there is to do.
const TURNING: [char; 4] = ['|', '/', '-', '\\'];

/// A line that is gone when this is dropped.
#[derive(Debug)]
pub(super) struct Progress {
    shown: bool,
    began: Instant,
    drawn: Option<Instant>,
    turns: usize,
}

impl Progress {
    /// Progress of work that begins now. A terminal sees it; a pipe, a file, and whoever asked for JSON do not.
    pub(super) fn new(json: bool) -> Self {
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let shown = !json && !dumb && io::stderr().is_terminal();
        Self { shown, began: Instant::now(), drawn: None, turns: 0 }
    }

    /// Says how far it is: a part of the whole from 0 to 1 where that is known, and a few words. Drawn where it is time to.
    pub(super) fn at(&mut self, part: Option<f64>, words: &str) {
        let due = self.drawn.map_or(self.began.elapsed() >= SOON, |drawn| drawn.elapsed() >= EVERY);
        if self.shown && due {
            self.drawn = Some(Instant::now());
            self.turns += 1;
            let width = rustix::termios::tcgetwinsize(io::stderr()).map_or(80, |size| usize::from(size.ws_col));
            // A line that wraps could not be drawn over. A terminal that is gone misses nothing.
            let line = clip(&line(part, words, self.turns), width.max(2) - 1, '~');
            let _ = write!(io::stderr(), "\r\x1b[K{line}");
        }
    }

    /// Takes the line away, so that something else can be said.
    pub(super) fn clear(&mut self) {
        if self.drawn.take().is_some() {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn line(part: Option<f64>, words: &str, turns: usize) -> String {
    let words = plain(words);
    match part {
        None => format!("{} {words}", TURNING[turns % TURNING.len()]),
        Some(part) => {
            let full = ((part.clamp(0.0, 1.0) * WIDTH as f64) as usize).min(WIDTH);
            format!("{}{} {:>3.0}%  {words}", "█".repeat(full), "░".repeat(WIDTH - full), part * 100.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_is_done() {
        let bar = |full: usize| "█".repeat(full) + &"░".repeat(30 - full);
        assert_eq!(line(Some(0.5), "5 of 10", 0), format!("{}  50%  5 of 10", bar(15)));
        assert_eq!(line(Some(1.0), "", 0), format!("{} 100%  ", bar(30)));
        assert_eq!(line(None, "listing\x1bkeys", 1), "/ listing keys");
    }
}
