//! Rules and contexts made by chance, the same for the same seed.

use fastrand::Rng;
use serde_json::{Map, Value, json};

/// A rule of all operators, with odd arguments among sensible ones.
pub(crate) fn rule(rng: &mut Rng) -> Value {
    loop {
        let depth = rng.usize(1..5);
        let rule = expression(rng, depth);
        // Anything but an operator is no rule.
        if rule.as_object().is_some_and(|fields| !fields.is_empty()) {
            return rule;
        }
    }
}

/// A context that knows the paths that rules ask for, each with a value of any type, or not at all.
pub(crate) fn context(rng: &mut Rng) -> Value {
    let mut context = Map::new();
    for name in ["n", "m", "s", "t", "b", "list", "words", "nested", "items", "email", "version", "nul", "targetingKey"]
    {
        if rng.u8(..20) < 17 {
            let usual = rng.u8(..20) < 17;
            context.insert(name.to_owned(), if usual { usual_value(rng, name) } else { value(rng, 2) });
        }
    }
    if rng.u8(..10) == 0 {
        context.insert("$flagd".to_owned(), json!({ "flagKey": "forged", "timestamp": 1 }));
    }
    Value::Object(context)
}

fn usual_value(rng: &mut Rng, name: &str) -> Value {
    match name {
        "n" | "m" => number(rng),
        "b" => Value::Bool(rng.bool()),
        "list" => (0..rng.usize(..4)).map(|_| number(rng)).collect(),
        "words" => (0..rng.usize(..4)).map(|_| Value::from(text(rng))).collect(),
        "nested" => json!({ "a": { "b": value(rng, 1), "list": [value(rng, 0), value(rng, 0)] }, "n": number(rng) }),
        "items" => (0..rng.usize(..4)).map(|_| json!({ "n": number(rng), "s": text(rng) })).collect(),
        "email" => json!(pick(rng, &["ann@example.com", "bob@shop.test", "", "Éva@example.com"])),
        "version" => json!(version(rng)),
        "nul" => Value::Null,
        "targetingKey" => json!(format!("user-{}{}", rng.u16(..), pick(rng, &["", "", "", "ü", "😀"]))),
        _ => json!(text(rng)),
    }
}

fn value(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => Value::Bool(rng.bool()),
        2 | 3 => number(rng),
        4 | 5 => json!(text(rng)),
        6 => (0..rng.usize(..4)).map(|_| value(rng, depth - 1)).collect(),
        _ => {
            let fields = (0..rng.usize(..3)).map(|_| (pick(rng, &["a", "n", "s"]).to_owned(), value(rng, depth - 1)));
            Value::Object(fields.collect())
        }
    }
}

fn number(rng: &mut Rng) -> Value {
    match rng.u8(..10) {
        0..5 => json!(rng.i32(-5..20)),
        5 => json!(0),
        6 => json!(f64::from(rng.i32(-200..200)) / 8.0),
        7 => json!(rng.f64() * 10_f64.powi(rng.i32(-12..25))),
        8 => [json!(1e21), json!(1e-7), json!(-0.5), json!(9_007_199_254_740_991_i64), json!(1e308)][rng.usize(..5)]
            .clone(),
        _ => json!(1_700_000_000_i64 + rng.i64(-10..10)),
    }
}

fn text(rng: &mut Rng) -> &'static str {
    pick(
        rng,
        &[
            "",
            "a",
            "b",
            "abc",
            "ABC",
            "on",
            "off",
            "0",
            "1",
            "5",
            "-3",
            "2.5",
            " 7 ",
            "1e3",
            "0x1f",
            "Infinity",
            "NaN",
            "true",
            "false",
            "null",
            "user",
            "hello world",
            "äöü",
            "日本語",
            "a😀b",
            "n",
            "s",
            "nested.n",
            "\u{ffee}z",
            "2.0.0",
            "ann@example.com",
        ],
    )
}

fn version(rng: &mut Rng) -> &'static str {
    pick(
        rng,
        &[
            "1.0.0",
            "1.2.3",
            "v1.2.3",
            "V2.0.0",
            "2.0.0-beta.1",
            "2.0.0-beta.11",
            "2.0.0-alpha",
            "2.0.0+build.7",
            "1",
            "1.2",
            "01.2.3",
            "1.2.3.4",
            "not-a-version",
            "",
            "10.0.0",
            "1.2.3-rc.1+x",
            "3.0",
            "99999999999999999.0.0",
        ],
    )
}

fn path(rng: &mut Rng) -> &'static str {
    pick(
        rng,
        &[
            "n",
            "m",
            "s",
            "t",
            "b",
            "list",
            "words",
            "nested",
            "items",
            "email",
            "version",
            "nul",
            "targetingKey",
            "missing",
            "nested.a.b",
            "nested.n",
            "nested.a.list.1",
            "list.0",
            "list.7",
            "words.1",
            "items.0.n",
            "s.length",
            "list.length",
            "$flagd.flagKey",
            "$flagd.timestamp",
            "a.b.c.d",
            "n.x",
            "nul.x",
            "email.2",
            "",
        ],
    )
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// Within `map` and its like, paths lead into the item.
fn item_path(rng: &mut Rng) -> &'static str {
    pick(rng, &["", "n", "s", "accumulator", "current", "current.n", "0", "length", "missing"])
}

fn expression(rng: &mut Rng, depth: usize) -> Value {
    if depth == 0 {
        return leaf(rng);
    }
    match rng.u8(..44) {
        0..4 => branch(rng, depth),
        4..7 => call(rng, &["and", "or"], 0..4, depth),
        7..9 => {
            let arg = expression(rng, depth - 1);
            let op = pick_op(rng, &["!", "!!"]);
            if rng.bool() { json!({ op: [arg] }) } else { json!({ op: arg }) }
        }
        9..16 => {
            let most = if rng.u8(..6) == 0 { 4 } else { 3 };
            call(rng, &["==", "===", "!=", "!==", "<", "<=", ">", ">="], 2..most, depth)
        }
        16..20 => call(rng, &["+", "-", "*", "/", "%", "max", "min"], 1..4, depth),
        20..24 => iteration(rng, depth),
        24 => call(rng, &["merge"], 0..4, depth),
        25..28 => call(rng, &["in"], 2..3, depth),
        28..30 => call(rng, &["cat"], 1..4, depth),
        30 => call(rng, &["substr"], 2..4, depth),
        31 => json!({ "missing": (0..rng.usize(..4)).map(|_| path(rng)).collect::<Vec<_>>() }),
        32 => json!({ "missing_some": [rng.i32(-1..4), (0..rng.usize(..4)).map(|_| path(rng)).collect::<Vec<_>>()] }),
        33..35 => call(rng, &["starts_with", "ends_with"], 2..3, depth),
        35..38 => {
            let relation = pick(rng, &["=", "!=", "<", "<=", ">", ">=", "^", "~", "=="]);
            let left = if rng.bool() { json!({ "var": "version" }) } else { leaf(rng) };
            json!({ "sem_ver": [left, relation, version(rng)] })
        }
        38..42 => fractional(rng, depth),
        _ => leaf(rng),
    }
}

fn pick_op(rng: &mut Rng, from: &[&'static str]) -> &'static str {
    from[rng.usize(..from.len())]
}

fn call(rng: &mut Rng, ops: &[&'static str], count: std::ops::Range<usize>, depth: usize) -> Value {
    let op = pick_op(rng, ops);
    // Now and then the arguments themselves are computed.
    if rng.u8(..20) == 0 {
        return json!({ op: expression(rng, depth - 1) });
    }
    // Mostly arguments of the kind that the operator is for.
    let fitting = rng.u8(..20) < 15;
    let of_numbers = matches!(op, "+" | "-" | "*" | "/" | "%" | "max" | "min" | "<" | "<=" | ">" | ">=");
    let of_texts = matches!(op, "starts_with" | "ends_with" | "substr" | "cat");
    let comparing = matches!(op, "==" | "!=" | "===" | "!==");
    let texts = of_texts || (comparing && rng.bool());
    let count = rng.usize(count);
    let arg = |index: usize| match op {
        "in" if fitting && index == 1 => json!([text(rng), text(rng), text(rng), "on", "user"]),
        "in" if fitting => textual(rng, depth),
        "substr" if fitting && index > 0 => json!(rng.i32(-4..6)),
        _ if fitting && texts => textual(rng, depth),
        _ if fitting && (of_numbers || comparing) => numeric(rng, depth),
        _ => expression(rng, depth - 1),
    };
    let args: Vec<Value> = (0..count).map(arg).collect();
    json!({ op: args })
}

fn numeric(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..8) {
        0..4 => {
            json!({ "var": pick(rng, &["n", "m", "list.0", "nested.n", "$flagd.timestamp", "missing", "words.length"]) })
        }
        4 if depth > 1 => call(rng, &["+", "-", "*", "/", "%", "max", "min"], 1..4, depth - 1),
        5 => json!(pick(rng, &["5", "-3", "2.5", "0", ""])),
        _ => number(rng),
    }
}

fn textual(rng: &mut Rng, depth: usize) -> Value {
    match rng.u8(..8) {
        0..5 => {
            json!({ "var": pick(rng, &["s", "t", "email", "version", "words.0", "targetingKey", "$flagd.flagKey", "missing"]) })
        }
        5 if depth > 1 => call(rng, &["cat", "substr"], 2..4, depth - 1),
        _ => json!(text(rng)),
    }
}

fn branch(rng: &mut Rng, depth: usize) -> Value {
    let args: Vec<Value> = (0..rng.usize(1..6)).map(|_| expression(rng, depth - 1)).collect();
    json!({ pick_op(rng, &["if", "if", "if", "?:"]): args })
}

fn iteration(rng: &mut Rng, depth: usize) -> Value {
    let list = match rng.u8(..6) {
        0 => expression(rng, depth - 1),
        1 => json!([1, 2, 3]),
        _ => json!({ "var": pick(rng, &["list", "words", "items", "nested.a.list", "list", "missing"]) }),
    };
    let mut inner = expression(rng, depth.min(2) - 1);
    into_item(rng, &mut inner);
    let op = pick_op(rng, &["map", "filter", "all", "some", "none", "reduce"]);
    if op == "reduce" {
        let step = match rng.u8(..3) {
            0 => json!({ "+": [{ "var": "accumulator" }, { "var": "current" }] }),
            1 => json!({ "cat": [{ "var": "accumulator" }, { "var": "current" }, "," ] }),
            _ => inner,
        };
        return if rng.u8(..4) == 0 { json!({ op: [list, step] }) } else { json!({ op: [list, step, leaf(rng)] }) };
    }
    let inner = match rng.u8(..4) {
        0 => json!({ ">": [{ "var": "" }, rng.i32(-3..6)] }),
        1 => json!({ "var": item_path(rng) }),
        _ => inner,
    };
    json!({ op: [list, inner] })
}

/// Makes some of the paths such as lead into an item.
fn into_item(rng: &mut Rng, rule: &mut Value) {
    match rule {
        Value::Object(fields) => {
            for (name, value) in fields {
                if name == "var" && value.is_string() && rng.bool() {
                    *value = json!(item_path(rng));
                } else {
                    into_item(rng, value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| into_item(rng, item)),
        _ => {}
    }
}

fn fractional(rng: &mut Rng, depth: usize) -> Value {
    let mut args = Vec::new();
    if rng.bool() {
        args.push(match rng.u8(..4) {
            0 => json!({ "var": "email" }),
            1 => json!({ "cat": [{ "var": "$flagd.flagKey" }, { "var": "email" }] }),
            2 => json!({ "var": path(rng) }),
            _ => json!(text(rng)),
        });
    }
    for _ in 0..rng.usize(..4) {
        let variant = match rng.u8(..8) {
            0 => leaf(rng),
            1 => expression(rng, depth - 1),
            _ => json!(pick(rng, &["red", "green", "blue", "on", "off"])),
        };
        args.push(match rng.u8(..12) {
            0 => json!([variant]),
            1 => json!([variant, leaf(rng)]),
            2 => json!([variant, rng.i32(-20..50), 1]),
            3 => json!([variant, { "if": [{ "var": "b" }, 30, 70] }]),
            4 => json!([variant, 2_147_483_647]),
            5 => leaf(rng),
            _ => json!([variant, rng.i32(-5..100)]),
        });
    }
    json!({ "fractional": args })
}

fn leaf(rng: &mut Rng) -> Value {
    match rng.u8(..16) {
        0..7 => json!({ "var": path(rng) }),
        11..14 => json!(pick(rng, &["on", "off", "red"])),
        7 => json!({ "var": [path(rng), value(rng, 0)] }),
        8 => match rng.u8(..4) {
            0 => json!({ "var": number(rng) }),
            1 => json!({ "var": { "var": "s" } }),
            2 => json!({ "var": [{ "cat": ["nested", ".n"] }, "else"] }),
            _ => json!([text(rng), number(rng), value(rng, 0)]),
        },
        9 => json!((0..rng.usize(..4)).map(|_| json!(text(rng))).collect::<Vec<_>>()),
        10 => json!([{ "var": path(rng) }, value(rng, 0)]),
        _ => value(rng, 0),
    }
}
