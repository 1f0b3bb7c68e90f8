//! A terminal of one's own: raw, on its other screen, without a cursor; and as it was before once this is over, however
//! it ends.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};

use super::line::Size;

/// To the other screen; no cursor; what is too long for a line is lost instead of going on in the next.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
/// The same undone.
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// A terminal that is left as it was found when this is dropped, and before a panic is told.
#[derive(Debug)]
pub(super) struct Terminal {
    found: Arc<Found>,
}

/// The terminal as it was.
#[derive(Debug)]
struct Found {
    /// Where keys come from, and its mode. `None`: they do not come from a terminal.
    input: Option<(OwnedFd, Termios)>,
    output: File,
    left: AtomicBool,
}

impl Terminal {
    /// Takes the terminal behind `output`, and keys as they are pressed from that behind `input`.
    ///
    /// # Errors
    /// If one of them is no terminal.
    pub(super) fn enter(input: Option<OwnedFd>, output: OwnedFd) -> io::Result<Self> {
        let input = input
            .map(|input| {
                let mode = tcgetattr(&input)?;
                Ok::<_, io::Error>((input, mode))
            })
            .transpose()?;
        let found = Arc::new(Found { input, output: File::from(output), left: AtomicBool::new(false) });
        let of_panics = Arc::clone(&found);
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            of_panics.leave();
            before(panic);
        }));
        // From here on it is left again whatever happens.
        let terminal = Self { found };
        if let Some((input, mode)) = &terminal.found.input {
            let mut raw = mode.clone();
            raw.make_raw();
            tcsetattr(input, OptionalActions::Now, &raw)?;
        }
        (&terminal.found.output).write_all(ENTER.as_bytes())?;
        Ok(terminal)
    }

    /// Puts this on the screen.
    ///
    /// # Errors
    /// If the terminal is gone.
    pub(super) fn draw(&self, text: &str) -> io::Result<()> {
        if self.found.left.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotConnected.into());
        }
        (&self.found.output).write_all(text.as_bytes())
    }

    /// How large it is now.
    pub(super) fn size(&self) -> Size {
        size(&self.found.output)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.found.leave();
    }
}

impl Found {
    /// Leaves the terminal as it was, once. One that is gone needs nothing.
    fn leave(&self) {
        if self.left.swap(true, Ordering::SeqCst) {
            return;
        }
        let _ = (&self.output).write_all(LEAVE.as_bytes());
        if let Some((input, mode)) = &self.input {
            let _ = tcsetattr(input, OptionalActions::Now, mode);
        }
    }
}

/// The size of the terminal behind a file; 80 columns and 24 rows where it has none or does not say.
pub(super) fn size(terminal: impl std::os::fd::AsFd) -> Size {
    match tcgetwinsize(terminal) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
            Size { rows: usize::from(size.ws_row), columns: usize::from(size.ws_col) }
        }
        _ => Size { rows: 24, columns: 80 },
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    use super::*;

    /// Both ends of a terminal.
    fn pty() -> (File, OwnedFd) {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("one that can be opened");
        let name = ptsname(&ours, Vec::new()).expect("its name").into_string().expect("text");
        let theirs = File::options().read(true).write(true).open(name).expect("the other end");
        (File::from(ours), theirs.into())
    }

    fn is_raw(terminal: &OwnedFd) -> bool {
        !tcgetattr(terminal).expect("its mode").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    #[test]
    fn a_terminal_is_left_as_it_was_also_by_a_panic() {
        for panics in [false, true] {
            let (mut ours, theirs) = pty();
            let dup = || theirs.try_clone().expect("another handle");
            assert!(!is_raw(&theirs));
            let (input, output) = (dup(), dup());
            let ended = std::panic::catch_unwind(|| {
                let terminal = Terminal::enter(Some(input), output).expect("a terminal");
                assert!(is_raw(&theirs));
                terminal.draw("drawn").expect("it is there");
                assert!(!panics, "a panic of the test's own");
            });
            assert_eq!(ended.is_err(), panics);
            assert!(!is_raw(&theirs), "raw after a panic: {panics}");
            File::from(dup()).write_all(b"end").expect("it is there");
            let (mut seen, mut piece) = (Vec::new(), [0; 200]);
            while !seen.ends_with(b"end") {
                let read = ours.read(&mut piece).expect("what was drawn");
                seen.extend_from_slice(&piece[..read]);
            }
            assert_eq!(String::from_utf8_lossy(&seen), format!("{ENTER}drawn{LEAVE}end"));
        }
    }

    #[test]
    fn what_is_no_terminal_is_refused_and_has_the_usual_size() {
        let file = || OwnedFd::from(tempfile::tempfile().expect("a file"));
        assert!(Terminal::enter(Some(file()), file()).is_err());
        assert_eq!(size(file()), Size { rows: 24, columns: 80 });
    }
}
