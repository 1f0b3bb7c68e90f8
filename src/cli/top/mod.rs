//! `serin top`: what the versions of a running serin do, live, on a terminal.

mod columns;
#[cfg(test)]
mod fixture;
mod frame;
mod keys;
mod line;
mod live;
mod look;
mod service;
mod source;
mod spark;
mod state;
mod terminal;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::json;

use self::frame::frame;
use self::line::Size;
use self::look::{Look, is_dumb};
use self::source::{Source, now};
use self::state::{Screen, Snapshot};
use super::client::{Client, ClientError, unknown_service};
use super::print::{answer, failed};
use super::{BAD_USAGE, Global};
use crate::admin::ServicesView;
use crate::config;

/// Changes in a frame that is not cut to a screen.
const CHANGES: usize = 10;

/// What `serin top` takes.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(super) struct TopArgs {
    /// Begin with this service alone.
    service: Option<String>,
    /// Print one frame and end; so it is too where standard output is no terminal.
    #[arg(long)]
    once: bool,
    /// Print a line of JSON each time: `at` (milliseconds since 1970) and the services as in `status --json`, or `problem`.
    #[arg(long)]
    json: bool,
    /// How often serin is asked: 200ms to 1m.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = every)]
    every: Duration,
    /// Draw with ASCII alone. So it is too where the locale is not UTF-8.
    #[arg(long)]
    ascii: bool,
    /// Draw without colours. So it is too where `NO_COLOR` is set or `TERM` is dumb.
    #[arg(long)]
    no_color: bool,
}

/// Shows frames, or prints what is asked for; gives the exit code.
pub(super) fn run(global: &Global, args: &TopArgs) -> ExitCode {
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let mut source = Source::new(client);
    if args.json {
        return lines(&source, args);
    }
    let first = match source.snapshot(args.service.as_deref()).and_then(|first| known(first, args.service.as_deref())) {
        Ok(first) => first,
        Err(error) => return failed(error, ExitCode::FAILURE),
    };
    let env = |name: &str| std::env::var(name).ok();
    let terminal = io::stdout().is_terminal();
    let look = Look::new(args.ascii, args.no_color, terminal, env);
    let (admin, focus) = (global.admin.clone(), args.service.clone());
    let screen = Screen { admin, snapshot: first, lost: None, frozen: false, focus, keys: false };
    if args.once || !terminal {
        answer(&whole(screen, look), ExitCode::SUCCESS)
    } else if is_dumb(env) {
        one_below_the_other(source, screen, args.every, look)
    } else {
        live::watch(source, screen, args.every, look)
    }
}

/// The snapshot, if the service asked for is in it.
fn known(snapshot: Snapshot, service: Option<&str>) -> Result<Snapshot, ClientError> {
    match service {
        Some(name) => only(&snapshot.state, name).map(|_| snapshot),
        None => Ok(snapshot),
    }
}

/// The state of one service.
fn only(state: &ServicesView, name: &str) -> Result<ServicesView, ClientError> {
    let found = state.services.iter().find(|service| service.name == name);
    let found =
        found.ok_or_else(|| unknown_service(name, state.services.iter().map(|service| service.name.as_str())))?;
    Ok(ServicesView { generation: state.generation, services: vec![found.clone()] })
}

/// A frame with all there is, as long as it may be.
fn whole(mut screen: Screen, look: Look) -> String {
    screen.snapshot.changes.truncate(CHANGES);
    let columns = if io::stdout().is_terminal() { terminal::size(io::stdout()).columns } else { 80 };
    frame(&screen, Size { rows: usize::MAX, columns }, look).text()
}

/// For terminals that cannot draw in place.
fn one_below_the_other(mut source: Source, mut screen: Screen, every: Duration, look: Look) -> ExitCode {
    loop {
        let text = whole(screen.clone(), look) + "\n";
        if io::stdout().lock().write_all(text.as_bytes()).is_err() {
            // Whoever read this has enough.
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(every);
        match source.snapshot(screen.focus.as_deref()) {
            Ok(snapshot) => screen.tell(snapshot),
            Err(error) => {
                let for_ms = screen.lost.map_or(0, |lost| lost.for_ms) + every.as_millis() as u64;
                screen.lost = Some(state::Lost { for_ms, why: live::why(&error) });
            }
        }
    }
}

/// A line of JSON.
#[derive(Serialize)]
struct Tick {
    /// Milliseconds since 1970, by the clock here.
    at: u64,
    #[serde(flatten)]
    state: ServicesView,
}

/// Prints lines of JSON until nobody reads them any more; gives the exit code.
fn lines(source: &Source, args: &TopArgs) -> ExitCode {
    let mut any = false;
    loop {
        let state = source.state().and_then(|state| match &args.service {
            Some(name) => only(&state, name),
            None => Ok(state),
        });
        let line = match state {
            Ok(state) => serde_json::to_string(&Tick { at: now(), state }).map_err(ClientError::from),
            Err(error) if any => Ok(json!({ "at": now(), "problem": live::why(&error) }).to_string()),
            Err(error) => Err(error),
        };
        let line = match line {
            Ok(line) => line + "\n",
            Err(error) => return failed(error, ExitCode::FAILURE),
        };
        any = true;
        let mut out = io::stdout().lock();
        if out.write_all(line.as_bytes()).and_then(|()| out.flush()).is_err() || args.once {
            return ExitCode::SUCCESS;
        }
        drop(out);
        std::thread::sleep(args.every);
    }
}

fn every(text: &str) -> Result<Duration, String> {
    let range = Duration::from_millis(200)..=Duration::from_mins(1);
    let every = config::duration(text)?;
    if range.contains(&every) { Ok(every) } else { Err("expected 200ms to 1m".to_owned()) }
}
