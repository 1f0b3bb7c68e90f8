//! What a request costs in serin's own code, piece by piece: `cargo bench --bench micro [GROUP]`.
//!
//! A group is a function named after its subject; add it to the list at the end.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, request};
use serin::config::{self, Source};
use serin::flags::{Attribute, Context};
use serin::plan::{
    Evaluated, HeaderEdit, HeaderMatch, Host, HostPattern, KeySource, PathMatch, Plan, Priority, Route, RouteMatch,
    RouteTable, Split, Steering, StickyKey, Timeouts, ValueMatch, Weight, normalize_host,
};
use serin::stats::Histogram;
use serin::telemetry::{Outcome, Registry, Why};
use serin::wire::HeadLimits;
use serin::wire::http1::RequestReader;

/// Picking a version. The bar: 60 ns for two versions and a key of 16 bytes.
fn split(c: &mut Criterion) {
    let mut group = c.benchmark_group("split");
    for versions in [1_u32, 2, 3, 10] {
        let split = split_among(versions);
        group.bench_function(BenchmarkId::new("key of 16 bytes", versions), |b| {
            b.iter(|| split.pick_key(black_box(b"0123456789abcdef")));
        });
    }
    let two = split_among(2);
    for bytes in [4, 36, 200, 4096] {
        let key = vec![b'k'; bytes];
        group.bench_function(BenchmarkId::new("2 versions, key bytes", bytes), |b| {
            b.iter(|| two.pick_key(black_box(&key)));
        });
    }
    group.bench_function("draw among 2", |b| b.iter(|| two.pick_draw(black_box(0x9e37_79b9_7f4a_7c15))));
    group.finish();
}

fn split_among(versions: u32) -> Split {
    let names: Vec<Arc<str>> = (0..versions).map(|i| Arc::from(format!("v{i}"))).collect();
    let weights = (1..=versions).map(|i| Weight::from_f64(f64::from(i)).expect("whole numbers are weights")).collect();
    Split::new("checkout", 0, &names, weights).expect("a weight for each name")
}

/// Finding the sticky key.
fn sticky(c: &mut Criterion) {
    let mut group = c.benchmark_group("sticky");
    let mut headers = browser_headers();
    headers.insert(HeaderName::from_static("x-user-id"), "0123456789abcdef".parse().expect("plain text"));
    let client = Some("2001:db8::1".parse().expect("an address"));
    let query = Some("page=2&uid=a%40b.example&sort=asc");
    for (what, source) in [
        ("header", KeySource::Header(HeaderName::from_static("x-user-id"))),
        ("cookie", KeySource::Cookie("session".to_owned())),
        ("query", KeySource::Query("uid".to_owned())),
        ("client ip", KeySource::ClientIp),
    ] {
        let sources = [source];
        group.bench_function(what, |b| {
            b.iter(|| StickyKey::find(black_box(&sources), black_box(&headers), black_box(query), client, None));
        });
    }
    group.finish();
}

/// Finding the route.
fn route(c: &mut Criterion) {
    let mut group = c.benchmark_group("route");
    let request = request_to("/shop/cart/items/42?page=2");
    let mut bench = |what: &str, table: RouteTable, host: &str, request: &request::Parts| {
        assert!(table.find(Host(host), request).is_some(), "{what} finds a route");
        group.bench_function(what, |b| b.iter(|| table.find(black_box(Host(host)), black_box(request))));
    };
    bench("one for everything", RouteTable::new(vec![route_for(None, vec![])]), "shop.example", &request);
    bench("ten on a host", RouteTable::new(ten_on_a_host()), "shop.example", &request);
    bench("1000 hosts", RouteTable::new(thousand_hosts()), "host-500.example", &request);
    bench("1000 wildcards", RouteTable::new(thousand_wildcards()), "www.host-500.example", &request);
    bench("1000 prefixes on a host", RouteTable::new(thousand_prefixes()), "shop.example", &request_to("/p500/x"));
    group.bench_function("normalize a host with port", |b| {
        b.iter(|| normalize_host(black_box("checkout.shop.example:8080")).len());
    });
    group.finish();
}

fn route_for(host: Option<HostPattern>, matches: Vec<RouteMatch>) -> Route {
    Route {
        hostnames: host.into_iter().collect(),
        matches,
        filters: Vec::new(),
        service: None,
        timeouts: Timeouts::default(),
        priority: Priority::default(),
        retry: None,
        name: None,
        flags: Vec::new(),
    }
}

fn prefix(path: impl Into<String>) -> RouteMatch {
    RouteMatch { path: PathMatch::Prefix(path.into()), method: None, headers: Vec::new(), query: Vec::new() }
}

fn ten_on_a_host() -> Vec<Route> {
    let canary =
        HeaderMatch { name: HeaderName::from_static("x-canary"), value: ValueMatch::Exact("always".to_owned()) };
    let mut matches: Vec<RouteMatch> = ["/", "/shop", "/shop/cart", "/login", "/static", "/api/v1"].map(prefix).into();
    matches.push(RouteMatch { path: PathMatch::Exact("/healthz".to_owned()), ..prefix("/") });
    matches.push(RouteMatch { method: Some(Method::POST), ..prefix("/shop/cart") });
    matches.push(RouteMatch { headers: vec![canary.clone()], ..prefix("/shop/cart") });
    matches.push(RouteMatch { headers: vec![canary], ..prefix("/shop") });
    let host = || HostPattern::Exact("shop.example".to_owned());
    matches.into_iter().map(|rule| route_for(Some(host()), vec![rule])).collect()
}

fn thousand_hosts() -> Vec<Route> {
    let host = |i| HostPattern::Exact(format!("host-{i}.example"));
    (0..1000).map(|i| route_for(Some(host(i)), vec![prefix("/")])).collect()
}

fn thousand_wildcards() -> Vec<Route> {
    let host = |i| HostPattern::Wildcard(format!(".host-{i}.example"));
    (0..1000).map(|i| route_for(Some(host(i)), vec![prefix("/")])).collect()
}

fn thousand_prefixes() -> Vec<Route> {
    (0..1000).map(|i| route_for(None, vec![prefix(format!("/p{i}"))])).collect()
}

fn request_to(target: &str) -> request::Parts {
    let mut request = Request::builder().uri(target).body(()).expect("a valid target").into_parts().0;
    request.headers = browser_headers();
    request
}

/// About what a browser sends.
fn browser_headers() -> HeaderMap {
    [
        ("host", "shop.example"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        ("accept-language", "en-US,en;q=0.5"),
        ("accept-encoding", "gzip, deflate, br, zstd"),
        ("cookie", "theme=dark; consent=1; session=0123456789abcdef0123456789abcdef"),
    ]
    .into_iter()
    .map(|(name, value)| (HeaderName::from_static(name), value.parse().expect("plain text")))
    .collect()
}

/// Header work: looking at a request's framing byte by byte, and a route's header filter.
fn headers(c: &mut Criterion) {
    let mut group = c.benchmark_group("headers");
    let mut head = b"GET /cart?item=1 HTTP/1.1\r\n".to_vec();
    for (name, value) in &browser_headers() {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    head.extend(b"\r\n");
    let limits = HeadLimits { bytes: 32 * 1024, lines: 100 };
    group.throughput(Throughput::Bytes(head.len() as u64));
    group.bench_function("reading a browser's request", |b| {
        b.iter(|| RequestReader::new(limits, black_box(&head)).next_request());
    });
    group.finish();

    let mut group = c.benchmark_group("filters");
    let value = HeaderValue::from_static("1");
    let name = HeaderName::from_static;
    let edit = HeaderEdit {
        set: vec![(name("x-set"), value.clone())],
        add: vec![(name("x-add"), value)],
        remove: vec![name("cookie")],
    };
    let headers = browser_headers();
    group.bench_function("set, add and remove a header", |b| {
        b.iter_batched_ref(|| headers.clone(), |headers| edit.apply(headers), BatchSize::SmallInput);
    });
    group.finish();
}

/// Recording a request, and reading the figures back.
fn histogram(c: &mut Criterion) {
    let mut group = c.benchmark_group("histogram");
    let histogram = Histogram::new();
    let mut nanos = 1_000_u64;
    let mut next = move || {
        // Spread over the buckets of five decades, the same every time.
        nanos = nanos.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        10_000 + nanos % 1_000_000_000
    };
    group.bench_function("record", |b| b.iter(|| histogram.record_nanos(black_box(next()))));
    group.bench_function("snapshot and p99", |b| b.iter(|| histogram.snapshot().quantile(0.99)));
    let registry = Registry::new(1);
    let cell = registry.version(0, "checkout", "new");
    group.bench_function("one request in its version's cell", |b| {
        b.iter(|| {
            cell.begin(Why::Key);
            cell.first_byte(black_box(900_000));
            cell.end(Outcome::Status(2), black_box(1_000_000));
        });
    });
    group.finish();
}

/// Two flags on a route, a constant one and one with a rule on a header and a fractional: asked, and put among the headers.
/// The bar: 1 µs.
fn flags(c: &mut Criterion) {
    let mut group = c.benchmark_group("flags");
    let serin = "\
listeners: [{ address: 127.0.0.1:0 }]
flagContext: { attributes: [{ header: x-country }] }
services: { shop: { versions: { v1: { upstream: http://x } } } }
routes: [{ service: shop, flags: [banner, checkout] }]
";
    let flags = r#"
flags:
  banner: { state: ENABLED, variants: { "on": true, "off": false }, defaultVariant: "on" }
  checkout:
    state: ENABLED
    variants: { old: old, new: new }
    defaultVariant: old
    targeting:
      if: [ { "==": [ { var: x-country }, ch ] }, { fractional: [ { var: targetingKey }, [ old, 50 ], [ new, 50 ] ] }, old ]
"#;
    let flags = config::flags(Source { name: "flags.yaml", text: flags }).expect("a flag file").set;
    let plan = config::load(Source { name: "serin.yaml", text: serin }, None).expect("a configuration").plan;
    let plan = Plan { flags: Arc::new(flags), ..plan };
    let steering = Steering::new(&plan);
    let attached = steering.of_route(0).expect("flags on the route");
    let mut headers = browser_headers();
    headers.insert(HeaderName::from_static("x-country"), HeaderValue::from_static("ch"));
    let cells = Registry::new(1).flag_cells(0, &plan.flags);
    let mut count = |flag, result: &Evaluated<'_>| cells.evaluated(flag, result);
    group.bench_function("two asked", |b| {
        b.iter(|| {
            let asking = Asking { plan: &plan, headers: &headers };
            let mut answers = attached.ask_steering(&asking, 0, &mut count);
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            attached.ask_others(&mut answers, &asking, now, &mut count);
            answers
        });
    });
    let asking = Asking { plan: &plan, headers: &headers };
    let mut answers = attached.ask_steering(&asking, 0, &mut count);
    attached.ask_others(&mut answers, &asking, 0, &mut count);
    group.bench_function("two told", |b| {
        b.iter_batched_ref(
            || headers.clone(),
            |headers| attached.tell(black_box(&answers), headers),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// A request as rules see it.
struct Asking<'a> {
    plan: &'a Plan,
    headers: &'a HeaderMap,
}

impl Context for Asking<'_> {
    fn attribute(&self, name: &str) -> Option<Attribute<'_>> {
        if name == "targetingKey" {
            return Some(Attribute::from("0123456789abcdef"));
        }
        let known = self.plan.flag_context.attributes.iter().find(|attribute| *attribute.name == *name)?;
        known.source.find(self.headers, None).map(Attribute::Text)
    }
}

criterion_group!(micro, split, sticky, route, headers, histogram, flags);
criterion_main!(micro);
