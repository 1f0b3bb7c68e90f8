//! Which characters a terminal can show, and whether in colours.

/// How frames look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Nothing beyond ASCII.
    pub(super) ascii: bool,
    /// Colours, bold and dim; without them no escape sequence stands within a line.
    pub(super) colour: bool,
}

impl Look {
    /// What was asked for, else what the environment says: the locale (POSIX: the first of `LC_ALL`, `LC_CTYPE`, `LANG` that
    /// is not empty), `NO_COLOR` (<https://no-color.org>) and `TERM`.
    pub(super) fn new(ascii: bool, no_color: bool, terminal: bool, env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let colour = terminal && !no_color && set("NO_COLOR").is_none() && !is_dumb(&env);
        Self { ascii: ascii || !utf8, colour }
    }

    /// The mark of text that was cut.
    pub(super) fn cut(self) -> char {
        if self.ascii { '~' } else { '…' }
    }

    /// A character in what can be shown.
    pub(super) fn shown(self, character: char) -> char {
        match character {
            _ if !self.ascii || character.is_ascii() => character,
            'µ' => 'u',
            '→' => '>',
            '…' => '~',
            '–' | '—' => '-',
            '×' => 'x',
            '≥' | '≤' => '=',
            _ => '?',
        }
    }
}

/// Whether the terminal can do nothing but print line after line.
pub(super) fn is_dumb(env: impl Fn(&str) -> Option<String>) -> bool {
    env("TERM").is_none_or(|term| term.is_empty() || term == "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pairs: &[(&str, &str)]) -> Look {
        let env = |name: &str| pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        Look::new(false, false, true, env)
    }

    #[test]
    fn the_environment_says_what_a_terminal_can_show() {
        let utf8 = ("LANG", "de_CH.UTF-8");
        let xterm = ("TERM", "xterm-256color");
        assert_eq!(look(&[utf8, xterm]), Look { ascii: false, colour: true });
        assert!(look(&[xterm]).ascii, "no locale is the one of C");
        assert!(look(&[utf8, ("LC_ALL", "C"), xterm]).ascii);
        assert!(!look(&[("LANG", "C"), ("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]).ascii);
        assert!(!look(&[utf8, ("TERM", "dumb")]).colour && !look(&[utf8]).colour);
        assert!(!look(&[utf8, xterm, ("NO_COLOR", "1")]).colour && look(&[utf8, xterm, ("NO_COLOR", "")]).colour);
    }
}
