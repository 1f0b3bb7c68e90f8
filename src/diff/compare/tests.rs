use super::*;

fn rules(ignore: &[&str], unordered: &[&str], redact: &[&str]) -> Rules {
    let mut rules = Rules { headers: vec!["content-type".to_owned(), "set-cookie".to_owned()], ..Rules::default() };
    for (patterns, paths) in
        [(&mut rules.ignore, ignore), (&mut rules.unordered, unordered), (&mut rules.redact, redact)]
    {
        for path in paths {
            patterns.add(path).expect("a path");
        }
    }
    rules
}

fn answer(body: &str) -> Answer {
    Answer { status: 200, headers: Vec::new(), body: Some(body.as_bytes().to_vec()) }
}

fn places(rules: &Rules, old: &str, new: &str) -> Vec<(String, Change)> {
    let found = rules.compare(&answer(old), &answer(new));
    found.differences.into_iter().map(|difference| (difference.place, difference.change)).collect()
}

fn one(place: &str, change: Change) -> Vec<(String, Change)> {
    vec![(place.to_owned(), change)]
}

#[test]
fn documents_are_compared_by_path() {
    let plain = rules(&[], &[], &[]);
    assert_eq!(places(&plain, r#"{"a":1,"b":[1,2]}"#, r#"{ "b": [1, 2], "a": 1.0 }"#), []);
    assert_eq!(places(&plain, r#"{"a":1}"#, r#"{"a":2}"#), one("$.a", Change::Value));
    assert_eq!(places(&plain, r#"{"a":1}"#, r#"{"a":"1"}"#), one("$.a", Change::Type));
    assert_eq!(places(&plain, r#"{"a":null}"#, "{}"), one("$.a", Change::Removed));
    assert_eq!(places(&plain, "{}", r#"{"a b":1}"#), one("$[\"a b\"]", Change::Added));
    assert_eq!(places(&plain, r#"[{"p":1},{"p":2}]"#, r#"[{"p":3},{"p":4}]"#), one("$[*].p", Change::Value));
    assert_eq!(places(&plain, "[1]", "[1,2]"), one("$[*]", Change::Added));
    assert_eq!(places(&plain, "[1]", "{}"), one("$", Change::Type));
}

#[test]
fn what_is_ignored_or_in_no_order_makes_no_difference() {
    let rules = rules(&["$.id", "$.items[*].at"], &["$.tags", "$.items"], &[]);
    assert_eq!(places(&rules, r#"{"id":1,"tags":["a","b","b"]}"#, r#"{"tags":["b","a","b"]}"#), []);
    let old = r#"{"items":[{"n":1,"at":1},{"n":2,"at":2}]}"#;
    assert_eq!(places(&rules, old, r#"{"items":[{"n":2,"at":3},{"n":1,"at":4}]}"#), []);
    assert_eq!(places(&rules, old, r#"{"items":[{"n":3,"at":3},{"n":1,"at":4}]}"#), one("$.items[*].n", Change::Value));
    assert_eq!(places(&rules, r#"{"tags":["a"]}"#, r#"{"tags":["a","a"]}"#), one("$.tags[*]", Change::Added));
}

#[test]
fn numbers_differ_by_more_than_the_tolerance_and_whole_ones_by_any_digit() {
    let exact = rules(&[], &[], &[]);
    assert_eq!(places(&exact, "9007199254740992", "9007199254740993"), one("$", Change::Value));
    assert_eq!(places(&exact, "0.1", "0.10000000000000002"), one("$", Change::Value));
    let near = Rules { tolerance: 1e-9, ..exact };
    assert_eq!(places(&near, "[0.3, 1e300, 0, 3]", "[0.30000000000000004, 1.0000000001e300, 1e-10, 3.0]"), []);
    assert_eq!(places(&near, "[1.0]", "[1.00000001]"), one("$[*]", Change::Value));
}

#[test]
fn texts_are_compared_by_line_and_all_else_as_a_whole() {
    let rules = rules(&[], &[], &[]);
    assert_eq!(places(&rules, "a\nb\nc", "a\nx\nc"), one("line 2", Change::Value));
    assert_eq!(places(&rules, "a\nb", "a\nb\nc"), one("lines", Change::Value));
    assert_eq!(places(&rules, "a\nb", "a\r\nb"), one("lines", Change::Value));
    assert_eq!(places(&rules, "a\0b", "a\0c"), one("body", Change::Value));
    assert_eq!(places(&rules, "{}", "<h1>Oops</h1>"), one("body", Change::Type));
    let long = "x\n".repeat(MAX_LINES + 1);
    assert_eq!(places(&rules, &long, &long.replacen('x', "y", 1)), one("lines", Change::Value));
    // A document that says it is none is a text.
    let html = |body: &str| Answer { headers: vec![("content-type".into(), b"text/html".into())], ..answer(body) };
    assert_eq!(rules.compare(&html("{\"a\":1}"), &html("{\"a\":2}")).differences[0].place, "line 1");
}

#[test]
fn status_and_headers_are_compared_and_secrets_never_shown() {
    let rules = rules(&[], &[], &["$.user", "$..email"]);
    let with = |status: u16, kind: &str, cookie: &str, body: &str| Answer {
        status,
        headers: vec![
            ("content-type".into(), kind.into()),
            ("set-cookie".into(), cookie.into()),
            ("date".into(), cookie.into()),
        ],
        ..answer(body)
    };
    let body =
        |name: &str| format!(r#"{{"user":{{"name":"{name}","x":1}},"list":[{{"email":"{name}","n":"{name}!"}}]}}"#);
    let old = with(200, "application/json", "id=ada", &body("ada"));
    let new = with(201, "application/problem+json", "id=bob", &body("bob"));
    let found = rules.compare(&old, &new).differences;
    let told: Vec<_> = found.iter().map(|d| (d.place.as_str(), d.old.as_str(), d.new.as_str())).collect();
    assert_eq!(
        told,
        [
            ("status", "200", "201"),
            ("header content-type", "application/json", "application/problem+json"),
            ("header set-cookie", "(redacted)", "(redacted)"),
            ("$.list[*].email", "\"(redacted)\"", "\"(redacted)\""),
            ("$.list[*].n", "\"ada!\"", "\"bob!\""),
            ("$.user.*", "\"(redacted)\"", "\"(redacted)\""),
        ]
    );
    let removed = rules.compare(&answer(&body("ada")), &answer("{}")).differences;
    let told: Vec<_> = removed.iter().map(|d| (d.place.as_str(), d.old.as_str())).collect();
    assert_eq!(told, [("$.list", r#"[{"email":"(redacted)","n":"ada!"}]"#), ("$.user", "\"(redacted)\"")]);
}

#[test]
fn a_body_that_was_too_long_is_left_out_and_said_to_be() {
    let rules = rules(&[], &[], &[]);
    let cut = Answer { body: None, ..answer("") };
    let found = rules.compare(&cut, &Answer { status: 500, ..answer("") });
    assert!(found.body_left_out);
    assert_eq!(found.differences.len(), 1);
}

#[test]
fn what_is_redacted_does_not_show_as_a_text_nor_in_a_name() {
    let rules = rules(&[], &[], &["$.users", "$.email"]);
    let as_text = |body: &str| Answer { headers: vec![("content-type".into(), b"text/plain".into())], ..answer(body) };
    let shown = |old: &Answer, new: &Answer| format!("{:?}", rules.compare(old, new));
    let old = r#"{"email":"ada@example.com"}"#;
    for said in [
        shown(&as_text(old), &as_text("{}")),
        shown(&as_text(old), &as_text("{}\nmore")),
        // Cut short, so that it is no document any more.
        shown(&answer(&old[..old.len() - 1]), &answer("[")),
        shown(&answer(r#"{"users":{"ada@example.com":1}}"#), &answer(r#"{"users":{}}"#)),
    ] {
        assert!(!said.contains("example"), "{said}");
    }
}

#[test]
fn what_a_call_came_to_is_compared_whatever_the_headers_are() {
    let call = |status: &str| Answer { headers: vec![("grpc-status".into(), status.into())], ..answer("") };
    let found = Rules::default().compare(&call("0"), &call("5")).differences;
    assert_eq!((found.len(), found[0].place.as_str()), (1, "header grpc-status"));
}

#[test]
fn sets_within_sets_take_no_time_that_grows_without_bound() {
    let rules = rules(&[], &["$..*"], &[]);
    // Nothing in the one is like anything in the other.
    let nested = |from: u32| {
        let leaf =
            |n: u32| format!("[{}]", (0..12).map(|i| (from + n * 12 + i).to_string()).collect::<Vec<_>>().join(","));
        let level = |n: u32| format!("[{}]", (0..12).map(|i| leaf(n * 12 + i)).collect::<Vec<_>>().join(","));
        format!("[{}]", (0..12).map(level).collect::<Vec<_>>().join(","))
    };
    assert_eq!(places(&rules, &nested(0), &nested(1_000_000)), one("$[*][*][*]", Change::Value));
}

#[test]
fn hostile_documents_are_bounded() {
    let rules = rules(&["$..x..y..z"], &["$..a"], &["$..b..c"]);
    let deep = |end: &str| format!("{}{end}{}", "[".repeat(100_000), "]".repeat(100_000));
    let found = places(&rules, &deep("1"), &deep("2"));
    assert!(found.len() == 1 && found[0].0.starts_with("$[*][*]") && found[0].0.len() <= MAX_PLACE, "{found:?}");
    let wide = |from: usize| {
        let members: Vec<_> = (from..from + 5_000).map(|n| format!("\"k{n}\":{n}")).collect();
        format!("{{{}}}", members.join(","))
    };
    assert_eq!(places(&rules, &wide(0), &wide(5_000)).len(), MAX_DIFFERENCES);
    let array = |from: usize| format!("{{\"a\":{:?}}}", (from..from + 20_000).collect::<Vec<_>>());
    assert_eq!(places(&rules, &array(0), &array(1)), one("$.a[*]", Change::Value));
    let long_key = format!("{{\"{}\":1}}", "k".repeat(10_000));
    assert!(places(&rules, &long_key, "{}")[0].0.len() <= MAX_PLACE);
}

#[test]
fn what_is_written_differently_and_means_the_same_is_the_same() {
    let none = rules(&[], &["$.s"], &[]);
    let old = r#"{"a":{"b":[1,2.0,"\u00e9"],"c":null},"d":1,"d":2,"s":[{"x":1,"y":2},3]}"#;
    let new = r#" { "d" : 2 , "a": {"c":null, "b" : [ 1, 2.00, "é" ] }, "s": [3, {"y":2, "x":1}] } "#;
    assert_eq!(places(&none, old, new), []);
}

#[test]
fn what_cannot_be_read_is_known_by_its_bytes_and_never_shown() {
    let rules = rules(&[], &[], &["$.a.email"]);
    let body = |name: &str| format!(r#"{{"a":{{"\ud800":1,"email":"{name}@example.org"}},"n":1e999}}"#);
    assert_eq!(places(&rules, &body("ada"), &body("ada")), []);
    let found = rules.compare(&answer(&body("ada")), &answer(&body("bob"))).differences;
    assert_eq!((found.len(), found[0].place.as_str()), (1, "$.a"));
    assert!(!found[0].old.contains("ada") && found[0].old.contains("bytes, xxh3"), "{found:?}");
}
