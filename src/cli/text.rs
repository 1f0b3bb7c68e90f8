//! Text as it may go to a terminal: what others wrote gives it no orders, and takes the columns it is given.

use unicode_width::UnicodeWidthChar;

/// Whether a terminal, or the eye, would take a character for an order: control characters, what turns the direction of
/// text round, what is invisible, ends of lines and paragraphs.
fn is_order(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The text in one line, with a blank for each character that is none to be read.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|character| if is_order(character) { ' ' } else { character }).collect()
}

/// Columns that a character takes on a terminal, after [`plain`].
pub(super) fn columns_of(character: char) -> usize {
    character.width().unwrap_or(0)
}

/// Columns that text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// The text in at most `width` columns; where it is cut, `mark` is at its end.
pub(super) fn clip(text: &str, width: usize, mark: char) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let room = width.saturating_sub(columns_of(mark));
    let (mut clipped, mut used) = (String::new(), 0);
    for character in text.chars() {
        used += columns_of(character);
        if used > room {
            break;
        }
        clipped.push(character);
    }
    if width > 0 {
        clipped.push(mark);
    }
    clipped
}

/// The words of a text in lines of at most `width` columns; a longer word has a line of its own, which is longer.
pub(super) fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let more = columns(word);
        match lines.last_mut() {
            Some(line) if used + 1 + more <= width => {
                line.push(' ');
                line.push_str(word);
                used += 1 + more;
            }
            _ => {
                lines.push(word.to_owned());
                used = more;
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_becomes_a_blank() {
        assert_eq!(plain("a\x1b[2Jb\r\n\tc\u{9b}d\u{7f}"), "a [2Jb   c d ");
        assert_eq!(plain("\u{202e}evil\u{2066}\u{200d}\u{feff}"), " evil   ");
        assert_eq!(plain("größer → 你好"), "größer → 你好");
    }

    #[test]
    fn text_is_cut_by_columns_and_not_by_characters() {
        assert_eq!(clip("short", 5, '…'), "short");
        assert_eq!(clip("longer", 5, '…'), "long…");
        assert_eq!(clip("你好世界", 6, '…'), "你好…");
        assert_eq!(clip("e\u{301}e\u{301}", 2, '~'), "e\u{301}e\u{301}");
        assert_eq!((clip("ab", 1, '~'), clip("ab", 0, '~')), ("~".to_owned(), String::new()));
    }

    #[test]
    fn words_are_put_in_lines() {
        assert_eq!(wrapped("one two three", 7), ["one two", "three"]);
        assert_eq!(wrapped("你好 你好 a", 6), ["你好", "你好 a"]);
        assert_eq!(wrapped("a  extraordinarily b", 4), ["a", "extraordinarily", "b"]);
        assert!(wrapped("  ", 4).is_empty());
    }
}
