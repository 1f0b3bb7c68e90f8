//! Lines and frames: text in its columns, and what it takes to put it on a terminal.

use std::fmt::Write as _;

use super::look::Look;
use crate::cli::text::{columns, columns_of, plain};

/// What a piece of text is, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    Plain,
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
    /// The filled part of a bar, and lines over time.
    Bar,
    /// What is intended.
    Mark,
}

impl Style {
    /// The parameters of Select Graphic Rendition (ECMA-48): of the 8 colours those that differ for the colour-blind too;
    /// none carries a meaning that no word carries.
    fn sgr(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Bold => Some("1"),
            Self::Dim => Some("2"),
            Self::Good => Some("36"),
            Self::Warn => Some("33"),
            Self::Bad => Some("1;31"),
            Self::Bar => Some("34"),
            Self::Mark => Some("1;33"),
        }
    }
}

/// A line of pieces. Whatever is put into it is plain text afterwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pieces: Vec<(Style, String)>,
    width: usize,
}

impl Line {
    /// A line of one piece.
    pub(super) fn of(style: Style, text: &str) -> Self {
        Self::default().with(style, text)
    }

    /// The same with a piece at its end.
    pub(super) fn with(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    pub(super) fn push(&mut self, style: Style, text: &str) {
        let text = plain(text);
        self.width += columns(&text);
        self.pieces.push((style, text));
    }

    /// Blanks up to this column.
    pub(super) fn pad_to(&mut self, column: usize) {
        self.push(Style::Plain, &" ".repeat(column.saturating_sub(self.width)));
    }

    /// Columns that it takes.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    /// The line in at most `width` columns, in characters that can be shown.
    fn fitted(&self, width: usize, look: Look) -> Self {
        let is_cut = self.width > width;
        let mut room = if is_cut { width.saturating_sub(1) } else { width };
        let mut fitted = Self::default();
        for (style, text) in &self.pieces {
            let mut kept = String::new();
            let mut full = false;
            for character in text.chars() {
                let columns = columns_of(character);
                if columns > room {
                    full = true;
                    break;
                }
                room -= columns;
                let shown = look.shown(character);
                // What took two columns, or none, still does.
                (0..if look.ascii { columns } else { 1 }).for_each(|_| kept.push(shown));
            }
            fitted.push(*style, &kept);
            if full {
                break;
            }
        }
        if is_cut && width > 0 {
            fitted.push(Style::Dim, &look.cut().to_string());
        }
        fitted
    }
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rows: usize,
    pub(super) columns: usize,
}

/// What is on the screen at a time: no more lines than rows, none wider than its columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Frame {
    lines: Vec<Line>,
    look: Look,
}

impl Frame {
    pub(super) fn new(lines: &[Line], size: Size, look: Look) -> Self {
        let lines = lines.iter().take(size.rows).map(|line| line.fitted(size.columns, look)).collect();
        Self { lines, look }
    }

    /// As lines of text.
    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(self.styled(line).trim_end());
            text.push('\n');
        }
        text
    }

    /// In place of what is on the screen.
    pub(super) fn in_place(&self) -> String {
        let mut text = String::from("\x1b[H");
        for (row, line) in self.lines.iter().enumerate() {
            let end = if row == 0 { "" } else { "\r\n" };
            // Each line clears what was right of it, the last one what is below.
            let _ = write!(text, "{end}{}\x1b[K", self.styled(line));
        }
        text.push_str("\x1b[J");
        text
    }

    fn styled(&self, line: &Line) -> String {
        let mut text = String::new();
        for (style, piece) in &line.pieces {
            match style.sgr().filter(|_| self.look.colour && !piece.is_empty()) {
                Some(sgr) => _ = write!(text, "\x1b[{sgr}m{piece}\x1b[0m"),
                None => text.push_str(piece),
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Look = Look { ascii: false, colour: false };

    fn frame(line: &Line, columns: usize, look: Look) -> String {
        Frame::new(std::slice::from_ref(line), Size { rows: 1, columns }, look).text().trim_end_matches('\n').to_owned()
    }

    #[test]
    fn a_line_fits_its_columns_whatever_is_in_it() {
        let line = Line::of(Style::Bold, "你好").with(Style::Plain, " world");
        assert_eq!(line.width(), 10);
        assert_eq!(frame(&line, 10, PLAIN), "你好 world");
        assert_eq!(frame(&line, 7, PLAIN), "你好 w…");
        assert_eq!(frame(&line, 4, PLAIN), "你…");
        assert_eq!(frame(&line, 0, PLAIN), "");
        assert_eq!(frame(&line, 7, Look { ascii: true, colour: false }), "???? w~");
    }

    #[test]
    fn without_colours_no_escape_stands_in_a_line() {
        let line = Line::of(Style::Bad, "a\x1b[31mb").with(Style::Mark, "c");
        assert_eq!(frame(&line, 20, PLAIN), "a [31mbc");
        assert_eq!(frame(&line, 20, Look { ascii: false, colour: true }), "\x1b[1;31ma [31mb\x1b[0m\x1b[1;33mc\x1b[0m");
    }
}
