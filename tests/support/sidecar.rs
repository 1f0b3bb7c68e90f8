//! Configurations of one service with one version, which is all that the tests of the wire need.

use super::serin::Serin;

/// One listener `web`, an admin address, one worker, one service `shop` with the version `only`, one route for everything.
///
/// `version`: the version's keys, such as `upstream: "http://…"`; `top`: further lines at the top; `route`: further lines of
/// the route, each indented by four.
pub fn config(version: &str, top: &str, route: &str) -> String {
    format!(
        "listeners: [ {{ name: web, address: 127.0.0.1:0 }} ]\nadmin: {{ address: 127.0.0.1:0, open: true }}\nworkers: 1\n{top}\n\
         services:\n  shop:\n    versions:\n      only: {{ {version} }}\nroutes:\n  - service: shop\n{route}\n"
    )
}

/// A serin in front of what answers at `url`.
pub fn before(url: &str) -> Serin {
    before_with(url, "", "")
}

/// The same, with further lines at the top and in the route, as [`config`] takes them.
pub fn before_with(url: &str, top: &str, route: &str) -> Serin {
    Serin::new(&config(&format!("upstream: \"{url}\""), top, route))
}
