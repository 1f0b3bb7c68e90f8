//! Figures as blocks: a bar, and a line over time.

use super::line::{Line, Style};
use super::look::Look;

/// Parts of a cell, from an eighth on.
const EIGHTHS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
/// Levels of a line over time; the first is zero.
const LEVELS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same in ASCII.
const ASCII_LEVELS: [char; 8] = ['_', '.', '-', '=', '+', '*', '%', '#'];

/// Appends a bar of `width` columns for an actual share, with a mark where the intended one is; both 0 to 1. The bar is empty
/// where nothing is known of the actual share.
pub(super) fn bar(line: &mut Line, actual: Option<f64>, intended: f64, width: usize, look: Look) {
    let filled = (actual.unwrap_or(0.0).clamp(0.0, 1.0) * (width * 8) as f64).round() as usize;
    let mark = ((intended.clamp(0.0, 1.0) * width as f64) as usize).min(width.saturating_sub(1));
    for cell in 0..width {
        let (style, character) = match filled.saturating_sub(cell * 8).min(8) {
            _ if cell == mark => (Style::Mark, if look.ascii { '|' } else { '┃' }),
            0 => (Style::Dim, if look.ascii { '.' } else { '·' }),
            part if look.ascii => (Style::Bar, if part >= 4 { '#' } else { '.' }),
            part => (Style::Bar, EIGHTHS[part - 1]),
        };
        line.push(style, character.encode_utf8(&mut [0; 4]));
    }
}

/// A character for each value, between zero and `most`. Zero is the lowest level, and nothing but zero is; where nothing is
/// known there is a blank.
pub(super) fn over_time(values: &[Option<f64>], most: f64, look: Look) -> String {
    let levels = if look.ascii { ASCII_LEVELS } else { LEVELS };
    let level = |value: f64| match value / most {
        part if part > 0.0 => levels[((part * 7.0).ceil() as usize).clamp(1, 7)],
        _ => levels[0],
    };
    values.iter().map(|value| value.map_or(' ', level)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::top::line::{Frame, Size};

    const BLOCKS: Look = Look { ascii: false, colour: false };
    const ASCII: Look = Look { ascii: true, colour: false };

    fn drawn(actual: Option<f64>, intended: f64, width: usize, look: Look) -> String {
        let mut line = Line::default();
        bar(&mut line, actual, intended, width, look);
        assert_eq!(line.width(), width);
        Frame::new(&[line], Size { rows: 1, columns: width }, look).text().trim_end().to_owned()
    }

    #[test]
    fn a_bar_shows_both_shares() {
        assert_eq!(drawn(Some(0.5), 0.75, 8, BLOCKS), "████··┃·");
        assert_eq!(drawn(Some(0.5625), 0.0, 8, BLOCKS), "┃███▌···");
        assert_eq!(drawn(Some(1.0), 1.0, 8, BLOCKS), "███████┃");
        assert_eq!(drawn(None, 0.5, 8, BLOCKS), "····┃···");
        assert_eq!(drawn(Some(0.3), 0.25, 8, ASCII), "##|.....");
        for odd in [f64::NAN, f64::INFINITY, -1.0] {
            drawn(Some(odd), odd, 8, BLOCKS);
        }
        assert_eq!(drawn(Some(1.0), 1.0, 0, BLOCKS), "");
    }

    #[test]
    fn a_line_over_time_tells_little_from_nothing_and_nothing_from_unknown() {
        let values = [None, Some(0.0), Some(0.001), Some(50.0), Some(100.0), Some(1000.0)];
        assert_eq!(over_time(&values, 100.0, BLOCKS), " ▁▂▅██");
        assert_eq!(over_time(&values, 100.0, ASCII), " _.+##");
        assert_eq!(over_time(&[Some(0.0), Some(f64::NAN)], 0.0, BLOCKS), "▁▁");
    }
}
