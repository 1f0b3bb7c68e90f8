//! `serin rollout`: orders for the rollout of a running serin, and what there is to know before one starts.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};

use super::client::{Client, ClientError, encode};
use super::print::{answer, complain, failed};
use super::progress::Progress;
use super::text::{plain, wrapped};
use super::{BAD_USAGE, Global};
use crate::config;
use crate::rollout::{ControlView, Grade, Preflight, RolloutView};

/// How often it is asked whether a rollout is over.
const EVERY: Duration = Duration::from_millis(300);
/// How long serin may be without an answer meanwhile: a restart takes less.
const GONE: Duration = Duration::from_mins(1);

/// What is asked of a rollout.
#[derive(Debug, Args)]
pub(super) struct RolloutArgs {
    /// What to do.
    action: Action,
    /// The service.
    service: String,
    /// Why, for whoever looks later.
    #[arg(long, default_value = "")]
    reason: String,
    /// Who asks.
    #[arg(long = "as", value_name = "NAME", env = "USER")]
    actor: Option<String>,
    /// With approve: the hash of the plan that is agreed to, or its beginning. Default: the one in force.
    #[arg(long, value_name = "HASH")]
    plan: Option<String>,
    /// With wait: longest that is waited. Default: for ever.
    #[arg(long, value_name = "DURATION", value_parser = config::duration)]
    timeout: Option<Duration>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Action {
    /// Begin, if nothing stands in the way.
    Start,
    /// Stop where it is; gates still hold.
    Pause,
    /// Go on where it stopped.
    Resume,
    /// On to the next step without waiting for bake time or evidence.
    Promote,
    /// Take everything from the new version.
    Abort,
    /// Agree to the plan.
    Approve,
    /// Say what stands in the way of a start, and how long steps need to see anything; change nothing.
    Preflight,
    /// Wait until it is over; done only if the new version has everything then.
    Wait,
}

/// Does it and prints how things stand; gives the exit code.
pub(super) fn run(global: &Global, args: &RolloutArgs) -> ExitCode {
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let done = match args.action {
        Action::Preflight => preflight(&client, args),
        Action::Wait => wait(&client, args),
        _ => order(&client, args).map(|text| (text, true)),
    };
    match done {
        Ok((text, well)) => answer(&text, if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

fn order(client: &Client, args: &RolloutArgs) -> Result<String, ClientError> {
    let path = format!("/api/v1/services/{}/rollout", encode(&args.service));
    let action = args.action.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
    let mut body = serde_json::json!({ "action": action, "reason": args.reason });
    if let Some(actor) = args.actor.as_ref().filter(|actor| !actor.is_empty()) {
        body["actor"] = actor.as_str().into();
    }
    if args.action == Action::Approve {
        let view: RolloutView = serde_json::from_slice(&client.get(&path)?)?;
        if let Some(wanted) = args.plan.as_ref().filter(|wanted| !view.plan_hash.starts_with(wanted.as_str())) {
            let detail = format!("the plan in force is {}, not {wanted}: look at it again", view.plan_hash);
            return Err(ClientError::Usage(detail));
        }
        body["planHash"] = view.plan_hash.into();
    }
    let answer = client.post(&path, &body)?;
    let view: RolloutView = serde_json::from_slice(&answer)?;
    shown(&view, args.json)
}

/// Where a rollout stands, and what the judge says of its step.
fn shown(view: &RolloutView, json: bool) -> Result<String, ClientError> {
    if json {
        return Ok(serde_json::to_string(view)? + "\n");
    }
    let verdict = view.verdict.as_ref().filter(|_| view.step.is_some());
    let judged = verdict.map(|v| format!("    {}: {}\n", v.verdict.label(), plain(&v.reason))).unwrap_or_default();
    Ok(lines(view) + &judged)
}

/// Waits for the end of a run, and says whether the new version has everything then. That serin does not answer for a while is
/// waited out: a rollout goes on after a restart.
fn wait(client: &Client, args: &RolloutArgs) -> Result<(String, bool), ClientError> {
    let path = format!("/api/v1/services/{}/rollout", encode(&args.service));
    let (began, mut answered) = (Instant::now(), Instant::now());
    let mut progress = Progress::new(args.json);
    let mut view: RolloutView = serde_json::from_slice(&client.get(&path)?)?;
    let mut step = None;
    while view.is_on() || view.state == "validating" {
        if args.timeout.is_some_and(|timeout| began.elapsed() >= timeout) {
            let last = shown(&view, false)?;
            return Err(ClientError::Usage(format!(
                "it is not over yet; {} was waited\n{last}",
                seconds(began.elapsed().as_secs_f64())
            )));
        }
        if !args.json && step.as_ref().is_some_and(|before| *before != (view.state.clone(), view.step)) {
            progress.clear();
            complain(lines(&view).lines().next().unwrap_or_default());
        }
        step = Some((view.state.clone(), view.step));
        progress.at(part(&view), &format!("{}{}", view.state, waits(&view)));
        std::thread::sleep(EVERY);
        match client.get(&path) {
            Ok(body) => {
                (view, answered) = (serde_json::from_slice(&body)?, Instant::now());
            }
            Err(ClientError::NoAnswer { .. }) if answered.elapsed() < GONE => {
                progress.at(None, "serin does not answer; trying again");
            }
            Err(error) => return Err(error),
        }
    }
    drop(progress);
    Ok((shown(&view, args.json)?, view.state == "completed"))
}

/// How far the steps are, 0 to 1, where that can be said.
fn part(view: &RolloutView) -> Option<f64> {
    let (step, steps) = (view.step?, view.steps.len());
    let bake = view.steps.get(step - 1)?.bake_seconds;
    let of_step = view.baked_seconds.filter(|_| bake > 0.0).map_or(0.0, |baked| (baked / bake).min(1.0));
    Some((step as f64 - 1.0 + of_step) / steps as f64)
}

fn waits(view: &RolloutView) -> String {
    if view.waiting_for.is_empty() { String::new() } else { format!(", waits for {}", view.waiting_for.join(", ")) }
}

/// Whether nothing stands in the way.
fn preflight(client: &Client, args: &RolloutArgs) -> Result<(String, bool), ClientError> {
    let path = format!("/api/v1/services/{}/rollout/preflight", encode(&args.service));
    let preflight: Preflight = serde_json::from_slice(&client.get(&path)?)?;
    if args.json {
        return Ok((serde_json::to_string(&preflight)? + "\n", preflight.ready));
    }
    let mut text = String::new();
    for check in &preflight.checks {
        let grade = match check.grade {
            Grade::Ok => "ok",
            Grade::Warn => "warn",
            Grade::Refuse => "REFUSE",
        };
        _ = writeln!(text, "{grade:<7} {:<9} {}", check.name, plain(&check.detail));
    }
    _ = writeln!(
        text,
        "{:>5} {:>8} {:>10} {:>12} {:>14} {:>14}",
        "step", "weight", "bake", "req/s", "requests", "to see harm"
    );
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for step in &preflight.steps {
        _ = writeln!(
            text,
            "{:>5} {:>7}% {:>10} {:>12.2} {:>14} {:>14}",
            step.step,
            step.weight,
            seconds(step.bake_seconds),
            step.requests_per_second,
            or_dash(step.requests.map(|requests| requests.to_string())),
            or_dash(step.seconds.map(seconds)),
        );
    }
    text.push_str(if preflight.ready { "ready to start\n" } else { "not ready to start\n" });
    Ok((text, preflight.ready))
}

fn seconds(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0}s"),
        s if s < 7200.0 => format!("{:.0}m", s / 60.0),
        s if s < 172_800.0 => format!("{:.1}h", s / 3600.0),
        s => format!("{:.1}d", s / 86_400.0),
    }
}

/// Where a rollout stands, in lines below its service.
pub(super) fn lines(view: &RolloutView) -> String {
    let RolloutView { from, to, state, steps, .. } = view;
    let mut text = format!("  rollout {} {from} → {to}: {state}", view.run);
    if let Some(step) = view.step {
        let of_step = steps.get(step - 1).map(|step| format!(" ({}%)", step.weight)).unwrap_or_default();
        let _ = write!(text, ", step {step} of {}{of_step}", steps.len());
    }
    text.push('\n');
    let mut line = |what: &str| {
        for (index, piece) in wrapped(&plain(what), 74).iter().enumerate() {
            let _ = writeln!(text, "    {}{piece}", if index == 0 { "" } else { "  " });
        }
    };
    if let Some(reason) = &view.reason {
        line(reason);
    }
    if !view.waiting_for.is_empty() {
        line(&format!("waits for {}", view.waiting_for.join(", ")));
    }
    if let Some(ControlView { weight, in_force, requests, note }) = &view.control {
        match (note, requests) {
            (Some(note), _) => line(&format!("control arm: {note}")),
            (None, Some(requests)) if *in_force => {
                line(&format!("control arm: {weight}% of all, answered by {from}: {requests} requests"));
            }
            _ => {}
        }
    }
    if view.state == "awaitingApproval" {
        line(&format!("plan {}", view.plan_hash));
    }
    if let Some(blocked) = &view.blocked {
        line(&format!("BLOCKED: {blocked}"));
    }
    text
}
