//! Frames on a terminal, one after the other, until somebody has seen enough.

use std::io::{self, IsTerminal, Read};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::signal::unix::{SignalKind, signal};

use super::frame::frame;
use super::keys::{Key, Keys};
use super::look::Look;
use super::source::Source;
use super::state::{Lost, Screen, Snapshot};
use super::terminal::Terminal;
use crate::cli::client::ClientError;
use crate::cli::print::failed;

/// What happens meanwhile.
enum Event {
    Key(Key),
    /// serin has answered, or why it has not.
    Said(Box<Result<Snapshot, String>>),
    Resized,
    Quit,
}

/// Shows frames until a key or a signal ends it; gives the exit code.
pub(super) fn watch(source: Source, mut screen: Screen, every: Duration, look: Look) -> ExitCode {
    let (sender, events) = mpsc::channel();
    let prepared = signals(sender.clone()).and_then(|()| {
        let input = io::stdin().is_terminal().then(|| io::stdin().as_fd().try_clone_to_owned()).transpose()?;
        screen.keys = input.is_some();
        Terminal::enter(input, io::stdout().as_fd().try_clone_to_owned()?)
    });
    let terminal = match prepared {
        Ok(terminal) => terminal,
        Err(error) => {
            return failed(format_args!("the terminal cannot be used: {error}; try --once"), ExitCode::FAILURE);
        }
    };
    if screen.keys {
        let sender = sender.clone();
        thread::spawn(move || keys(&sender));
    }
    let (wanted, focus) = mpsc::channel();
    let asking = ask(source, screen.focus.clone(), every, focus, sender);
    let ended = show(&terminal, &mut screen, look, &events, &wanted, &asking);
    drop(terminal);
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => failed(why, ExitCode::FAILURE),
    }
}

/// Draws whenever there is something new, and once a second.
///
/// # Errors
/// If nobody asks serin any more.
fn show(
    terminal: &Terminal,
    screen: &mut Screen,
    look: Look,
    events: &Receiver<Event>,
    wanted: &Sender<Option<String>>,
    asking: &JoinHandle<()>,
) -> Result<(), &'static str> {
    let mut lost_since = None;
    loop {
        if let (Some(lost), Some(since)) = (&mut screen.lost, lost_since) {
            lost.for_ms = Instant::elapsed(&since).as_millis() as u64;
        }
        if terminal.draw(&frame(screen, terminal.size(), look).in_place()).is_err() {
            // Nobody is there to see it.
            return Ok(());
        }
        match events.recv_timeout(Duration::from_secs(1)) {
            Ok(Event::Key(key)) => {
                let before = screen.focus.clone();
                if !screen.press(key) {
                    return Ok(());
                }
                if screen.focus != before {
                    // Where nobody hears it, that is found out below.
                    let _ = wanted.send(screen.focus.clone());
                }
            }
            Ok(Event::Said(said)) => match *said {
                Ok(snapshot) => {
                    lost_since = None;
                    screen.tell(snapshot);
                }
                Err(why) => {
                    lost_since.get_or_insert_with(Instant::now);
                    screen.lost = Some(Lost { for_ms: 0, why });
                }
            },
            Ok(Event::Quit) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            Ok(Event::Resized) | Err(RecvTimeoutError::Timeout) => {}
        }
        if asking.is_finished() {
            return Err("serin is not asked any more; why is said above");
        }
    }
}

/// Asks on a thread of its own, so that keys are heard while an answer takes long.
fn ask(
    mut source: Source,
    mut focus: Option<String>,
    every: Duration,
    wanted: Receiver<Option<String>>,
    events: Sender<Event>,
) -> JoinHandle<()> {
    thread::spawn(move || {
        loop {
            match wanted.recv_timeout(every) {
                // Who presses keys fast wants the last.
                Ok(first) => focus = wanted.try_iter().last().unwrap_or(first),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let said = source.snapshot(focus.as_deref()).map_err(|error| why(&error));
            if events.send(Event::Said(Box::new(said))).is_err() {
                return;
            }
        }
    })
}

/// Why there is no answer, in a line.
pub(super) fn why(error: &ClientError) -> String {
    match error {
        ClientError::NoAnswer { address, reason } => format!("{address}: {reason}"),
        other => other.to_string().lines().next().unwrap_or_default().to_owned(),
    }
}

fn keys(events: &Sender<Event>) {
    let mut keys = Keys::default();
    for byte in io::stdin().lock().bytes() {
        let Ok(byte) = byte else { break };
        if let Some(key) = keys.read(byte)
            && events.send(Event::Key(key)).is_err()
        {
            return;
        }
    }
    // The terminal is gone; where nobody hears it, it is over anyway.
    let _ = events.send(Event::Quit);
}

/// Hears signals from here on.
fn signals(events: Sender<Event>) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let entered = runtime.enter();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut hung_up = signal(SignalKind::hangup())?;
    let mut resized = signal(SignalKind::window_change())?;
    drop(entered);
    thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let event = tokio::select! {
                    _ = terminated.recv() => Event::Quit,
                    _ = interrupted.recv() => Event::Quit,
                    _ = hung_up.recv() => Event::Quit,
                    _ = resized.recv() => Event::Resized,
                };
                if events.send(event).is_err() {
                    return;
                }
            }
        });
    });
    Ok(())
}
