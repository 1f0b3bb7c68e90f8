use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::stats::{Alpha, Snapshot};

/// As oha 1.16 wrote it, but for what is not read.
const OHA: &str = include_str!("oha.json");

fn error(text: &str) -> String {
    LoadTest::read(text).expect_err("an error").to_string()
}

#[test]
fn a_line_is_a_request_with_its_milliseconds_and_whether_it_failed() {
    let test = LoadTest::read("12.5\n\n 3 ,fail\r\n0.25, fail \n7\n").unwrap();
    assert_eq!((test.arm.requests, test.arm.failures, test.precision), (4, 2, Precision::EachRequest));
    assert_eq!(test.arm.durations.done.sum_nanos(), 22_750_000);
}

#[test]
fn a_wrong_line_is_named_with_its_place() {
    let expected = "milliseconds from 0 to 86400000, such as 12.5, then `,fail` if the request failed";
    assert_eq!(error("1\n  abc\n"), format!("2:3: found \"abc\"; expected {expected}"));
    assert_eq!(error("-1"), format!("1:1: found \"-1\"; expected {expected}"));
    assert_eq!(error("NaN"), format!("1:1: found \"NaN\"; expected {expected}"));
    assert_eq!(error("1,ok"), "1:3: found \"ok\"; expected `fail`, or no comma");
    assert_eq!(error(""), format!("1:1: found nothing; expected {expected}"));
    assert!(error(&"9".repeat(1000)).contains("…\"; expected"));
}

#[test]
fn ohas_csv_has_each_request() {
    let header = "request-start,DNS,DNS+dialup,Response-delay,request-duration,bytes,status\n";
    let test = LoadTest::read(&format!("{header}0.1,0.0,0.0,0.1,0.025,3,200\n0.2,0,0,0,0.05,3,503\n")).unwrap();
    assert_eq!((test.arm.requests, test.arm.failures, test.precision), (2, 1, Precision::EachRequest));
    assert_eq!(test.arm.durations.done.sum_nanos(), 75_000_000);
    assert_eq!(error(&format!("{header}0.1,0,0,0,x,3,200\n")), "2:11: found \"x\"; expected seconds from 0 to 86400");
    assert_eq!(error(&format!("{header}0.1,0\n")), "2:6: found nothing; expected seconds from 0 to 86400");
    assert!(error("request-start,bytes\n").contains("expected a column `request-duration`"));
}

#[test]
fn ohas_json_bounds_each_latency_by_its_neighbours_among_the_percentiles() {
    let test = LoadTest::read(OHA).unwrap();
    assert_eq!((test.arm.requests, test.arm.failures, test.precision), (203, 3, Precision::BetweenPercentiles));
    let durations = &test.arm.durations;
    assert_eq!((durations.done.count(), durations.slowest.as_ref().unwrap().count()), (200, 200));
    let p50 = durations.ranked().quantile(0.5, Alpha::DEFAULT);
    assert!(p50.low <= 0.002_752_071 && 0.002_752_071 <= p50.high, "{p50:?}");
    assert!(p50.low > 0.002 && p50.high < 0.0033, "{p50:?}");
}

#[test]
fn what_oha_did_not_write_is_told_from_what_it_did() {
    assert!(error("{").starts_with("1:1: found EOF"), "{}", error("{"));
    assert!(error("{}").contains("missing field `summary`"), "{}", error("{}"));
    let text = OHA.replace("\"200\": 200", "\"200\": 150");
    assert_eq!(error(&text), "6:3: found \"200\"; expected counts for the 150 requests that were answered");
}

#[test]
fn a_test_that_got_no_answer_has_no_latencies() {
    let text = r#"{"summary": {"slowest": null, "fastest": null}, "responseTimeHistogram": {"NaN": 0},
        "latencyPercentiles": {"p50": null}, "statusCodeDistribution": {},
        "errorDistribution": {"Connection refused (os error 111)": 10, "aborted due to deadline": 4}}"#;
    let arm = LoadTest::read(text).unwrap().arm;
    assert_eq!((arm.requests, arm.failures, arm.durations.count()), (10, 10, 0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// What oha would write of these latencies bounds no quantile more tightly than they do.
    #[test]
    fn bounds_from_percentiles_hold_the_bounds_from_each_request(micros in vec(1000u64..1_000_000, 1..500), order in 0.05..0.95f64) {
        let mut seconds: Vec<f64> = micros.iter().map(|micros| *micros as f64 / 1e6).collect();
        seconds.sort_unstable_by(f64::total_cmp);
        let (n, last) = (seconds.len(), seconds.len() - 1);
        let percentile = |p: f64| seconds[((p / 100.0 * n as f64) as usize).min(last)];
        let step = (seconds[last] - seconds[0]) / 10.0;
        let mut edges: Vec<f64> = (0..11).map(|i| seconds[0] + step * f64::from(i)).collect();
        edges[10] = edges[10].max(seconds[last]);
        edges.dedup();
        let mut below = 0;
        let histogram: serde_json::Map<String, serde_json::Value> = edges.iter().map(|edge| {
            let count = seconds.partition_point(|value| value <= edge) - below;
            below += count;
            (edge.to_string(), count.into())
        }).collect();
        let percentiles: serde_json::Map<String, serde_json::Value> = ["10", "25", "50", "75", "90", "95", "99", "99.9", "99.99"]
            .iter().map(|p| (format!("p{p}"), percentile(p.parse().unwrap()).into())).collect();
        let text = serde_json::json!({
            "summary": {"slowest": seconds[last], "fastest": seconds[0]}, "responseTimeHistogram": histogram,
            "latencyPercentiles": percentiles, "statusCodeDistribution": {"200": n}, "errorDistribution": {},
        }).to_string();
        let known = LoadTest::read(&text).unwrap().arm.durations.ranked().quantile(order, Alpha::DEFAULT);
        let mut each = Snapshot::default();
        for micros in &micros {
            each.record_nanos(micros * 1000);
        }
        let truth = crate::stats::Durations::from(each).ranked().quantile(order, Alpha::DEFAULT);
        prop_assert!(known.low <= truth.low && known.high >= truth.high, "{known:?} {truth:?}");
    }

    #[test]
    fn no_text_brings_the_reader_down(text in "\\PC{0,200}") {
        let _ = LoadTest::read(&text);
        let _ = LoadTest::read(&format!("{{{text}"));
        let _ = LoadTest::read(&format!("request-start,request-duration,status\n{text}"));
    }
}
