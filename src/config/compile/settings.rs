//! What is outside services and routes: sockets, files, bounds.

use std::path::Path;
use std::time::Duration;

use ipnet::IpNet;

use crate::plan;

use super::{admin, ofrep, tls};
use crate::config::problem::{Problems, Spot};
use crate::config::read::At;
use crate::config::settings::{
    AccessLogFormat, AccessLogSettings, AccessLogTarget, Listener, Settings, TracingSettings,
};
use crate::config::values::{Bind, Collector, FilePath, LogFormat, Period};
use crate::config::written::{AccessLog, Forwarded, Limits, Serin, Tracing, Upstreams};

/// How long requests in flight may take at the end, where nothing else is said.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);

/// `None` after noting why.
pub(super) fn settings(written: &Serin, problems: &mut Problems<'_>) -> Option<Settings> {
    let listeners = listeners(written, problems);
    let admin = written.admin.as_ref().and_then(|written| admin::admin(written, problems));
    let files = written.files.as_ref();
    let flags = files.and_then(|files| files.flags.as_ref());
    let path = |path: &At<FilePath>| path.0.clone();
    Some(Settings {
        listeners: listeners?,
        admin,
        ofrep: written.ofrep.as_ref().and_then(|written| ofrep::ofrep(written, flags.is_some(), problems)),
        workers: written.workers.as_ref().map(|count| count.0 as usize),
        state_dir: written.state_dir.as_ref().map(path),
        ledger: super::ledger::ledger(written, problems),
        drain_timeout: period(written.drain_timeout.as_ref(), DRAIN_TIMEOUT),
        access_log: written.access_log.as_ref().and_then(access_log),
        webhooks: written.webhooks.as_ref().map_or_else(Vec::new, |hooks| super::webhooks::webhooks(hooks, problems)),
        tracing: written.tracing.as_ref().and_then(|written| tracing(written, problems)),
        weights_file: files.and_then(|files| files.weights.as_ref()).map(path),
        flag_uses: super::attached::uses(written, problems),
        flags_file: flags.map(path),
    })
}

/// Listeners whose names and addresses are their own, and not those of the admin or flag API either.
fn listeners(written: &Serin, problems: &mut Problems<'_>) -> Option<Vec<Listener>> {
    let mut names: Vec<(String, &Spot)> = Vec::new();
    let mut addresses: Vec<(&Bind, &Spot)> = Vec::new();
    let mut listeners = Vec::new();
    for listener in written.listeners.as_ref()?.iter() {
        let Some(address) = &listener.address else { continue };
        let name = listener.name.as_ref().map_or_else(|| address.to_string(), |name| name.0.to_string());
        let spot = listener.name.as_ref().map_or(&address.spot, |name| &name.spot);
        // A name made of the address clashes only if the address does, which is said below.
        if listener.name.is_some()
            && let Some((_, first)) = names.iter().find(|(other, _)| *other == name)
        {
            let message = format!("`{name}` is the name of {} already", first.key.trim_end_matches(".name"));
            problems.error(spot, message).expected("a name of its own for each listener");
        }
        names.push((name.clone(), spot));
        unique_address(address, &mut addresses, problems);
        let tls = match &listener.tls {
            Some(written) => match tls::listener(written, problems) {
                Some(tls) => Some(tls),
                None => continue,
            },
            None => None,
        };
        listeners.push(Listener { name, address: address.value.clone(), tls });
    }
    let admin = written.admin.as_ref().and_then(|admin| admin.address.as_ref());
    let ofrep = written.ofrep.as_ref().and_then(|ofrep| ofrep.address.as_ref());
    for address in [admin, ofrep].into_iter().flatten() {
        unique_address(address, &mut addresses, problems);
    }
    Some(listeners)
}

fn unique_address<'a>(address: &'a At<Bind>, addresses: &mut Vec<(&'a Bind, &'a Spot)>, problems: &mut Problems<'_>) {
    // Port 0 is another port each time.
    if matches!(address.value, Bind::Tcp(socket) if socket.port() == 0) {
        return;
    }
    if let Some((_, first)) = addresses.iter().find(|(other, _)| **other == address.value) {
        problems
            .error(&address.spot, format!("`{}` is {} already", address.value, first.key))
            .expected("an address of its own for each");
    }
    addresses.push((&address.value, &address.spot));
}

fn access_log(written: &AccessLog) -> Option<AccessLogSettings> {
    let path = &written.path.as_ref()?.0;
    Some(AccessLogSettings {
        target: if path == Path::new("-") { AccessLogTarget::Stdout } else { AccessLogTarget::File(path.clone()) },
        format: match written.format.as_ref().map(|format| format.value) {
            None | Some(LogFormat::Json) => AccessLogFormat::Json,
            Some(LogFormat::Text) => AccessLogFormat::Text,
        },
    })
}

/// Of the traces that begin here, where nothing else is said.
const SAMPLE: u32 = 100;

fn tracing(written: &Tracing, problems: &mut Problems<'_>) -> Option<TracingSettings> {
    if !cfg!(feature = "otlp") {
        problems.warning(&written.spot, "without effect: this serin was built without the feature `otlp`");
        return None;
    }
    let Collector { host, port, path } = written.otlp.as_ref()?.value.clone();
    let sample = written.sample.as_ref().map_or(plan::Share::from_hundredths(SAMPLE), |sample| sample.value.0);
    let service_name = written.service_name.as_ref().map_or_else(|| "serin".to_owned(), |name| name.0.clone());
    Some(TracingSettings { host, port, path, sample, service_name })
}

/// Bounds on clients; what is not written has its default.
pub(super) fn limits(written: Option<&Limits>) -> plan::Limits {
    let default = plan::Limits::default();
    let Some(written) = written else { return default };
    let http2 = written.http2.as_ref();
    let streams = http2.and_then(|http2| http2.streams.as_ref());
    let resets = http2.and_then(|http2| http2.pending_resets.as_ref());
    plan::Limits {
        header_bytes: written.header_bytes.as_ref().map_or(default.header_bytes, |size| size.0 as usize),
        header_count: written.header_count.as_ref().map_or(default.header_count, |count| count.0 as usize),
        body_bytes: written.body_bytes.as_ref().map(|size| size.0).or(default.body_bytes),
        header_timeout: period(written.header_timeout.as_ref(), default.header_timeout),
        idle_timeout: period(written.idle_timeout.as_ref(), default.idle_timeout),
        connections: written.connections.as_ref().map_or(default.connections, |count| count.0 as usize),
        h2_streams: streams.map_or(default.h2_streams, |count| count.0),
        h2_pending_resets: resets.map_or(default.h2_pending_resets, |count| count.0 as usize),
    }
}

/// How upstream connections are kept; what is not written has its default.
pub(super) fn upstream(written: Option<&Upstreams>) -> plan::UpstreamSettings {
    let default = plan::UpstreamSettings::default();
    let Some(written) = written else { return default };
    plan::UpstreamSettings {
        connect_timeout: period(written.connect_timeout.as_ref(), default.connect_timeout),
        idle_timeout: period(written.idle_timeout.as_ref(), default.idle_timeout),
        response_idle_timeout: period(written.response_idle_timeout.as_ref(), default.response_idle_timeout),
        idle_connections: written.idle_connections.as_ref().map_or(default.idle_connections, |count| count.0 as usize),
        connections: written.connections.as_ref().map(|count| count.0),
        resolve_interval: period(written.resolve_interval.as_ref(), default.resolve_interval),
        ping_interval: written.ping_interval.as_ref().map_or(default.ping_interval, |interval| interval.0),
    }
}

/// Peers whose forwarding headers are believed.
pub(super) fn trusted(written: Option<&Forwarded>) -> Vec<IpNet> {
    let ranges = written.and_then(|forwarded| forwarded.trust.as_ref());
    ranges.iter().flat_map(|ranges| ranges.iter()).map(|range| range.value.0).collect()
}

pub(super) fn period(written: Option<&At<Period>>, default: Duration) -> Duration {
    written.map_or(default, |period| period.0)
}
