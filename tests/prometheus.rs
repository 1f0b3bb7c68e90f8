//! A real Prometheus that scrapes serin and answers the queries of `config/grafana/serin.json`. Needs Debian's `prometheus`
//! (2.40 or newer, for native histograms): skipped aloud where it is missing, required where `CI=true`.

#![allow(clippy::float_cmp, reason = "counts are whole numbers")]

mod support;

use std::fmt::Write;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use support::client::{Raw, get};
use support::eventually;
use support::load::{WITH_WEIGHTS, ask, await_metric, shop};
use support::serin::Serin;
use support::upstream::Upstream;

/// Both of a quantile's values are in the same bucket or in neighbouring ones: buckets of schema 5 are this wide.
const BUCKET: f64 = 1.021_897_148_654_116_6;

fn installed() -> bool {
    let there = Command::new("prometheus").arg("--version").stdin(Stdio::null()).output().is_ok();
    assert!(there || std::env::var("CI").as_deref() != Ok("true"), "CI needs `prometheus`: apt-get install it");
    if !there {
        eprintln!("SKIPPED: `prometheus` is not installed");
    }
    there
}

/// A Prometheus that scrapes one serin every second.
struct Prometheus {
    _folder: tempfile::TempDir,
    child: Child,
    address: SocketAddr,
}

impl Prometheus {
    fn scraping(serin: &Serin) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let target = serin.admin();
        let config = format!(
            "global: {{ scrape_interval: 1s }}\n\
             scrape_configs:\n  - job_name: serin\n    static_configs:\n      \
             - {{ targets: [\"{target}\"], labels: {{ namespace: default, app: shop, pod: local }} }}\n"
        );
        std::fs::write(folder.path().join("prometheus.yml"), config).expect("a file");
        // Prometheus cannot be asked for any port, so one that was free is tried, and another if it was taken meanwhile.
        (0..20).find_map(|_| Self::try_start(&folder)).map_or_else(
            || panic!("Prometheus does not start"),
            |(child, address)| Self { _folder: folder, child, address },
        )
    }

    fn try_start(folder: &tempfile::TempDir) -> Option<(Child, SocketAddr)> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = free.local_addr().expect("its address");
        drop(free);
        let mut child = Command::new("prometheus")
            .arg("--config.file=prometheus.yml")
            .arg("--storage.tsdb.path=data")
            .arg("--enable-feature=native-histograms")
            .arg(format!("--web.listen-address={address}"))
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("prometheus starts");
        let ready = eventually("Prometheus to be ready or to end", || {
            if child.try_wait().expect("its state").is_some() {
                return Some(false);
            }
            let connected = std::net::TcpStream::connect(address).is_ok();
            (connected && get(address, "/-/ready", "").status == 200).then_some(true)
        });
        ready.then_some((child, address))
    }

    /// What it answers to a query: the samples, or why there are none.
    fn query(&self, expression: &str) -> Result<Vec<Value>, String> {
        let mut encoded = String::new();
        for byte in expression.bytes() {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
        let answer: Value =
            serde_json::from_slice(&get(self.address, &format!("/api/v1/query?query={encoded}"), "").body)
                .expect("JSON");
        match answer["data"]["result"].as_array() {
            Some(samples) if answer["status"] == "success" => Ok(samples.clone()),
            _ => Err(answer.to_string()),
        }
    }

    fn number(&self, expression: &str) -> Option<f64> {
        self.query(expression).expect(expression).first()?["value"][1].as_str()?.parse().ok()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Versions that take as long as each request asks for.
fn slow() -> [Upstream; 2] {
    [(); 2].map(|()| {
        Upstream::scripted(|connection| {
            while let Some(request) = connection.request() {
                let wait = request.header("x-wait").and_then(|wait| wait.parse().ok()).unwrap_or(0);
                // What is measured.
                std::thread::sleep(std::time::Duration::from_millis(wait));
                connection.send("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx");
            }
        })
    })
}

#[test]
fn prometheus_reads_the_quantiles_that_serin_tells_and_every_panel_is_a_query_it_answers() {
    const REQUESTS: u32 = 240;
    if !installed() {
        return;
    }
    let upstreams = slow();
    let text = shop(&[("old", &upstreams[0]), ("new", &upstreams[1])], "", WITH_WEIGHTS);
    let serin = Serin::with_files(&text, &[("weights.yaml", "shop: { old: 3, new: 1 }\n")]);
    let web = serin.web();
    std::thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                let mut connection = Raw::connect(web);
                for number in 0..REQUESTS / 8 {
                    // From 1 to 60 ms, most of them short: quantiles that differ.
                    let wait = 1 + (number * number / 15 + client) % 60;
                    ask(&mut connection, &format!("x-user-id: {client}-{number}\r\nx-wait: {wait}\r\n"));
                }
            });
        }
    });
    await_metric(&serin, "serin_requests_total", &[], f64::from(REQUESTS));
    let told: Value = serde_json::from_slice(&get(serin.admin(), "/api/v1/services/shop", "").body).expect("JSON");

    let prometheus = Prometheus::scraping(&serin);
    eventually("every request to be scraped", || {
        let count = prometheus.number("histogram_count(sum(serin_request_duration_seconds))")?;
        // Latencies come as native histograms: of classic ones there would be no such count.
        (count == f64::from(REQUESTS)).then_some(())
    });
    for version in told["versions"].as_array().expect("versions") {
        let name = version["name"].as_str().expect("a name");
        for (key, order) in [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999)] {
            let own = version["latencyTotal"][key].as_f64().unwrap_or_else(|| panic!("no {key} in {version}"));
            let query =
                format!("histogram_quantile({order}, sum(serin_request_duration_seconds{{version=\"{name}\"}}))");
            let read = prometheus.number(&query).expect("a sample");
            assert!(
                (own / BUCKET..=own * BUCKET).contains(&read),
                "{name} {key}: {own} by serin, {read} by Prometheus"
            );
        }
    }
    panels_are_answered(&prometheus);
}

/// Every query of the dashboard is one that Prometheus understands, of figures that there are.
fn panels_are_answered(prometheus: &Prometheus) {
    let dashboard: Value =
        serde_json::from_str(include_str!("../config/grafana/serin.json")).expect("the dashboard is JSON");
    let metrics: Vec<String> = prometheus
        .query("group by (__name__) ({__name__=~\"serin_.+\"})")
        .expect("names")
        .iter()
        .filter_map(|sample| sample["metric"]["__name__"].as_str().map(str::to_owned))
        .collect();
    let mut asked = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let written = target["expr"].as_str().expect("an expression");
            let query = written
                .replace("$namespace", ".*")
                .replace("$app", ".*")
                .replace("$service", "shop")
                .replace("$version", "old")
                .replace("$__rate_interval", "1m");
            let shows =
                || !prometheus.query(&query).unwrap_or_else(|why| panic!("{}: {why}", panel["title"])).is_empty();
            // What is not configured here (retries, drills, health) has no figures.
            if metrics.iter().any(|name| query.contains(&format!("{name}{{"))) {
                // A rate needs two scrapes.
                eventually(&format!("{} to show something: {query}", panel["title"]), || shows().then_some(()));
            } else {
                shows();
            }
            asked += 1;
        }
    }
    assert!(asked > 20, "{asked} queries");
}
