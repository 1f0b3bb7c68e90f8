//! Keys, from the bytes that a terminal sends for them.

/// What a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Freeze,
    Up,
    Down,
    /// 0 to 9.
    Number(usize),
}

/// Reads keys from bytes as they come; a sequence may come in pieces.
#[derive(Debug, Default)]
pub(super) struct Keys {
    state: State,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    #[default]
    Plain,
    /// After ESC.
    Escaped,
    /// In a control sequence (ECMA-48, 5.4), or after the SS3 that arrow keys begin with in application mode.
    Sequence,
}

impl Keys {
    /// The key that ends with this byte, where one does that asks for something.
    pub(super) fn read(&mut self, byte: u8) -> Option<Key> {
        match self.state {
            State::Sequence => {
                if (0x40..=0x7e).contains(&byte) {
                    self.state = State::Plain;
                }
                match byte {
                    b'A' => Some(Key::Up),
                    b'B' => Some(Key::Down),
                    _ => None,
                }
            }
            State::Escaped if matches!(byte, b'[' | b'O') => {
                self.state = State::Sequence;
                None
            }
            _ if byte == 0x1b => {
                self.state = State::Escaped;
                None
            }
            _ => {
                self.state = State::Plain;
                match byte {
                    // Ctrl-C and Ctrl-D come as bytes from a raw terminal.
                    b'q' | b'Q' | 3 | 4 => Some(Key::Quit),
                    b'p' | b'P' | b' ' => Some(Key::Freeze),
                    b'k' => Some(Key::Up),
                    b'j' => Some(Key::Down),
                    b'0'..=b'9' => Some(Key::Number(usize::from(byte - b'0'))),
                    _ => None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Vec<Key> {
        let mut keys = Keys::default();
        bytes.iter().filter_map(|byte| keys.read(*byte)).collect()
    }

    #[test]
    fn keys_are_known_by_their_bytes() {
        assert_eq!(read(b"\x1b[A\x1b[B\x1bOA\x1bOBkj"), [Key::Up, Key::Down, Key::Up, Key::Down, Key::Up, Key::Down]);
        assert_eq!(
            read(b"p 07q\x03"),
            [Key::Freeze, Key::Freeze, Key::Number(0), Key::Number(7), Key::Quit, Key::Quit]
        );
    }

    #[test]
    fn sequences_of_other_keys_ask_for_nothing() {
        // Delete, F5, Shift-Home, a mouse report's beginning, an umlaut, Alt-x.
        assert_eq!(read(b"\x1b[3~\x1b[15~\x1b[1;2H\x1b[<0;1;1M\xc3\xa4\x1bx"), []);
        assert_eq!(read(b"\x1b\x1b[A"), [Key::Up], "ESC, and then a key");
    }
}
