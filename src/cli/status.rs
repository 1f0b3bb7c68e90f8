//! `serin status`: what a running serin is doing.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use super::client::{Client, ClientError, unknown_service};
use super::print::{complain, failed};
use super::text::plain;
use super::{BAD_USAGE, Global};
use crate::admin::{
    AddressStateView, AddressView, DeprecationView, DrillView, ExperimentView, KillSwitchView, OverloadView,
    ProgressView, SaysView, ServiceView, ServicesView, ShadowView, SteeringView, VerdictView, VersionFromView,
    VersionView,
};

const EVERY: Duration = Duration::from_secs(1);

/// Prints the state of all services, or of one; gives the exit code.
pub(super) fn run(global: &Global, service: Option<&str>, watch: bool, json: bool) -> ExitCode {
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    loop {
        match state(&client, service) {
            Ok(state) => {
                if print(&state, watch, json).is_err() {
                    // Whoever read this has enough.
                    return ExitCode::SUCCESS;
                }
            }
            Err(error) => {
                complain(&error);
                if !watch {
                    return ExitCode::FAILURE;
                }
            }
        }
        if !watch {
            return ExitCode::SUCCESS;
        }
        std::thread::sleep(EVERY);
    }
}

fn state(client: &Client, service: Option<&str>) -> Result<ServicesView, ClientError> {
    let body = client.get("/api/v1/services")?;
    let mut state: ServicesView = serde_json::from_slice(&body)?;
    if let Some(name) = service {
        if !state.services.iter().any(|service| service.name == name) {
            return Err(unknown_service(name, state.services.iter().map(|service| service.name.as_str())));
        }
        state.services.retain(|service| service.name == name);
    }
    Ok(state)
}

fn print(state: &ServicesView, watch: bool, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        return writeln!(out, "{}", serde_json::to_string(state).map_err(io::Error::other)?);
    }
    if watch && out.is_terminal() {
        // Home, and clear what is below.
        write!(out, "\x1b[H\x1b[J")?;
    }
    out.write_all(table(&state.services).as_bytes())?;
    out.flush()
}

/// The services as a table for 80 columns.
pub(crate) fn table(services: &[ServiceView]) -> String {
    let mut text = String::new();
    for service in services {
        let _ = writeln!(
            text,
            "{:<16} {:>6} {:>9} {:>8} {:>8} {:>8} {:>8} {:>8}",
            clip(&service.name, 16),
            "share",
            "req/s",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "fail/s"
        );
        for version in &service.versions {
            text.push_str(&row(version));
            text.push_str(&health(version));
            if let Some(overload) = &version.overload {
                let OverloadView { limit, queued, shed_per_second, .. } = overload;
                let working = version.in_flight.saturating_sub(*queued);
                let _ = writeln!(
                    text,
                    "    in flight {working} of at most {limit}, {queued} queued, {shed_per_second:.2} turned away/s"
                );
            }
        }
        if let Some(steering) = &service.steering {
            text.push_str(&flags(steering));
        }
        if let Some(verdict) = &service.verdict {
            text.push_str(&judged(verdict, ""));
        }
        if let Some(experiment) = &service.experiment {
            text.push_str(&compared(experiment));
        }
        if let Some(shadow) = &service.shadow {
            text.push_str(&copies(shadow));
        }
        if let Some(ProgressView { stage, share }) = &service.migration {
            let for_share = if share == "100%" { String::new() } else { format!(" for {share} of its keys") };
            let _ = writeln!(text, "  migration: stage {stage}{for_share}");
        }
        if let Some(deprecation) = &service.deprecation {
            text.push_str(&still_called(deprecation));
        }
        if let Some(rollout) = &service.rollout {
            text.push_str(&super::rollout::lines(rollout));
        }
        service.drills.iter().for_each(|drill| text.push_str(&alarm(drill)));
    }
    text
}

fn row(version: &VersionView) -> String {
    let latency = &version.latency;
    format!(
        "  {:<14} {:>5.1}% {:>9.1} {:>8} {:>8} {:>8} {:>8} {:>8.2}\n",
        clip(&version.name, 14),
        version.share * 100.0,
        version.requests_per_second,
        duration(latency.p50),
        duration(latency.p90),
        duration(latency.p99),
        duration(latency.p999),
        version.failures_per_second,
    )
}

/// What there is to say of a version's health: its share where that is not the one its weight says, and its addresses
/// where there are several or one is out of use.
fn health(version: &VersionView) -> String {
    let mut text = String::new();
    if (version.effective_share - version.share).abs() > 5e-4 {
        let _ = writeln!(text, "    now  {:>11.1}%", version.effective_share * 100.0);
    }
    let addresses = &version.addresses;
    if addresses.len() > 1 || addresses.iter().any(|address| address.state != AddressStateView::Up) {
        text.extend(
            addresses.iter().map(|address| format!("    {:<40} {}\n", address.address, address_state(address))),
        );
    }
    text
}

fn address_state(address: &AddressView) -> String {
    match (address.state, &address.reason, address.ejected_seconds) {
        (AddressStateView::Up, ..) => "up".to_owned(),
        (AddressStateView::Unhealthy, Some(reason), _) => format!("unhealthy: {reason}"),
        (AddressStateView::Unhealthy, None, _) => "unhealthy".to_owned(),
        (AddressStateView::Ejected, _, Some(left)) => format!("ejected, {left:.0}s left"),
        (AddressStateView::Ejected, _, None) => "ejected".to_owned(),
    }
}

/// What is said of the variants of a flag.
fn compared(experiment: &ExperimentView) -> String {
    let ExperimentView { flag, variants, problem, .. } = experiment;
    if let Some(problem) = problem {
        return wrapped(&format!("flag {flag}: nothing is compared: {problem}"));
    }
    variants.iter().map(|variant| judged(variant, &format!("flag {flag}: "))).collect()
}

/// What is said of the newest version, or of a variant.
fn judged(verdict: &VerdictView, what: &str) -> String {
    let VerdictView { verdict, from, to, .. } = verdict;
    let arm = verdict.old_arm.as_ref().map(|arm| format!("'s {arm} arm")).unwrap_or_default();
    wrapped(&format!("{what}{to} beside {from}{arm}: {}: {}", verdict.verdict.label(), verdict.reason))
}

/// Copies of requests, and what is said of the version that gets them.
fn copies(shadow: &ShadowView) -> String {
    let ShadowView { to, share, latency, copies_per_second, results, verdict, .. } = shadow;
    let name = format!("{} (shadow)", clip(to, 16));
    let mut text = format!(
        "  {name:<25} {copies_per_second:>5.1} {:>8} {:>8} {:>8} {:>8}\n",
        duration(latency.p50),
        duration(latency.p90),
        duration(latency.p99),
        duration(latency.p999),
    );
    let results: Vec<_> = results.iter().map(|(result, count)| format!("{count} {result}")).collect();
    let results = if results.is_empty() { "none yet".to_owned() } else { results.join(", ") };
    text.push_str(&wrapped(&format!("copies of {}% of the requests: {results}", share * 100.0)));
    if let Some(VerdictView { verdict, from, .. }) = verdict {
        text.push_str(&wrapped(&format!(
            "shadow: {to} beside {from}: {}: {}",
            verdict.verdict.label(),
            verdict.reason
        )));
    }
    text
}

/// Words in lines of 80 columns.
fn wrapped(said: &str) -> String {
    let (mut text, mut column) = (String::new(), 80);
    for word in plain(said).split(' ') {
        if column + 1 + word.chars().count() > 80 {
            text.push_str(if text.is_empty() { "  " } else { "\n    " });
            column = if text.len() == 2 { 2 } else { 4 };
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += word.chars().count();
    }
    text.push('\n');
    text
}

/// Who still calls a version whose end is announced.
fn still_called(deprecation: &DeprecationView) -> String {
    let DeprecationView { version, sunset, requests, callers, .. } = deprecation;
    let day = |time: &str| time.split('T').next().unwrap_or(time).to_owned();
    let end = sunset.as_deref().map(|sunset| format!(", ends {}", day(sunset))).unwrap_or_default();
    let callers: Vec<_> =
        callers.iter().take(5).map(|c| format!("{} {}", clip(&plain(&c.client), 40), c.requests)).collect();
    let by = if callers.is_empty() { String::new() } else { format!(": {}", callers.join(", ")) };
    format!("  {version} is deprecated{end}; {requests} requests since the start{by}\n")
}

/// What flags do to the shares.
fn flags(steering: &SteeringView) -> String {
    let mut text = String::new();
    if let Some(VersionFromView { flag, says, version }) = &steering.version_from {
        let what = match (says, version) {
            (SaysView::Always, Some(version)) => format!("{version} for every request"),
            (SaysView::Always, None) => "no version of this service: the weights decide".to_owned(),
            (SaysView::ByRequest, _) => "picks the version of each request by its rule".to_owned(),
            (SaysView::Nothing, _) => "says nothing: the weights decide".to_owned(),
        };
        let _ = writeln!(text, "    flag {flag}: {what}");
    }
    for KillSwitchView { version, flag, says, on } in &steering.kill_switches {
        let what = match says {
            SaysView::Always if *on => format!("!!! {version} is KILLED for every request"),
            SaysView::Always => format!("kill switch of {version}, off"),
            SaysView::ByRequest => format!("kill switch of {version}, by its rule for each request"),
            SaysView::Nothing => format!("kill switch of {version}, says nothing"),
        };
        let _ = writeln!(text, "    flag {flag}: {what}");
    }
    text
}

/// A drill, loud enough that nobody takes it for an outage.
fn alarm(drill: &DrillView) -> String {
    let DrillView { name, version, share, effects, until, active, injected, .. } = drill;
    let until = until.split_once('.').map_or(until.as_str(), |(seconds, _)| seconds);
    format!(
        "  !!! DRILL until {until} UTC: {share} of {version}: {} ({name}: {injected} so far, {active} now)\n",
        effects.join(", ")
    )
}

fn clip(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width - 1).chain(['…']).collect()
}

/// Seconds in three digits and a fitting unit; a dash where there are none.
pub(crate) fn duration(seconds: Option<f64>) -> String {
    let Some(seconds) = seconds else { return "-".to_owned() };
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    match value {
        v if v < 9.995 => format!("{v:.2}{unit}"),
        v if v < 99.95 => format!("{v:.1}{unit}"),
        v => format!("{v:.0}{unit}"),
    }
}
