//! How a migration is looked after: paths that have a place for the key, gates that can be shown, steps in their order.

use std::sync::Arc;
use std::time::Duration;

use http::Method;

use super::services::all;
use super::settings::period;
use crate::config::node::quote;
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::values::{RepairBy, Text};
use crate::config::written::{self, Migration};
use crate::diff::Patterns;
use crate::plan::{
    KeyCall, KeyList, MigrationChecks, MigrationGates, MigrationStep, PathTemplate, Progress, Reconcile, Repair, Share,
    Stage,
};

const VERIFY_RATE: f64 = 5.0;
const TIMEOUT: Duration = Duration::from_secs(2);
const MAX_BODY: u64 = 1 << 20;

/// How the migration of a service is looked after. `None` after noting what is wrong with it.
pub(super) fn checks(written: &Migration, problems: &mut Problems<'_>) -> Option<Arc<MigrationChecks>> {
    let reconcile = match &written.reconcile {
        Some(written) => reconcile(written, problems).map(|one| Some(Arc::new(one))),
        None => Some(None),
    };
    let gates = match &written.gates {
        Some(written) => gates(written, problems),
        None => Some(MigrationGates::default()),
    };
    let steps = match &written.plan {
        Some(written) => steps(written, problems),
        None => Some(Vec::new()),
    };
    Some(Arc::new(MigrationChecks { reconcile: reconcile?, gates: gates?, steps: steps? }))
}

fn reconcile(written: &written::Reconcile, problems: &mut Problems<'_>) -> Option<Reconcile> {
    let reads = [Method::GET, Method::POST];
    let writes = [Method::PUT, Method::POST, Method::PATCH];
    let deletes = [Method::DELETE, Method::POST];
    let read = written.read.as_ref().map(|written| call(written, &reads, problems));
    let write = written.write.as_ref().map(|written| call(written, &writes, problems));
    let delete = written.delete.as_ref().map(|written| call(written, &deletes, problems));
    let list = written.list.as_ref().map(|written| list(written, problems));
    if let (None, Some(delete)) = (&written.write, &written.delete)
        && !problems.noted(&written.spot, &["write"])
    {
        problems
            .error(&delete.spot, "`delete` is for repairs, and nothing says how to write")
            .expected("`write` beside it");
        return None;
    }
    let repair = repair(written, problems)?;
    let headers = written.headers.iter().flat_map(|list| list.iter());
    let headers = all(headers.map(|one| Some((one.name.as_ref()?.0.clone(), one.value.as_ref()?.0.clone()))));
    let asked = |call: Option<Option<KeyCall>>| match call {
        Some(call) => call.map(Some),
        None => Some(None),
    };
    Some(Reconcile {
        read: read.flatten()?,
        repair,
        write: asked(write)?,
        delete: asked(delete)?,
        list: match list {
            Some(list) => Some(list?),
            None => None,
        },
        headers: headers?,
        verify_rate: written.verify_rate.as_ref().map_or(VERIFY_RATE, |rate| rate.0),
        timeout: period(written.timeout.as_ref(), TIMEOUT),
        max_body: usize::try_from(written.max_body.as_ref().map_or(MAX_BODY, |size| size.0)).unwrap_or(usize::MAX),
    })
}

/// How disagreements are mended, with what that needs and nothing else.
fn repair(written: &written::Reconcile, problems: &mut Problems<'_>) -> Option<Repair> {
    let Some(by) = &written.repair else {
        return Some(if written.write.is_some() { Repair::CopyAlike } else { Repair::None });
    };
    let (repair, word) = match by.value {
        RepairBy::Copy => (Repair::Copy, "copy"),
        RepairBy::Resend => (Repair::Resend, "resend"),
        RepairBy::None => (Repair::None, "none"),
    };
    if repair == Repair::Copy {
        if written.write.is_none() && !problems.noted(&written.spot, &["write"]) {
            problems
                .error(&by.spot, "nothing says how a copy is written")
                .found("`copy`")
                .expected("`write` beside it");
            return None;
        }
        return Some(repair);
    }
    let calls = [("write", &written.write), ("delete", &written.delete)];
    let unused: Vec<_> = calls.iter().filter_map(|(key, call)| Some((*key, call.as_ref()?))).collect();
    for (key, call) in &unused {
        problems
            .error(&call.spot, format!("`{key}` is for repairs by copying, and `repair` is `{word}`"))
            .expected(format!("no `{key}`, or `repair: copy`"));
    }
    unused.is_empty().then_some(repair)
}

/// A call with one of `methods`, the first of which it has where nothing is said.
fn call(written: &written::KeyCall, methods: &[Method], problems: &mut Problems<'_>) -> Option<KeyCall> {
    let path = written.path.as_ref().and_then(|at| template(at, "key", problems));
    if let (Some(path), Some(at)) = (&path, &written.path)
        && !path.has_place()
    {
        problems
            .error(&at.spot, "this path is the same for every key")
            .found(quote(&at.0))
            .expected("a path with `{key}` where the key stands, such as /items/{key}");
        return None;
    }
    let method = written.method.as_ref();
    if let Some(at) = method.filter(|at| !methods.contains(&at.0)) {
        let known: Vec<_> = methods.iter().map(Method::as_str).collect();
        problems
            .error(&at.spot, "not a method for this")
            .found(quote(at.0.as_str()))
            .expected(format!("one of: {}", known.join(", ")));
        return None;
    }
    Some(KeyCall { method: method.map_or_else(|| methods[0].clone(), |at| at.0.clone()), path: path? })
}

fn list(written: &written::KeyList, problems: &mut Problems<'_>) -> Option<KeyList> {
    let path = written.path.as_ref().and_then(|at| template(at, "after", problems));
    let keys = written.keys.as_ref().and_then(|at| {
        let mut keys = Patterns::default();
        match keys.add(&at.0) {
            Ok(()) => Some(keys),
            Err(error) => {
                let problem = problems.error(&at.spot, error.to_string());
                problem.found(quote(&at.0)).expected("where the keys stand in a page, such as `$.items[*].id`");
                None
            }
        }
    });
    Some(KeyList { path: path?, keys: keys? })
}

fn template(at: &At<Text>, name: &str, problems: &mut Problems<'_>) -> Option<PathTemplate> {
    match PathTemplate::new(&at.0, name) {
        Ok(path) => Some(path),
        Err(why) => {
            problems
                .error(&at.spot, format!("not a path: {why}"))
                .found(quote(&at.0))
                .expected(format!("a path and query such as /items/{{{name}}}, percent-encoded but for `{{{name}}}`"));
            None
        }
    }
}

fn gates(written: &written::MigrationGates, problems: &mut Problems<'_>) -> Option<MigrationGates> {
    let default = MigrationGates::default();
    let consistency = written.consistency.as_ref();
    if let Some(at) = consistency.filter(|at| at.value.0 == Share::ALL) {
        problems
            .error(&at.spot, "that all keys are the same can never be shown by looking at some")
            .found("`100%`")
            .expected("a share of at most 99.99%");
        return None;
    }
    Some(MigrationGates {
        consistency: consistency.map_or(default.consistency, |at| at.value.0),
        min_keys: written.min_keys.as_ref().map_or(default.min_keys, |count| count.0),
        bake: period(written.bake.as_ref(), default.bake),
    })
}

/// Steps that go on, never back, and pass over no stage.
fn steps(written: &written::MigrationSteps, problems: &mut Problems<'_>) -> Option<Vec<MigrationStep>> {
    let mut steps: Vec<MigrationStep> = Vec::new();
    for step in written.iter() {
        let (stage, bake) = (step.stage.as_ref()?, step.bake.as_ref()?);
        let to = Progress { stage: stage.0, share: step.share.as_ref().map_or(Share::ALL, |share| share.value.0) };
        let before = steps.last().map_or(Progress::OFF, |step| step.to);
        let follows = if before.share < Share::ALL && to.stage == before.stage {
            to.share > before.share
        } else {
            before.share == Share::ALL && before.stage.after() == Some(to.stage)
        };
        // A plan may begin anywhere: the migration may be there already.
        if !(follows || (steps.is_empty() && to.stage != Stage::Off)) {
            out_of_order(&stage.spot, before, to, steps.is_empty(), problems);
            return None;
        }
        steps.push(MigrationStep { to, bake: bake.value.0 });
    }
    Some(steps)
}

fn out_of_order(spot: &Spot, before: Progress, to: Progress, is_first: bool, problems: &mut Problems<'_>) {
    let expected = match before.stage.after() {
        _ if is_first => "dualWrite, shadow, live, rampDown or complete".to_owned(),
        _ if before.share < Share::ALL => format!("{} for more than {}", before.stage, before.share),
        Some(next) => format!("{next}, or {next} for a share of keys"),
        None => "no further step".to_owned(),
    };
    let message =
        if is_first { "a plan goes on, not back".to_owned() } else { format!("this does not follow on {before}") };
    problems.error(spot, message).found(format!("`{to}`")).expected(expected);
}
