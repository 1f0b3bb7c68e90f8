use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::protobuf::{Histogram, LabelPair, Metric, MetricFamily, MetricType};
use super::*;
use crate::stats::{Scale5, Snapshot};
use crate::telemetry::{Failure, Outcome, Refusal, ReloadResult, WeightShare, Why};

/// A registry with something in every metric.
fn busy() -> Registry {
    let registry = Registry::new(2);
    for (worker, version, outcome, nanos) in [
        (0, "old", Outcome::Status(2), 1_500_000),
        (1, "old", Outcome::Status(2), 12_000_000),
        (0, "old", Outcome::Failed(Failure::Timeout), 3_000_000_000),
        (1, "new", Outcome::Grpc(14), 400),
        (1, "new", Outcome::Status(5), 100_000_000_000),
    ] {
        let cell = registry.version(worker, "checkout", version);
        cell.begin(Why::Key);
        cell.first_byte(nanos / 2);
        cell.end(outcome, nanos);
        cell.connection_opened();
    }
    registry.version(0, "checkout", "old").upstream_failure(Failure::Timeout);
    registry.worker(0).connection_opened();
    registry.worker(1).refused(Refusal::NoRoute);
    registry.worker(1).access_log_dropped();
    let control = registry.control();
    control.set_weights([("old", 0.95), ("new", 0.05)].map(|(version, share)| WeightShare {
        service: "checkout".into(),
        version: version.into(),
        share,
    }));
    control.reloaded("weights", ReloadResult::Applied);
    control.reloaded("weights", ReloadResult::Refused);
    control.set_config_hashes([("weights".to_owned(), "00ff".to_owned())]);
    control.set_config_effective(UNIX_EPOCH + Duration::from_millis(1_500));
    registry
}

/// The families of a protobuf body, by name.
fn decoded(body: &[u8]) -> BTreeMap<String, MetricFamily> {
    let (mut rest, mut families) = (body, BTreeMap::new());
    while !rest.is_empty() {
        let family = MetricFamily::decode_length_delimited(&mut rest).unwrap();
        assert!(families.insert(family.name.clone().unwrap(), family).is_none(), "each metric is written once");
    }
    families
}

/// The native buckets of a histogram: index to count.
fn native(histogram: &Histogram) -> BTreeMap<i32, u64> {
    let (mut deltas, mut index, mut count) = (histogram.positive_delta.iter(), 0, 0_i64);
    let mut buckets = BTreeMap::new();
    for span in &histogram.positive_span {
        index += span.offset.unwrap();
        for _ in 0..span.length.unwrap() {
            count += deltas.next().unwrap();
            buckets.insert(index, u64::try_from(count).unwrap());
            index += 1;
        }
    }
    assert_eq!(deltas.next(), None, "spans and deltas cover the same buckets");
    buckets.retain(|_, count| *count != 0);
    buckets
}

fn histogram_of(snapshot: &Snapshot) -> Histogram {
    let registry = Registry::new(1);
    let cell = registry.version(0, "s", "v");
    // Any value in a bucket stands for the bucket; the zero bucket's is 0.
    (0..snapshot.zero_count()).for_each(|_| cell.first_byte(0));
    for bucket in snapshot.buckets() {
        let nanos = (bucket.upper * 1e9) as u64;
        (0..bucket.count).for_each(|_| cell.first_byte(nanos));
    }
    let families = decoded(&protobuf(&registry));
    families["serin_response_first_byte_seconds"].metric[0].histogram.clone().unwrap()
}

proptest! {
    #[test]
    fn spans_and_deltas_decode_to_the_buckets_that_were_counted(indexes in vec(-400i32..400, 0..60), zeros in 0u64..4) {
        let mut expected = Snapshot::default();
        (0..zeros).for_each(|_| expected.record_nanos(0));
        for index in &indexes {
            expected.record_nanos((Scale5::upper(*index) * 1e9) as u64);
        }
        let histogram = histogram_of(&expected);
        let buckets: BTreeMap<_, _> = expected.buckets().map(|b| (b.index, b.count)).collect();
        prop_assert_eq!(native(&histogram), buckets);
        prop_assert_eq!(histogram.zero_count, Some(zeros));
        prop_assert_eq!(histogram.sample_count, Some(zeros + indexes.len() as u64));
        for bucket in &histogram.bucket {
            prop_assert_eq!(bucket.cumulative_count.unwrap(), expected.count_at_most(bucket.upper_bound.unwrap()));
        }
        prop_assert!(histogram.positive_span.iter().skip(1).all(|span| span.offset.unwrap() > 2), "short gaps are filled");
    }
}

#[test]
fn a_histogram_is_both_native_and_classic_and_both_add_up() {
    let families = decoded(&protobuf(&busy()));
    let durations = &families["serin_request_duration_seconds"];
    assert_eq!(durations.r#type(), MetricType::Histogram);
    assert_eq!(durations.metric.len(), 4, "one series for each version and code that occurred");
    for metric in &durations.metric {
        let histogram = metric.histogram.as_ref().unwrap();
        let total = histogram.sample_count.unwrap();
        assert_eq!(native(histogram).values().sum::<u64>() + histogram.zero_count.unwrap(), total);
        assert_eq!(histogram.bucket.last().unwrap().cumulative_count.unwrap(), total);
        assert!(histogram.bucket.is_sorted_by_key(|b| b.cumulative_count.unwrap()));
        assert!(histogram.bucket.last().unwrap().upper_bound.unwrap().is_infinite());
        assert_eq!(histogram.schema, Some(5));
        assert_eq!(histogram.zero_threshold, Some(1.0 / f64::from(1 << 20)));
    }
}

/// Name and labels as the text format writes them.
fn series_name(family: &str, labels: &[LabelPair]) -> String {
    let pair = |l: &LabelPair| format!("{}=\"{}\"", l.name.as_deref().unwrap(), l.value.as_deref().unwrap());
    let labels: Vec<_> = labels.iter().map(pair).collect();
    if labels.is_empty() { family.to_owned() } else { format!("{family}{{{}}}", labels.join(",")) }
}

#[test]
fn text_and_protobuf_say_the_same() {
    let registry = busy();
    let text = text(&registry);
    let lines: std::collections::BTreeSet<_> = text.lines().collect();
    let mut compared = 0;
    for (name, family) in decoded(&protobuf(&registry)) {
        assert!(lines.contains(format!("# HELP {name} {}", family.help.as_ref().unwrap()).as_str()));
        for Metric { label, gauge, counter, histogram } in &family.metric {
            let mut expect = |series: String, value: String| {
                // Memory moves between the two readings.
                if name != "process_resident_memory_bytes" {
                    let line = format!("{series} {value}");
                    assert!(lines.contains(line.as_str()), "missing in the text: {line}");
                }
                compared += 1;
            };
            if let Some(number) = gauge.as_ref().or(counter.as_ref()) {
                expect(series_name(&name, label), number.value.unwrap().to_string());
            }
            if let Some(histogram) = histogram {
                expect(series_name(&format!("{name}_count"), label), histogram.sample_count.unwrap().to_string());
                expect(series_name(&format!("{name}_sum"), label), histogram.sample_sum.unwrap().to_string());
                for bucket in &histogram.bucket {
                    let edge = bucket.upper_bound.unwrap();
                    let le = if edge.is_infinite() { "+Inf".to_owned() } else { edge.to_string() };
                    let le = LabelPair { name: Some("le".to_owned()), value: Some(le) };
                    let label = [label.clone(), vec![le]].concat();
                    expect(
                        series_name(&format!("{name}_bucket"), &label),
                        bucket.cumulative_count.unwrap().to_string(),
                    );
                }
            }
        }
    }
    assert_eq!(compared, lines.iter().filter(|line| !line.starts_with('#')).count(), "no line is in the text alone");
}

#[test]
fn the_figures_of_the_contract_are_there_under_their_names() {
    let text = text(&busy());
    for expected in [
        r#"serin_request_duration_seconds_bucket{service="checkout",version="old",code="2xx",le="0.001953125"} 1"#,
        r#"serin_request_duration_seconds_bucket{service="checkout",version="old",code="2xx",le="+Inf"} 2"#,
        r#"serin_request_duration_seconds_sum{service="checkout",version="old",code="2xx"} 0.0135"#,
        r#"serin_request_duration_seconds_count{service="checkout",version="new",code="5xx"} 1"#,
        r#"serin_response_first_byte_seconds_count{service="checkout",version="old"} 3"#,
        r#"serin_requests_total{service="checkout",version="old",code="2xx"} 2"#,
        r#"serin_requests_total{service="checkout",version="old",code="timeout"} 1"#,
        r#"serin_requests_total{service="checkout",version="new",code="UNAVAILABLE"} 1"#,
        r#"serin_requests_in_flight{service="checkout",version="old"} 0"#,
        r#"serin_weight{service="checkout",version="new"} 0.05"#,
        r#"serin_picks_total{service="checkout",version="old",why="key"} 3"#,
        r#"serin_picks_total{service="checkout",version="old",why="fallback"} 0"#,
        r#"serin_upstream_connections{service="checkout",version="old",state="active"} 3"#,
        r#"serin_upstream_connections{service="checkout",version="old",state="idle"} 0"#,
        r#"serin_upstream_failures_total{service="checkout",version="old",kind="timeout"} 1"#,
        r#"serin_config_reload_total{file="weights",result="applied"} 1"#,
        r#"serin_config_reload_total{file="weights",result="unchanged"} 0"#,
        r#"serin_config_reload_total{file="weights",result="refused"} 1"#,
        r#"serin_config_hash_info{file="weights",sha256="00ff"} 1"#,
        "serin_config_effective_timestamp_seconds 1.5",
        r#"serin_client_connections{worker="0"} 1"#,
        r#"serin_client_connections_accepted_total{worker="1"} 0"#,
        r#"serin_refused_total{kind="noRoute"} 1"#,
        "serin_access_log_dropped_total 1",
        "# TYPE serin_build_info gauge",
        "# TYPE process_start_time_seconds gauge",
        "# TYPE serin_request_duration_seconds histogram",
        "# TYPE serin_requests_total counter",
    ] {
        assert!(text.lines().any(|line| line == expected), "missing: {expected}");
    }
}

#[test]
fn replaced_weights_and_hashes_leave_nothing_behind() {
    let registry = busy();
    let share = |version: &str, share| WeightShare { service: "checkout".into(), version: version.into(), share };
    registry.control().set_weights([share("newest", 1.0)]);
    registry.control().set_config_hashes([("weights".to_owned(), "1234".to_owned())]);
    let text = text(&registry);
    let weights: Vec<_> = text.lines().filter(|line| line.starts_with("serin_weight{")).collect();
    assert_eq!(weights, [r#"serin_weight{service="checkout",version="newest"} 1"#]);
    let hashes: Vec<_> = text.lines().filter(|line| line.starts_with("serin_config_hash_info{")).collect();
    assert_eq!(hashes, [r#"serin_config_hash_info{file="weights",sha256="1234"} 1"#]);
}

#[test]
fn label_values_are_escaped_in_text_and_untouched_in_protobuf() {
    let registry = Registry::new(1);
    let _ = registry.version(0, "a\"b\\c\nd", "ü");
    let text = text(&registry);
    assert!(text.contains(r#"serin_requests_in_flight{service="a\"b\\c\nd",version="ü"} 0"#), "{text}");
    let families = decoded(&protobuf(&registry));
    assert_eq!(families["serin_requests_in_flight"].metric[0].label[0].value.as_deref(), Some("a\"b\\c\nd"));
}

#[test]
fn a_registry_before_its_first_request_has_no_empty_metrics() {
    let text = text(&Registry::new(1));
    assert!(!text.contains("serin_request_duration_seconds"));
    assert!(!text.contains("serin_config_effective_timestamp_seconds"));
    assert!(text.contains("serin_access_log_dropped_total 0"));
}

#[test]
fn a_rendered_body_is_that_of_its_format() {
    let registry = Registry::new(1);
    assert!(render(&registry, Format::Text).starts_with(b"# HELP "));
    assert!(decoded(&render(&registry, Format::Protobuf)).contains_key("serin_build_info"));
}
