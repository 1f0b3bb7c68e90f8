//! What is printed while the demo runs: on a terminal a table that is drawn in place under the lines that stay, elsewhere
//! lines every few seconds.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use super::tally::Figures;
use super::{NEW, OLD, VERSIONS};

/// Columns that everything fits in.
pub(super) const WIDTH: usize = 80;

/// Standard output, as a terminal or as what it is.
#[derive(Debug)]
pub(super) struct Screen {
    out: io::Stdout,
    /// Draws in place.
    pub(super) live: bool,
    /// May use colours and bold.
    colour: bool,
    /// Lines of the table on the screen now.
    drawn: usize,
}

impl Screen {
    pub(super) fn new() -> Self {
        let out = io::stdout();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let live = out.is_terminal() && !dumb;
        let colour = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { out, live, colour, drawn: 0 }
    }

    /// Prints lines that stay, above the table; the first is preceded by `head`, the others are indented as much.
    ///
    /// # Errors
    /// If standard output is gone.
    pub(super) fn say(&mut self, head: &str, text: &str) -> io::Result<()> {
        let mut lines = String::new();
        if self.live {
            for (index, line) in wrapped(text, WIDTH - head.chars().count()).iter().enumerate() {
                if index == 0 {
                    lines.push_str(&self.bold(head));
                } else {
                    lines.push_str(&" ".repeat(head.chars().count()));
                }
                let _ = writeln!(lines, "{line}");
            }
        } else {
            let _ = writeln!(lines, "{head}{text}");
        }
        self.print(&lines)
    }

    /// Prints text as it is, above the table.
    ///
    /// # Errors
    /// If standard output is gone.
    pub(super) fn print(&mut self, text: &str) -> io::Result<()> {
        self.put("", text)
    }

    /// Draws the table, in place of the last one.
    ///
    /// # Errors
    /// If standard output is gone.
    pub(super) fn draw(&mut self, live: &Live<'_>) -> io::Result<()> {
        if self.live { self.put(&table(live, self.colour), "") } else { self.put("", &lines(live)) }
    }

    fn put(&mut self, table: &str, above: &str) -> io::Result<()> {
        let mut text = String::new();
        if self.drawn > 0 {
            // To the start of the table, and clear what is below.
            let _ = write!(text, "\x1b[{}A\x1b[J", self.drawn);
        }
        text.push_str(above);
        if !table.is_empty() {
            // Lines must not wrap on a narrow terminal, or the way back up would be longer.
            let _ = write!(text, "\x1b[?7l{table}\x1b[?7h");
        }
        self.drawn = table.lines().count();
        let mut out = self.out.lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }

    fn bold(&self, text: &str) -> String {
        if self.colour { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What the table shows.
#[derive(Debug)]
pub(super) struct Live<'a> {
    /// Since the start.
    pub(super) at: Duration,
    /// Where the rollout stands: `baking, step 2 of 4`.
    pub(super) stands: &'a str,
    /// What the judge says of the step; may be empty.
    pub(super) verdict: &'a str,
    /// Until the demo ends.
    pub(super) left: Duration,
    /// How long the figures have been collected.
    pub(super) over: Duration,
    /// Of the traffic, by version, 0 to 1.
    pub(super) shares: [f64; 2],
    /// How many users new serves.
    pub(super) users_on_new: usize,
    /// By version, since the step began.
    pub(super) figures: &'a [Figures; 2],
}

impl Live<'_> {
    fn per_second(&self, version: usize) -> f64 {
        self.figures[version].requests as f64 / self.over.as_secs_f64().max(0.001)
    }
}

/// The table for a terminal.
fn table(live: &Live<'_>, colour: bool) -> String {
    let mut text = String::new();
    let rate = live.per_second(OLD) + live.per_second(NEW);
    let left = live.left.as_secs_f64().ceil();
    let _ = writeln!(
        text,
        "\n{}  {}; {left:.0} s left; {rate:.0} requests/s; {} users on new",
        clock(live.at),
        live.stands,
        grouped(live.users_on_new as u64)
    );
    let mark =
        |text: String, style: &str, on: bool| if on && colour { format!("\x1b[{style}m{text}\x1b[0m") } else { text };
    let heads = format!(
        "  {:<7} {:>6} {:>10} {:>8} {:>7} {:>8} {:>7} {:>7} {:>7}",
        "version", "share", "requests/s", "failed", "%", "p50 ms", "p90", "p99", "p99.9"
    );
    let _ = writeln!(text, "{}", mark(heads, "2", true));
    for version in [OLD, NEW] {
        let figures = &live.figures[version];
        let q = |q| ms(figures.quantile(q));
        let _ = writeln!(
            text,
            "  {:<7} {:>5.1}% {:>10.1} {} {:>8} {:>7} {} {:>7}",
            VERSIONS[version],
            live.shares[version] * 100.0,
            live.per_second(version),
            mark(
                format!("{:>8} {:>7.2}", grouped(figures.failures), figures.failure_share() * 100.0),
                "31",
                version == NEW && fails_more(live.figures)
            ),
            q(0.5),
            q(0.9),
            mark(format!("{:>7}", q(0.99)), "31", version == NEW && is_slower(live.figures)),
            q(0.999),
        );
    }
    let note = "  figures since the last change, as clients see them; - is too few requests to say";
    let _ = writeln!(text, "{}", mark(note.to_owned(), "2", true));
    text.push_str(&judged(live));
    text
}

/// What the judge says, in lines.
fn judged(live: &Live<'_>) -> String {
    if live.verdict.is_empty() {
        return String::new();
    }
    let said = format!("judge: {}", live.verdict);
    wrapped(&said, WIDTH - 4).iter().enumerate().fold(String::new(), |mut text, (index, line)| {
        let _ = writeln!(text, "{}{line}", if index == 0 { "  " } else { "    " });
        text
    })
}

/// The same for a file or a pipe: a line for each version.
fn lines(live: &Live<'_>) -> String {
    let mut text = format!("{} {}\n", clock(live.at), live.stands);
    for version in [OLD, NEW] {
        let figures = &live.figures[version];
        let q = |q| ms(figures.quantile(q));
        let _ = writeln!(
            text,
            "{} {} {:>3.0}% {:>4.0}/s  failed {:>4}  ms p50 {:>5} p90 {:>5} p99 {:>5} p99.9 {:>5}",
            clock(live.at),
            VERSIONS[version],
            live.shares[version] * 100.0,
            live.per_second(version),
            grouped(figures.failures),
            q(0.5),
            q(0.9),
            q(0.99),
            q(0.999),
        );
    }
    text.push_str(&judged(live));
    text
}

/// Whether new clearly fails more than old: by more than a percent of its requests, five of them at least.
pub(super) fn fails_more(figures: &[Figures; 2]) -> bool {
    figures[NEW].failures >= 5 && figures[NEW].failure_share() > figures[OLD].failure_share() + 0.01
}

/// Whether new's 99th percentile is clearly above old's: by half.
pub(super) fn is_slower(figures: &[Figures; 2]) -> bool {
    let p99 = |version: usize| figures[version].quantile(0.99);
    p99(OLD).zip(p99(NEW)).is_some_and(|(old, new)| new > 1.5 * old)
}

/// Seconds as milliseconds in at most five characters, without the unit; a dash where there are none.
pub(super) fn ms(seconds: Option<f64>) -> String {
    match seconds.map(|seconds| seconds * 1e3) {
        None => "-".to_owned(),
        Some(ms) if ms < 99.95 => format!("{ms:.1}"),
        Some(ms) => format!("{ms:.0}"),
    }
}

/// Minutes and seconds since the start.
pub(super) fn clock(at: Duration) -> String {
    format!("{}:{:02}", at.as_secs() / 60, at.as_secs() % 60)
}

/// A number with commas between thousands.
pub(super) fn grouped(number: impl TryInto<u64>) -> String {
    let digits = number.try_into().unwrap_or(u64::MAX).to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Text in lines of at most `width` characters, broken at spaces; its own line breaks stay. A longer word stays whole.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.lines() {
        let mut line = String::new();
        for word in paragraph.split(' ') {
            if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > width {
                lines.push(std::mem::take(&mut line));
            } else if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        lines.push(line);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(requests: u64, failures: u64, milliseconds: u64) -> Figures {
        let mut figures = Figures { requests, failures, ..Figures::default() };
        (0..requests).for_each(|_| figures.latency.record_nanos(milliseconds * 1_000_000));
        figures
    }

    fn live(figures: &[Figures; 2]) -> Live<'_> {
        Live {
            at: Duration::from_secs(75),
            stands: "baking, step 2 of 4",
            verdict: "inconclusive: not enough evidence of new's p99: about 1,200 more requests to new are needed at these rates",
            left: Duration::from_millis(10_500),
            over: Duration::from_secs(4),
            shares: [0.75, 0.25],
            users_on_new: 1234,
            figures,
        }
    }

    #[test]
    fn the_table_shows_both_versions_and_fits_80_columns() {
        let text = table(&live(&[figures(1_234_567, 1_000_000, 12_345), figures(90, 9, 20)]), false);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.contains("1:15  baking, step 2 of 4; 11 s left; 308664 requests/s; 1,234 users on new"), "{text}");
        assert!(text.contains("  old      75.0%"), "{text}");
        assert!(text.contains("  judge: inconclusive: not enough evidence") && text.contains("\n    "), "{text}");
        let new = text.lines().find(|line| line.starts_with("  new")).expect("a line");
        let cells: Vec<_> = new.split_whitespace().collect();
        assert_eq!(cells[..5], ["new", "25.0%", "22.5", "9", "10.00"]);
        assert_eq!(cells[7..], ["-", "-"], "90 requests do not speak for a 99th percentile");
    }

    #[test]
    fn plain_lines_fit_80_columns_too() {
        let text = lines(&live(&[figures(1_234, 1_000, 12_345), figures(90, 9, 20)]));
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        assert!(text.starts_with("1:15 baking, step 2 of 4\n1:15 old  75%  308/s  failed 1,000  ms p50 "), "{text}");
        assert!(text.contains("\n  judge: inconclusive: "), "{text}");
    }

    #[test]
    fn colours_mark_what_new_does_worse_and_only_that() {
        let worse = [figures(1000, 1, 10), figures(1000, 200, 30)];
        assert_eq!(table(&live(&worse), true).matches("\x1b[31m").count(), 2);
        assert_eq!(table(&live(&worse), false).matches('\x1b').count(), 0);
        let better = [figures(1000, 200, 30), figures(1000, 1, 10)];
        assert_eq!(table(&live(&better), true).matches("\x1b[31m").count(), 0);
    }

    #[test]
    fn numbers_are_written_as_people_read_them() {
        assert_eq!(
            ["0", "999", "1,000", "12,345,678"],
            [0_u32, 999, 1000, 12_345_678].map(grouped).each_ref().map(|s| &**s)
        );
        assert_eq!(
            ["-", "0.5", "99.9", "100", "12345"],
            [None, Some(0.0005), Some(0.0999), Some(0.09996), Some(12.345)].map(ms).each_ref().map(|s| &**s)
        );
    }

    #[test]
    fn text_wraps_at_spaces() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("extraordinary\nx", 5), ["extraordinary", "x"]);
        assert_eq!(wrapped("", 5), Vec::<String>::new());
    }
}
