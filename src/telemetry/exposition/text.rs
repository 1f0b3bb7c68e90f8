//! The text format 0.0.4:
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>.

use std::fmt::{Display, Write};
use std::sync::Arc;

use crate::stats::{Scale5, Snapshot};

use super::classic_edges;
use super::family::{Family, Kind, Series, Value};

/// Writes the families one after the other.
pub(super) fn write(families: &[Family]) -> String {
    let mut out = String::new();
    for family in families {
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        // Help texts are constants without line ends or backslashes: nothing to escape.
        line(&mut out, format_args!("# HELP {} {}", family.name, family.help));
        line(&mut out, format_args!("# TYPE {} {kind}", family.name));
        for Series { labels, value } in &family.series {
            match value {
                Value::Number(number) => sample(&mut out, (family.name, ""), labels, None, *number),
                Value::Histogram(durations) => histogram(&mut out, family.name, labels, durations),
            }
        }
    }
    out
}

fn histogram(out: &mut String, name: &str, labels: &[(&str, Arc<str>)], durations: &Snapshot) {
    for edge in classic_edges().map(Scale5::upper) {
        sample(out, (name, "_bucket"), labels, Some(&edge), durations.count_at_most(edge));
    }
    sample(out, (name, "_bucket"), labels, Some(&"+Inf"), durations.count());
    sample(out, (name, "_sum"), labels, None, durations.sum_nanos() as f64 / 1e9);
    sample(out, (name, "_count"), labels, None, durations.count());
}

/// One line: name and suffix, labels (`le` last), value.
fn sample(
    out: &mut String,
    (name, suffix): (&str, &str),
    labels: &[(&str, Arc<str>)],
    le: Option<&dyn Display>,
    value: impl Display,
) {
    out.push_str(name);
    out.push_str(suffix);
    let mut open = '{';
    for (label, value) in labels {
        out.push(open);
        open = ',';
        out.push_str(label);
        out.push_str("=\"");
        escape(out, value);
        out.push('"');
    }
    if let Some(le) = le {
        out.push(open);
        open = ',';
        put(out, format_args!("le=\"{le}\""));
    }
    if open == ',' {
        out.push('}');
    }
    line(out, format_args!(" {value}"));
}

fn escape(out: &mut String, value: &str) {
    for c in value.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    put(out, text);
    out.push('\n');
}

fn put(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Invariant: writing to a `String` does not fail, and neither do the numbers and strings written here.
    out.write_fmt(text).expect("a string takes everything");
}
