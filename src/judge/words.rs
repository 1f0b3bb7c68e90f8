//! The sentences a person would say.

use super::{Allowed, Estimate, MetricVerdict, Outcome, Unit};
use crate::stats::Interval;

/// A comparison that is decided and wants words.
pub(super) struct Compared<'a> {
    /// What the two arms are called.
    pub(super) names: [&'a str; 2],
    pub(super) metric: &'a str,
    pub(super) verdict: Outcome,
    pub(super) old: &'a Estimate,
    pub(super) new: &'a Estimate,
    pub(super) allowed: Allowed,
    /// About how many more requests new needs.
    pub(super) needed: Option<u64>,
}

/// `difference`: new's failure rate less old's; `all_fail`: every request of one of them failed.
pub(super) fn failures(compared: &Compared<'_>, difference: Interval, all_fail: bool) -> MetricVerdict {
    let Compared { names: [from, to], verdict, old, new, allowed, .. } = compared;
    let (low, high) = (points(difference.low), points(difference.high));
    let allowed = points(allowed.slack);
    let sentence = match (verdict, old.estimate, new.estimate) {
        (Outcome::Regressed, Some(o), Some(n)) => format!(
            "{to} fails {} of its requests, {from} {}: at least {low} points more, where {allowed} are allowed",
            percent(n),
            percent(o)
        ),
        (Outcome::Healthy, ..) if difference.high <= 0.0 => {
            format!("{to} fails no more often than {from}: at least {} points less", points(-difference.high))
        }
        (Outcome::Healthy, ..) => {
            format!("{to} fails at most {high} points more often than {from}, where {allowed} are allowed")
        }
        (_, None, _) => format!("{from} has answered no requests yet"),
        (_, _, None) => format!("{to} has answered no requests yet"),
        _ if all_fail => "every request of one of the two failed, which leaves nothing to compare".to_owned(),
        _ => format!(
            "it cannot be told yet whether {to} fails more than {allowed} points more often than {from}{}",
            needed(to, compared.needed)
        ),
    };
    let known = old.estimate.is_some() && new.estimate.is_some();
    let could_hide = if !known {
        "failures could be anything".to_owned()
    } else if difference.low >= 0.0 {
        format!("{to} fails between {low} and {high} points more often than {from}")
    } else if difference.high <= 0.0 {
        let (least, most) = (points(-difference.high), points(-difference.low));
        format!("{to} fails between {least} and {most} points less often than {from}")
    } else {
        format!("{to} fails between {} points less and {high} points more often than {from}", points(-difference.low))
    };
    finish(compared, Unit::Share, sentence, could_hide)
}

/// `alike`: all latencies of one of them fall into one bucket; `by_intervals`: they alone say what the verdict is.
pub(super) fn latency(compared: &Compared<'_>, alike: bool, by_intervals: bool) -> MetricVerdict {
    let Compared { names: [from, to], metric, verdict, old, new, allowed, .. } = compared;
    let limit = match (allowed.ratio, allowed.slack) {
        (ratio, slack) if slack > 0.0 => format!("{ratio} times that and {} more", seconds(slack)),
        (ratio, _) => format!("{ratio} times that"),
    };
    let most = |estimate: &Estimate| estimate.high.map_or_else(|| "unknown".to_owned(), seconds);
    let about = |estimate: &Estimate| estimate.estimate.map_or_else(|| "unknown".to_owned(), seconds);
    let sentence = match verdict {
        Outcome::Regressed | Outcome::Healthy if !by_intervals => format!(
            "{metric} of {to} is about {}, {from}'s about {}: together they show it {} {limit}",
            about(new),
            about(old),
            if *verdict == Outcome::Healthy { "within" } else { "above" }
        ),
        Outcome::Regressed => {
            format!(
                "{metric} of {to} is {} or more, {from}'s {} or less: {limit} are allowed",
                seconds(new.low),
                most(old)
            )
        }
        Outcome::Healthy => {
            format!(
                "{metric} of {to} is {} or less, {from}'s {} or more: {limit} are allowed",
                most(new),
                seconds(old.low)
            )
        }
        Outcome::Inconclusive if old.n == 0 => format!("{from} has no latencies yet"),
        Outcome::Inconclusive if new.n == 0 => format!("{to} has no latencies yet"),
        Outcome::Inconclusive if alike => {
            format!("the latencies of one of the two are all alike, so that its {metric} tells nothing")
        }
        Outcome::Inconclusive => {
            format!(
                "it cannot be told yet whether {metric} of {to} is within {limit} of {from}'s{}",
                needed(to, compared.needed)
            )
        }
    };
    let low = old.high.filter(|high| *high > 0.0).map_or(0.0, |high| new.low / high);
    let high = new.high.filter(|_| old.low > 0.0).map(|high| high / old.low);
    let could_hide = match high {
        Some(high) => format!("{metric} of {to} is between {} and {} of {from}'s", ratio(low), ratio(high)),
        None if low > 0.0 => format!("{metric} of {to} is {} of {from}'s or more", ratio(low)),
        None => format!("{metric} of {to} could be anything"),
    };
    finish(compared, Unit::Seconds, sentence, could_hide)
}

fn finish(compared: &Compared<'_>, unit: Unit, sentence: String, could_hide: String) -> MetricVerdict {
    MetricVerdict {
        metric: compared.metric.to_owned(),
        verdict: compared.verdict,
        old: *compared.old,
        new: *compared.new,
        unit,
        allowed: compared.allowed,
        sentence,
        could_hide,
        more_requests: compared.needed,
    }
}

fn needed(to: &str, more: Option<u64>) -> String {
    more.map_or_else(String::new, |more| format!("; about {} more requests to {to} would tell", rounded(more)))
}

/// Two digits and thousands: an estimate that looks like one.
fn rounded(n: u64) -> String {
    let mut unit = 1;
    while n / unit >= 100 {
        unit *= 10;
    }
    let digits = (n.div_ceil(unit) * unit).to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A share in percent.
fn percent(share: f64) -> String {
    format!("{} %", points(share))
}

/// A share in points of a hundred, to two digits that count.
fn points(share: f64) -> String {
    digits(share * 100.0)
}

fn ratio(ratio: f64) -> String {
    if ratio < 10.0 { format!("{ratio:.2}") } else { digits(ratio) }
}

/// Seconds in a fitting unit.
pub(super) fn seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s < 1e-3 => (s * 1e6, "µs"),
        s if s < 1.0 => (s * 1e3, "ms"),
        s => (s, "s"),
    };
    format!("{}{unit}", digits(value))
}

/// A number at or above 0 with about three digits that count, and none that do not.
fn digits(value: f64) -> String {
    let text = match value {
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v if v >= 0.1 => format!("{v:.2}"),
        v => format!("{v:.4}"),
    };
    if !text.contains('.') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
