//! `serin diff`: where the answers of two versions differ.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::client::{Client, ClientError, encode};
use super::print::{complain, failed};
use super::{BAD_USAGE, Global};
use crate::admin::DiffsView;
use crate::diff::{PlaceReport, RouteReport, SampleReport, Shares, Verdict};

const EVERY: Duration = Duration::from_secs(1);
/// Places of a route that are printed; the rest is counted.
const MAX_PLACES: usize = 20;

/// What is asked of comparisons.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub(super) struct DiffArgs {
    /// The service.
    service: String,
    /// Print again every second.
    #[arg(long, conflicts_with = "reset")]
    watch: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Print places that are noise, too.
    #[arg(long)]
    noise: bool,
    /// Forget what was found, and begin to compare anew.
    #[arg(long)]
    reset: bool,
}

/// Prints what was found, or has it forgotten; gives the exit code.
pub(super) fn run(global: &Global, args: &DiffArgs) -> ExitCode {
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let path = format!("/api/v1/services/{}/diffs", encode(&args.service));
    if args.reset {
        return match client.delete(&path) {
            Ok(_) => ExitCode::SUCCESS,
            Err(error) => failed(error, ExitCode::FAILURE),
        };
    }
    loop {
        let found = client.get(&path).and_then(|body| Ok(serde_json::from_slice::<DiffsView>(&body)?));
        match found {
            Ok(view) => {
                if print(&view, args).is_err() {
                    // Whoever read this has enough.
                    return ExitCode::SUCCESS;
                }
            }
            Err(error @ (ClientError::Refused { .. } | ClientError::Unreadable(_))) => {
                return failed(error, ExitCode::FAILURE);
            }
            Err(error) => {
                complain(&error);
                if !args.watch {
                    return ExitCode::FAILURE;
                }
            }
        }
        if !args.watch {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(EVERY);
    }
}

fn print(view: &DiffsView, args: &DiffArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if args.json {
        return writeln!(out, "{}", serde_json::to_string(view).map_err(io::Error::other)?);
    }
    if args.watch && out.is_terminal() {
        // Home, and clear what is below.
        write!(out, "\x1b[H\x1b[J")?;
    }
    out.write_all(text(view, args.noise).as_bytes())?;
    out.flush()
}

fn text(view: &DiffsView, noise: bool) -> String {
    let DiffsView { service, to, since, verdict, dropped, routes } = view;
    let mut text = format!("{service}: {to} beside what clients get: {}\n", verdict.label());
    match since {
        Some(since) => {
            let since = since.split_once('.').map_or(since.as_str(), |(seconds, _)| seconds);
            let _ = writeln!(text, "  since {since} UTC");
        }
        None => text.push_str("  nothing was compared yet\n"),
    }
    if *dropped > 0 {
        let _ = writeln!(text, "  {dropped} answers could not be compared");
    }
    for route in routes {
        text.push_str(&of_route(route, noise));
    }
    text
}

fn of_route(route: &RouteReport, noise: bool) -> String {
    let RouteReport { route: name, compared, differed, noise_compared, noise_differed, .. } = route;
    let mut text =
        format!("  {name}: {differed} of {compared} differ; of old alone {noise_differed} of {noise_compared}\n");
    if route.bodies_left_out > 0 {
        let _ = writeln!(text, "    {} without their bodies, which were too long", route.bodies_left_out);
    }
    let shown = || route.places.iter().filter(|place| noise || place.verdict != Verdict::Noise);
    shown().take(MAX_PLACES).for_each(|place| text.push_str(&of_place(place)));
    let hidden = route.places.len() - shown().count().min(MAX_PLACES);
    if hidden > 0 {
        let _ = writeln!(text, "    {hidden} more places{}", if noise { "" } else { ", noise among them: --noise" });
    }
    if route.places_left_out > 0 {
        let _ = writeln!(text, "    {} differences in places beyond those told apart", route.places_left_out);
    }
    text
}

fn of_place(place: &PlaceReport) -> String {
    let PlaceReport { place: name, verdict, rate, noise, changes, samples, .. } = place;
    let mut text = format!("    {:<10} {}  {}, noise {}", verdict.label(), printable(name), share(rate), share(noise));
    for (change, count) in changes {
        let _ = write!(text, ", {} {count}", change.label());
    }
    text.push('\n');
    if *verdict != Verdict::Noise
        && let Some(SampleReport { old, new, .. }) = samples.last()
    {
        let _ = writeln!(text, "      old {}\n      new {}", printable(old), printable(new));
    }
    text
}

fn share(shares: &Shares) -> String {
    shares.estimate.map_or_else(|| "unknown".to_owned(), |estimate| format!("{:.1}%", estimate * 100.0))
}

/// What a service has made up, without what a terminal would take for orders.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '·' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_noise_is_counted_and_what_would_move_the_cursor_is_not_printed() {
        let shares = |estimate| Shares { estimate: Some(estimate), low: 0.0, high: 1.0, n: 10 };
        let place = |name: &str, verdict| PlaceReport {
            place: name.to_owned(),
            verdict,
            differed: 5,
            noise_differed: 0,
            rate: shares(0.5),
            noise: shares(0.0),
            changes: [(crate::diff::Change::Value, 5)].into(),
            samples: vec![SampleReport {
                at: 0,
                change: crate::diff::Change::Value,
                old: "\"\x1b[2J\"".into(),
                new: "2".into(),
            }],
        };
        let route = RouteReport {
            route: "orders".to_owned(),
            verdict: Verdict::Different,
            compared: 10,
            differed: 5,
            noise_compared: 1,
            noise_differed: 0,
            bodies_left_out: 0,
            places_left_out: 0,
            places: vec![place("$.total", Verdict::Different), place("$.at", Verdict::Noise)],
        };
        let said = of_route(&route, false);
        assert!(
            said.contains("different  $.total  50.0%, noise 0.0%, value 5\n      old \"·[2J\"\n      new 2\n"),
            "{said}"
        );
        assert!(said.contains("1 more places, noise among them"), "{said}");
        assert!(of_route(&route, true).contains("noise      $.at"));
    }
}
