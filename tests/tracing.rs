//! Traces: what passes as it came, what is passed on in its place, and what a collector gets.

mod support;

use serde_json::Value;
use support::client::get;
use support::eventually;
use support::serin::Serin;
use support::sidecar::before_with;
use support::upstream::Upstream;

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

fn log_line(serin: &Serin) -> Value {
    let text = eventually("a line in the log", || {
        std::fs::read_to_string(serin.path("access.log")).ok().filter(|text| text.ends_with('\n'))
    });
    serde_json::from_str(text.lines().last().expect("a line")).expect("JSON")
}

const LOG: &str = "accessLog: { path: FOLDER/access.log }\n";

#[test]
fn without_tracing_all_trace_headers_pass_untouched_and_the_log_has_the_trace() {
    let upstream = Upstream::named("only");
    let serin = before_with(&upstream.url(), LOG, "");
    for (parent, logged) in [(traceparent("01"), TRACE.into()), ("00-garbage".to_owned(), Value::Null)] {
        let _ = std::fs::write(serin.path("access.log"), "");
        let sent =
            format!("traceparent: {parent}\r\ntracestate: a=1, b=2\r\ntracestate: c=3\r\nbaggage: k = v;p ,x=y\r\n");
        assert_eq!(get(serin.web(), "/", &sent).status, 200);
        let seen = upstream.last();
        assert_eq!(seen.headers("traceparent"), [parent]);
        assert_eq!(seen.headers("tracestate"), ["a=1, b=2", "c=3"]);
        assert_eq!(seen.headers("baggage"), ["k = v;p ,x=y"]);
        let line = log_line(&serin);
        assert_eq!((&line["traceId"], &line["spanId"]), (&logged, &Value::Null));
    }
    assert_eq!(get(serin.web(), "/", "").status, 200);
    assert_eq!(upstream.last().headers("traceparent"), [""; 0], "none is made up");
}

#[cfg(not(feature = "otlp"))]
#[test]
fn a_serin_without_an_exporter_says_that_tracing_has_no_effect() {
    let upstream = Upstream::named("only");
    let serin = before_with(&upstream.url(), "tracing: { otlp: \"http://127.0.0.1:1\", sample: 100% }\n", "");
    assert_eq!(get(serin.web(), "/", "").status, 200);
    assert_eq!(upstream.last().headers("traceparent"), [""; 0]);
    assert!(serin.stderr().contains("built without the feature `otlp`"), "{}", serin.stderr());
}

#[cfg(feature = "otlp")]
mod exported {
    use std::collections::BTreeMap;

    use super::support::load::{await_metric, said};
    use super::support::protobuf::Message;
    use super::support::sidecar::config;
    use super::*;

    /// A span as the collector got it.
    #[derive(Debug)]
    struct Span {
        trace: String,
        id: String,
        parent: String,
        message: Message,
        attributes: BTreeMap<String, String>,
    }

    fn hex(bytes: &[u8]) -> String {
        use std::fmt::Write;
        bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    fn attributes(of: &Message, number: u64) -> BTreeMap<String, String> {
        let pair = |pair: Message| {
            let value = pair.messages(2).pop().expect("a value");
            let text = if value.all(1).is_empty() { value.number(3).to_string() } else { value.text(1) };
            (pair.text(1), text)
        };
        of.messages(number).into_iter().map(pair).collect()
    }

    /// Every span that was posted so far, numbers of fields as in OTLP's `trace.proto`.
    fn spans(collector: &Upstream) -> Vec<Span> {
        let mut spans = Vec::new();
        for request in collector.requests() {
            assert_eq!(request.request_line(), "POST /v1/traces HTTP/1.1");
            assert_eq!(request.header("content-type").as_deref(), Some("application/x-protobuf"));
            for resource_spans in Message::parse(&request.body).messages(1) {
                let resource = resource_spans.messages(1).pop().expect("a resource");
                assert_eq!(attributes(&resource, 1)["service.name"], "edge");
                for message in resource_spans.messages(2).iter().flat_map(|scope| scope.messages(2)) {
                    let id = |number| message.all(number).pop().map(|id| hex(&id)).unwrap_or_default();
                    let (trace, id, parent) = (id(1), id(2), id(4));
                    spans.push(Span { trace, id, parent, attributes: attributes(&message, 9), message });
                }
            }
        }
        spans
    }

    fn await_span(collector: &Upstream) -> Span {
        eventually("a span", || spans(collector).pop())
    }

    fn collector() -> Upstream {
        Upstream::answering("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    }

    fn start(upstream: &str, collector: &str, sample: &str) -> Serin {
        let top = format!("{LOG}tracing: {{ otlp: \"{collector}\", sample: {sample}, serviceName: edge }}\n");
        before_with(upstream, &top, "")
    }

    #[test]
    fn a_request_without_a_trace_begins_one_and_has_a_span_with_the_conventions_attributes() {
        let (upstream, collector) = (Upstream::named("only"), collector());
        let serin = start(&upstream.url(), &collector.url(), "100%");
        let answer = get(serin.web(), "/cart?secret=1", "user-agent: t\r\ntracestate: stray=1\r\n");
        assert_eq!(answer.status, 200);
        let span = await_span(&collector);
        assert_eq!(span.parent, "");
        let seen = upstream.last();
        assert_eq!(seen.headers("traceparent"), [format!("00-{}-{}-01", span.trace, span.id)]);
        assert_eq!(seen.headers("tracestate"), [""; 0], "the state of no trace");
        let of = |key: &str| span.attributes.get(key).map_or("", String::as_str);
        for (key, value) in [
            ("http.request.method", "GET"),
            ("url.scheme", "http"),
            ("url.path", "/cart"),
            ("network.protocol.version", "1.1"),
            ("server.address", "shop.example"),
            ("client.address", "127.0.0.1"),
            ("user_agent.original", "t"),
            ("http.response.status_code", "200"),
            ("serin.service", "shop"),
            ("serin.version", "only"),
            ("serin.why", "draw"),
            ("error.type", ""),
        ] {
            assert_eq!(of(key), value, "{key} of {:?}", span.attributes);
        }
        assert_eq!((span.message.text(5), span.message.number(6)), ("GET".to_owned(), 2), "a server's span");
        let (begin, end) = (span.message.number(7), span.message.number(8));
        assert!(begin > 1_700_000_000_000_000_000 && end > begin, "{begin} to {end}");
        let head = span.message.messages(11).pop().expect("an event");
        assert!((begin..=end).contains(&head.number(1)));
        assert_eq!(span.message.messages(15), [], "no status");
        let line = log_line(&serin);
        assert_eq!((&line["traceId"], &line["spanId"]), (&span.trace.into(), &span.id.into()));
        await_metric(&serin, "serin_spans_exported_total", &[], 1.0);
    }

    #[test]
    fn a_recorded_trace_goes_on_whatever_the_share_and_one_that_is_not_passes_as_it_came() {
        let (upstream, collector) = (Upstream::named("only"), collector());
        let serin = start(&upstream.url(), &collector.url(), "0%");
        let ask = |parent: &str| get(serin.web(), "/", &format!("traceparent: {parent}\r\ntracestate: a=1\r\n"));
        ask(&traceparent("00"));
        assert_eq!(upstream.last().headers("traceparent"), [traceparent("00")]);
        ask("00-garbage");
        let made = upstream.last().header("traceparent").expect("a trace of its own");
        assert!(made.ends_with("-00") && made.len() == 55 && !made.contains(TRACE), "{made}");
        assert_eq!(upstream.last().headers("tracestate"), [""; 0]);
        ask(&traceparent("01"));
        let span = await_span(&collector);
        assert_eq!((span.trace.as_str(), span.parent.as_str(), span.message.text(3).as_str()), (TRACE, PARENT, "a=1"));
        assert_eq!(upstream.last().headers("traceparent"), [format!("00-{TRACE}-{}-01", span.id)]);
        assert_eq!(upstream.last().headers("tracestate"), ["a=1"]);
        assert_eq!(spans(&collector).len(), 1);
    }

    #[test]
    fn failures_are_errors_and_what_reaches_no_version_says_so() {
        let collector = collector();
        let failing = Upstream::answering("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n");
        let gone = "http://127.0.0.1:1";
        for (url, status, kind, message) in
            [(failing.url().as_str(), 500, "500", "5xx"), (gone, 502, "connect", "connect")]
        {
            let serin = start(url, &collector.url(), "100%");
            let before = spans(&collector).len();
            assert_eq!(get(serin.web(), "/", "").status, status);
            let span = eventually("a span", || spans(&collector).into_iter().nth(before));
            assert_eq!(span.attributes["error.type"], kind);
            let error = span.message.messages(15).pop().expect("a status");
            assert_eq!((error.number(3), error.text(2)), (2, message.to_owned()));
        }
        let top = format!("tracing: {{ otlp: \"{}\", sample: 100%, serviceName: edge }}\n", collector.url());
        let only_a = "    matches: [ { path: { type: Exact, value: /a } } ]\n";
        let serin = Serin::new(&config(&format!("upstream: \"{gone}\""), &top, only_a));
        let before = spans(&collector).len();
        assert_eq!(get(serin.web(), "/b", "").status, 404);
        let span = eventually("a span", || spans(&collector).into_iter().nth(before));
        assert_eq!(span.attributes["http.response.status_code"], "404");
        assert!(!span.attributes.contains_key("serin.service"));
        assert_eq!(span.message.messages(15), [], "the client's mistake is no error of the server");
    }

    #[test]
    fn a_collector_that_refuses_costs_spans_and_nothing_else() {
        let upstream = Upstream::named("only");
        let refusing = Upstream::answering("HTTP/1.1 400 No\r\ncontent-length: 0\r\n\r\n");
        let serin = start(&upstream.url(), &refusing.url(), "100%");
        for _ in 0..5 {
            assert_eq!(get(serin.web(), "/", "").text(), "only");
        }
        await_metric(&serin, "serin_spans_dropped_total", &[], 5.0);
        let text = said(&serin, "the collector does not take spans");
        assert_eq!(text.matches("the collector does not take spans").count(), 1, "{text}");
        assert!(text.contains("it answered 400"), "{text}");
    }

    #[test]
    fn a_collector_that_is_busy_is_asked_again() {
        let upstream = Upstream::named("only");
        let asked = std::sync::atomic::AtomicUsize::new(0);
        let busy = Upstream::scripted(move |connection| {
            while connection.request().is_some() {
                let first = asked.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0;
                let status = if first { "503 Busy" } else { "200 OK" };
                connection.send(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n"));
            }
        });
        let serin = start(&upstream.url(), &busy.url(), "100%");
        get(serin.web(), "/", "");
        await_metric(&serin, "serin_spans_exported_total", &[], 1.0);
        assert_eq!(spans(&busy).len(), 2, "the same twice");
        await_metric(&serin, "serin_spans_dropped_total", &[], 0.0);
    }

    #[test]
    fn what_is_queued_at_the_end_is_sent_before_it() {
        let (upstream, collector) = (Upstream::named("only"), collector());
        let mut serin = start(&upstream.url(), &collector.url(), "100%");
        for _ in 0..20 {
            get(serin.web(), "/", "connection: close\r\n");
        }
        serin.signal("TERM");
        assert!(serin.wait().success());
        assert_eq!(spans(&collector).len(), 20);
    }
}
