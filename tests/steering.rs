//! Flags on requests: what the upstream is told of them, which version they pick, and how requests are measured by them.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

#[path = "steering/judged.rs"]
mod judged;
#[path = "steering/measured.rs"]
mod measured;
#[path = "steering/requests.rs"]
mod requests;
#[path = "steering/tokens.rs"]
mod tokens;
#[path = "steering/versions.rs"]
mod versions;

use support::load::shop;
use support::serin::Serin;
use support::upstream::Upstream;

/// A serin with these versions, lines of the service, of the file and of the one route, and flags.
fn serin(versions: &[(&str, &Upstream)], service: &str, top: &str, route: &str, flags: &str) -> Serin {
    serin_with(versions, service, top, route, &[("flags.yaml", flags)])
}

fn serin_with(versions: &[(&str, &Upstream)], service: &str, top: &str, route: &str, files: &[(&str, &str)]) -> Serin {
    let top = format!("files: {{ flags: flags.yaml }}\n{top}");
    Serin::with_files(&(shop(versions, service, &top) + route), files)
}

/// A version that answers with its name, and says in `x-saw` what it was told of the flag `key`.
fn app(name: &'static str, key: &'static str) -> Upstream {
    Upstream::scripted(move |connection| {
        while let Some(request) = connection.request() {
            let saw = request.header(&format!("x-serin-flag-{key}")).unwrap_or_default();
            let length = name.len();
            connection.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nx-saw: {saw}\r\n\r\n{name}"));
        }
    })
}
