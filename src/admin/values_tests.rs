use serde_json::json;

use super::*;
use crate::access::is_reserved;
use crate::config;

#[test]
fn what_has_the_form_of_a_share_a_rate_or_a_time_is_one() {
    let shares = ["0.01%", "0.5%", "1%", "9.99%", "10%", "99.99%", "100%", "100.0%", "100.00%"];
    let rates = ["1/s", "0.001/s", "0.5/s", "50/s", "9999.999/s", "10000/s", "30/m", "600000/m", "0.01/m", "99999.5/m"];
    let times = [
        "1s",
        "9s",
        "30s",
        "99s",
        "299s",
        "300s",
        "1000ms",
        "99999ms",
        "1m",
        "4m59s999ms",
        "1m0s",
        "5m",
        "5m0s",
        "30s0ms",
        "299s999ms",
        "300s0ms",
    ];
    for share in shares {
        assert!(check::<ShareText>("share", share).is_ok() && config::share(share).is_ok(), "{share}");
    }
    for rate in rates {
        assert!(check::<RateText>("rate", rate).is_ok() && config::rate(rate).is_some_and(|rate| rate > 0.0), "{rate}");
    }
    for time in times {
        let read = config::duration(time).ok().filter(|time| (1..=300).contains(&time.as_secs()));
        assert!(check::<WithinText>("within", time).is_ok() && read.is_some(), "{time}");
    }
    for wrong in ["", "0%", "0.0%", "0.00%", "100.01%", "101%", "1", "-1%", "1.234%", " 1%", "1%\n", "٣%"] {
        assert!(check::<ShareText>("share", wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "0/s", "0.000/s", "10001/s", "600001/m", "1/h", "1e3/s", "50", "-1/s", "1.2345/s"] {
        assert!(check::<RateText>("rate", wrong).is_err(), "{wrong}");
    }
    for wrong in
        ["", "0s", "301s", "6m", "5m1s", "999ms", "1h", "1m60s", "30", "1.5s", "1s1s", "300s1ms", "0s999ms", "1s1000ms"]
    {
        assert!(check::<WithinText>("within", wrong).is_err(), "{wrong}");
    }
}

#[test]
fn every_pattern_is_one() {
    let patterns = [
        ShareText::PATTERN,
        WithinText::PATTERN,
        RateText::PATTERN,
        HashText::PATTERN,
        EventText::PATTERN,
        Name::PATTERN,
        Dependencies::PATTERN,
    ];
    for pattern in patterns {
        assert!(Regex::new(pattern).is_ok(), "{pattern}");
    }
}

#[test]
fn a_version_has_one_weight() {
    let read = |text: &str| serde_json::from_str::<Weights>(text);
    assert_eq!(read(r#"{"old":1,"new":2.5}"#).ok(), Some(Weights([("old".into(), 1.0), ("new".into(), 2.5)].into())));
    let twice = read(r#"{"old":1,"old":2}"#).expect_err("two weights").to_string();
    assert!(twice.contains("`old` has two weights"), "{twice}");
    assert!(read("[]").is_err() && read(r#"{"old":"1"}"#).is_err());
}

#[test]
fn numbers_are_those_that_every_reader_takes_for_what_they_are() {
    let read = |text: &str| serde_json::from_str::<Number<1>>(text).map(|number| number.0);
    assert_eq!(read("1").ok(), Some(1));
    assert_eq!(read("259.0").ok(), Some(259), "a whole number to a schema of JSON");
    assert_eq!(read(&MAX_NUMBER.to_string()).ok(), Some(MAX_NUMBER));
    for wrong in ["0", "-1", "9007199254740992", "1.5", "\"1\"", "null"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
    let said = read("9007199254740992").expect_err("too great").to_string();
    assert!(said.contains("from 1 to 9007199254740991"), "{said}");
}

#[test]
fn dependencies_are_numbers_and_places_of_other_services() {
    let read = |value: Value| serde_json::from_value::<Dependencies>(value).map(|read| read.0.len());
    assert_eq!(read(json!([1, 2.0, "7", "shop@12"])).ok(), Some(4));
    for wrong in [json!([0]), json!(["shop@"]), json!(["@1"]), json!(["a b@1"]), json!([null]), json!(1), json!([1.5])]
    {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn the_document_says_which_names_are_nobodys() {
    let schema = SchemaGenerator::default().root_schema_for::<Actor>().to_value();
    let pattern = schema["not"]["pattern"].as_str().expect("a pattern");
    let form = Regex::new(pattern).expect("a pattern");
    for name in ["serin", "SERIN", "admin-API", "weights.yaml", "x.YML", "ada", "serine", "yaml", "a.yaml.b", "judge"] {
        assert_eq!(form.is_match(name), is_reserved(name), "{name}");
    }
}
