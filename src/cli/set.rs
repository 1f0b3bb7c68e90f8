//! `serin set`: weights of a running serin.

use std::collections::BTreeMap;
use std::process::ExitCode;

use super::client::{Client, ClientError, encode};
use super::print::{answer, failed};
use super::{BAD_USAGE, Global};
use crate::admin::ServiceView;
use crate::ledger::Dependency;

/// Sets the weights of `service`; gives the exit code.
///
/// Every version must be named: `set checkout new=10` alone would give new everything.
pub(super) fn run(
    global: &Global,
    service: &str,
    assignments: &[String],
    reason: &str,
    depends_on: &[Dependency],
    json: bool,
) -> ExitCode {
    let weights = match parse(assignments) {
        Ok(weights) => weights,
        Err(message) => return failed(message, BAD_USAGE),
    };
    let client = match Client::new(global) {
        Ok(client) => client,
        Err(error) => return failed(error, BAD_USAGE),
    };
    let done = set(&client, service, &weights, reason, depends_on).and_then(|view| {
        if json {
            return Ok(serde_json::to_string(&view)? + "\n");
        }
        let entry = view.entry.map(|entry| format!("entry {entry} of the ledger\n")).unwrap_or_default();
        Ok(super::status::table(&[view]) + &entry)
    });
    match done {
        Ok(text) => answer(&text, ExitCode::SUCCESS),
        Err(error) => failed(error, ExitCode::FAILURE),
    }
}

fn set(
    client: &Client,
    service: &str,
    weights: &BTreeMap<String, f64>,
    reason: &str,
    depends_on: &[Dependency],
) -> Result<ServiceView, ClientError> {
    let path = format!("/api/v1/services/{}", encode(service));
    let now: ServiceView = serde_json::from_slice(&client.get(&path)?)?;
    let forgotten: Vec<_> =
        now.versions.iter().filter(|v| !weights.contains_key(&v.name)).map(|v| v.name.as_str()).collect();
    if !forgotten.is_empty() {
        let detail = format!("name a weight for every version; missing: {}", forgotten.join(", "));
        return Err(ClientError::Usage(detail));
    }
    let body = serde_json::json!({ "weights": weights, "reason": reason, "dependsOn": depends_on });
    Ok(serde_json::from_slice(&client.put(&format!("{path}/weights"), &body)?)?)
}

fn parse(assignments: &[String]) -> Result<BTreeMap<String, f64>, String> {
    let mut weights = BTreeMap::new();
    for assignment in assignments {
        let wrong = || format!("`{assignment}`: expected VERSION=WEIGHT, such as new=5");
        let (version, weight) = assignment.split_once('=').ok_or_else(wrong)?;
        // JSON has no word for what is not finite.
        let weight = weight.parse().ok().filter(|weight: &f64| weight.is_finite()).ok_or_else(wrong)?;
        if weights.insert(version.to_owned(), weight).is_some() {
            return Err(format!("`{version}` is given more than one weight"));
        }
    }
    Ok(weights)
}
