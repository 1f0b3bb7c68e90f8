//! What flagd's JSON schema says of rules: which operators there are, and how many arguments of which kind they take.

use super::trail::Trail;
use crate::config::node::{Kind, Node, quote};
use crate::config::problem::Problems;

/// How many arguments an operator takes.
struct Arity {
    least: usize,
    most: usize,
    /// Whether one argument may stand without its list.
    bare: bool,
}

/// Notes what the schema objects to in a rule. What is no rule at all (an unknown operator, two in one place) is said
/// by whoever compiles it.
pub(super) fn check(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    match &node.kind {
        Kind::Map(entries) => {
            if let [(key, args)] = &**entries {
                operator(&key.text, args, &trail.key(&key.text), problems);
            }
        }
        Kind::List(items) => {
            for (index, item) in items.iter().enumerate() {
                check(item, &trail.index(index), problems);
            }
        }
        _ => {}
    }
}

fn operator(name: &str, args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    match name {
        "$ref" => {}
        "var" => return var(args, trail, problems),
        "missing" => return texts(args, trail, problems),
        "missing_some" => return missing_some(args, trail, problems),
        "fractional" => fractional(args, trail, problems),
        "sem_ver" => sem_ver(args, trail, problems),
        "starts_with" | "ends_with" => {
            count(args, &Arity { least: 2, most: 2, bare: false }, trail, problems);
            for (index, item) in args.items().enumerate() {
                if !matches!(item.kind, Kind::Text(_) | Kind::Map(_)) {
                    object(item, &trail.index(index), "a text or a rule", problems);
                }
            }
        }
        "log" => problems.warning(&trail.at(args), "flagd's schema does not know `log`"),
        _ => {
            if let Some(arity) = arity(name) {
                count(args, &arity, trail, problems);
            }
        }
    }
    check(args, trail, problems);
}

fn arity(name: &str) -> Option<Arity> {
    let (least, most) = match name {
        "<" | "<=" | "substr" => (2, 3),
        "==" | "===" | "!=" | "!==" | ">" | ">=" | "%" | "/" | "map" | "filter" | "all" | "none" | "some" | "in" => {
            (2, 2)
        }
        "reduce" => (3, 3),
        "*" => (2, usize::MAX),
        "!" | "!!" => return Some(Arity { least: 1, most: 1, bare: true }),
        "if" | "or" | "and" | "+" | "-" | "max" | "min" | "merge" | "cat" => (1, usize::MAX),
        _ => return None,
    };
    Some(Arity { least, most, bare: false })
}

fn count(args: &Node, arity: &Arity, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    let expected = match (arity.least, arity.most) {
        (least, usize::MAX) => format!("{least} or more"),
        (least, most) if least == most => least.to_string(),
        (least, most) => format!("{least} to {most}"),
    };
    match &args.kind {
        Kind::List(items) if (arity.least..=arity.most).contains(&items.len()) => {}
        Kind::List(items) => {
            let message = format!("flagd's schema expects a list of {expected} here, this has {}", items.len());
            problems.warning(&trail.at(args), message);
        }
        _ if arity.bare => {}
        _ => object(args, trail, &format!("a list of {expected}"), problems),
    }
}

fn var(args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    let own = |path: &str, node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>| {
        if path.starts_with("$flagd.") && !matches!(path, "$flagd.flagKey" | "$flagd.timestamp") {
            let message = format!("{} is neither `$flagd.flagKey` nor `$flagd.timestamp`", quote(path));
            problems.warning(&trail.at(node), message);
        }
    };
    match &args.kind {
        Kind::Text(path) => own(path, args, trail, problems),
        Kind::List(items) => match items.split_first() {
            None => object(args, trail, "a path", problems),
            Some((first, rest)) => {
                if !matches!(first.kind, Kind::Text(_)) {
                    object(first, &trail.index(0), "a path, a text", problems);
                }
                for (index, item) in rest.iter().enumerate() {
                    if matches!(item.kind, Kind::List(_) | Kind::Map(_)) {
                        object(item, &trail.index(index + 1), "null, a boolean, a number or a text", problems);
                    }
                }
            }
        },
        _ => check(args, trail, problems),
    }
}

fn missing_some(args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    count(args, &Arity { least: 2, most: 2, bare: false }, trail, problems);
    if let Some(needed) = args.item(0).filter(|node| !matches!(node.kind, Kind::Integer(_) | Kind::Float(_))) {
        object(needed, &trail.index(0), "a number", problems);
    }
    if let Some(paths) = args.item(1) {
        texts(paths, &trail.index(1), problems);
    }
}

/// A list of texts.
fn texts(args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    if !matches!(args.kind, Kind::List(_)) {
        return object(args, trail, "a list of paths", problems);
    }
    for (index, item) in args.items().enumerate() {
        if !matches!(item.kind, Kind::Text(_)) {
            object(item, &trail.index(index), "a path, a text", problems);
        }
    }
}

fn sem_ver(args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    count(args, &Arity { least: 3, most: 3, bare: false }, trail, problems);
    for index in [0, 2] {
        let Some(item) = args.item(index) else { continue };
        let legal = match &item.kind {
            Kind::Text(text) => is_whole_version(text),
            Kind::Map(_) => true,
            _ => false,
        };
        if !legal {
            object(item, &trail.index(index), "a version like `1.2.3`, or `var`", problems);
        }
    }
    let relations = ["=", "!=", ">", "<", ">=", "<=", "~", "^"];
    let is_one = |item: &&Node| matches!(&item.kind, Kind::Text(text) if relations.contains(&&**text));
    if let Some(item) = args.item(1).filter(|item| !is_one(item)) {
        object(item, &trail.index(1), &format!("one of {}", relations.join(" ")), problems);
    }
}

/// Three numbers; what may follow them is not looked at.
fn is_whole_version(text: &str) -> bool {
    let main = text.split(['-', '+']).next().unwrap_or_default();
    let mut parts = main.split('.');
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    parts.by_ref().take(3).filter(|part| plain(part)).count() == 3 && parts.next().is_none()
}

fn fractional(args: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    const EXPECTED: &str = "a list of buckets `[variant, weight]`, and before them what tells users apart";
    if !matches!(args.kind, Kind::List(_)) {
        return object(args, trail, EXPECTED, problems);
    }
    let with_key = args.item(0).is_some_and(|first| matches!(first.kind, Kind::Map(_)));
    let buckets = args.items().enumerate().skip(usize::from(with_key));
    if buckets.len() == 0 {
        object(args, trail, EXPECTED, problems);
    }
    for (index, item) in buckets {
        bucket(item, &trail.index(index), problems);
    }
}

fn bucket(node: &Node, trail: &Trail<'_>, problems: &mut Problems<'_>) {
    let Kind::List(parts) = &node.kind else {
        return object(node, trail, "a bucket: `[variant, weight]`", problems);
    };
    let [variant, weight @ ..] = &**parts else { return object(node, trail, "a variant and its weight", problems) };
    if matches!(variant.kind, Kind::List(_)) {
        object(variant, &trail.index(0), "the name of a variant, or a rule that gives it", problems);
    }
    match weight {
        [] | [Node { kind: Kind::Integer(0..) | Kind::Map(_), .. }] => {}
        [Node { kind: Kind::Float(number), .. }] if number.fract() == 0.0 && *number >= 0.0 => {}
        [other] => {
            object(other, &trail.index(1), "a weight: a whole number from 0, or a rule that gives one", problems);
        }
        _ => object(node, trail, "a variant and its weight, no more", problems),
    }
}

fn object(node: &Node, trail: &Trail<'_>, expected: &str, problems: &mut Problems<'_>) {
    problems.warning(&trail.at(node), format!("flagd's schema expects {expected} here, this is {}", node.describe()));
}
