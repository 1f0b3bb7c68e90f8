//! A terminal with a program on it: what it draws, which keys are pressed, how large it is, how it is left.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::eventually;
use super::serin::binary;

/// `serin` on a terminal of its own. Killed when dropped.
pub struct Terminal {
    ours: File,
    theirs: OwnedFd,
    pub child: Child,
    drawn: Arc<Mutex<Vec<u8>>>,
}

impl Terminal {
    /// Starts `serin` with `args` on a terminal of this many columns and rows, in UTF-8 and without colours.
    pub fn start(args: &[&str], columns: u16, rows: u16) -> Self {
        Self::start_as(args, columns, rows, "xterm", |_| {})
    }

    /// The same with another value of `TERM`, and `change` made to the command.
    pub fn start_as(args: &[&str], columns: u16, rows: u16, term: &str, change: impl FnOnce(&mut Command)) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&ours).and_then(|()| unlockpt(&ours)).expect("one that can be opened");
        let name = ptsname(&ours, Vec::new()).expect("its name").into_string().expect("text");
        let theirs: OwnedFd = File::options().read(true).write(true).open(name).expect("the other end").into();
        let ours = File::from(ours);
        resize(&ours, columns, rows);
        let end = || Stdio::from(theirs.try_clone().expect("another handle"));
        let mut command = Command::new(binary());
        command.args(args).stdin(end()).stdout(end()).stderr(end());
        command.env("TERM", term).env("LC_ALL", "C.UTF-8").env("NO_COLOR", "1");
        change(&mut command);
        let child = command.spawn().expect("the binary starts");
        let drawn = Arc::<Mutex<Vec<u8>>>::default();
        let (copy, mut reading) = (Arc::clone(&drawn), ours.try_clone().expect("another handle"));
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(read @ 1..) = reading.read(&mut piece) {
                copy.lock().expect("no one panics with it").extend_from_slice(&piece[..read]);
            }
        });
        Self { ours, theirs, child, drawn }
    }

    /// Everything that was drawn.
    pub fn drawn(&self) -> String {
        String::from_utf8_lossy(&self.drawn.lock().expect("no one panics with it")).into_owned()
    }

    /// The lines of the last frame that is there whole.
    pub fn frame(&self) -> Option<Vec<String>> {
        let drawn = self.drawn();
        let (before, _) = drawn.rsplit_once("\x1b[J")?;
        let (_, frame) = before.rsplit_once("\x1b[H")?;
        Some(frame.split("\r\n").map(|line| line.replace("\x1b[K", "")).collect())
    }

    /// Waits for a frame with all of these words.
    ///
    /// # Panics
    /// If none comes.
    pub fn await_frame(&self, words: &[&str]) -> Vec<String> {
        eventually(&format!("a frame with {words:?}"), || {
            self.frame().filter(|frame| {
                let text = frame.join("\n");
                words.iter().all(|word| text.contains(word))
            })
        })
    }

    pub fn press(&mut self, keys: &str) {
        self.ours.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        resize(&self.ours, columns, rows);
    }

    /// Whether keys come as they are pressed, unseen.
    pub fn is_raw(&self) -> bool {
        !tcgetattr(&self.theirs).expect("its mode").local_modes.contains(LocalModes::ECHO | LocalModes::ICANON)
    }

    /// Sends a signal by name, such as `TERM`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Waits for the program to end.
    pub fn wait(&mut self) -> ExitStatus {
        eventually("the program to end", || self.child.try_wait().expect("a child"))
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- drawn last:\n{}", self.frame().unwrap_or_default().join("\n"));
        }
    }
}

fn resize(terminal: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(terminal, size).expect("a size");
}
