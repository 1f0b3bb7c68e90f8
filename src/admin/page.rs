//! The dashboard: files that are part of the binary. They are plain HTML, CSS and ES modules; what stands in `assets/` is what
//! browsers get, and nothing has to be built to change it.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use super::serve::Admin;

/// What the page may do: load these files and ask this address, nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; \
                      base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// A file of the page.
struct Asset {
    name: &'static str,
    content: &'static [u8],
    /// Its entity tag, quoted.
    tag: String,
}

macro_rules! assets {
    ($($name:literal)*) => {
        [$(($name, include_bytes!(concat!("page/assets/", $name)).as_slice())),*]
    };
}

static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    let files = assets! {
        "index.html" "icon.svg" "base.css" "panels.css" "uplot.css" "uplot.js" "uplot-LICENSE.txt"
        "main.js" "api.js" "session.js" "dom.js" "format.js" "chart.js" "dialog.js" "actions.js" "weights.js"
        "overview.js" "service.js" "store.js" "latency.js" "distribution.js" "traffic.js" "timeline.js" "rollout.js" "verdict.js"
        "ledger.js" "flags.js" "addresses.js" "drills.js" "diffs.js" "differences.js" "experiment.js"
        "migration.js" "move.js" "letters.js"
    };
    files.map(|(name, content)| Asset { name, content, tag: tag(content) }).into()
});

/// The routes of the page.
pub(super) fn router() -> Router<Arc<Admin>> {
    Router::new().route("/", get(index)).route("/assets/{file}", get(asset))
}

/// Browsers get the page; whoever does not ask for HTML, a list of what can be asked for.
async fn index(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let mut response = match ASSETS.iter().find(|asset| asset.name == "index.html") {
        Some(page) if accept.contains("text/html") => page.answer(&headers),
        _ => ENDPOINTS.into_response(),
    };
    response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept"));
    response
}

async fn asset(headers: HeaderMap, name: Result<Path<String>, PathRejection>) -> Response {
    let name = name.map(|Path(name)| name).unwrap_or_default();
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.answer(&headers),
        None => Problem::new(StatusCode::NOT_FOUND, format!("There is no file `{name}`.")).into_response(),
    }
}

impl Asset {
    fn answer(&self, asked: &HeaderMap) -> Response {
        let known = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|known| known.to_str().ok());
        let is_known = known.flat_map(|known| known.split(',')).any(|known| {
            let known = known.trim();
            known == "*" || known.strip_prefix("W/").unwrap_or(known) == self.tag
        });
        let headers = [
            (header::ETAG, self.tag.as_str()),
            // Another binary has other files: it is asked each time, and answered with nothing.
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::CONTENT_TYPE, kind(self.name)),
        ];
        if is_known {
            return (StatusCode::NOT_MODIFIED, headers).into_response();
        }
        (headers, self.content).into_response()
    }
}

fn tag(content: &[u8]) -> String {
    let mut tag = "\"".to_owned();
    for byte in Sha256::digest(content).iter().take(12) {
        // Writing to a string does not fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

const ENDPOINTS: &str = "serin\n\n\
    GET /                                    with `Accept: text/html`: the dashboard\n\
    GET /livez                               200 while the process lives\n\
    GET /readyz                              200 while it takes requests\n\
    GET /metrics                             Prometheus text, or protobuf when asked for\n\
    GET /api/v1/services                     weights, rates, latencies and verdicts of all services\n\
    GET /api/v1/services/{service}           of one; /history and /distribution: more of it\n\
    PUT /api/v1/services/{service}/weights   {\"weights\":{\"old\":90,\"new\":10},\"reason\":\"...\"}\n\
    GET /api/v1/services/{service}/rollout   where its rollout stands; /preflight: what a start would need\n\
    POST /api/v1/services/{service}/rollout  {\"action\":\"start|pause|resume|promote|abort|approve\",\"reason\":\"...\"}\n\
    POST /api/v1/services/{service}/drill    {\"fault\":\"errors|delay\",\"share\":\"20%\",\"within\":\"30s\",\"reason\":\"...\"}; GET: how it stands\n\
    GET /api/v1/services/{service}/diffs     where answers of two versions differ; DELETE forgets it\n\
    GET /api/v1/ledger?service=&rollout=&after=&limit=  the record of changes\n\
    GET /api/v1/events?service=&after=         what happens, as server-sent events\n\
    GET /api/v1/flags                        the flags in force\n\
    GET /api/v1/openapi.json                 all there is, for programs\n\n\
    gRPC: grpc.health.v1.Health, over HTTP/2 with prior knowledge\n";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_in_the_folder_is_served_and_nothing_is_inline() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/admin/page/assets");
        let mut there: Vec<String> = std::fs::read_dir(folder)
            .expect("the folder")
            .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
            .collect();
        let mut served: Vec<_> = ASSETS.iter().map(|asset| asset.name.to_owned()).collect();
        there.sort();
        served.sort();
        assert_eq!(there, served);
        for asset in ASSETS.iter().filter(|asset| !asset.name.starts_with("uplot")) {
            let text = std::str::from_utf8(asset.content).expect("text");
            for forbidden in
                ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "http://", "https://"]
            {
                let own = text.replace("http://www.w3.org/2000/svg", "");
                assert!(!own.contains(forbidden), "{}: {forbidden}", asset.name);
            }
        }
        let page = ASSETS.iter().find(|asset| asset.name == "index.html").expect("the page");
        let page = std::str::from_utf8(page.content).expect("text");
        assert!(!page.contains("style=") && !page.contains("<style") && !page.contains(" on"), "nothing inline");
    }

    #[test]
    fn tags_are_weakly_compared_and_lists_are_taken() {
        let asset = &ASSETS[0];
        let status = |known: &str| {
            let headers = HeaderMap::from_iter([(header::IF_NONE_MATCH, known.parse().expect("a value"))]);
            asset.answer(&headers).status()
        };
        assert_eq!(status(&format!("\"other\", W/{}", asset.tag)), StatusCode::NOT_MODIFIED);
        assert_eq!(status("*"), StatusCode::NOT_MODIFIED);
        assert_eq!(status("\"other\""), StatusCode::OK);
    }
}
