//! Which format a scraper gets.

/// A format figures are exported in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4.
    Text,
    /// Length-delimited protobuf, the only one with native histograms.
    Protobuf,
}

impl Format {
    /// The `Content-Type` that goes with it.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::Protobuf => {
                "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
            }
        }
    }
}

/// The format for an `Accept` header (RFC 9110, 12.5.1).
///
/// Protobuf only for whoever names exactly that message in that encoding and does not like text better; everybody else
/// gets text, also who accepts neither: a scraper is better served with it than with an error.
#[must_use]
pub fn negotiate(accept: Option<&str>) -> Format {
    let mut protobuf = 0.0_f32;
    // The most specific range that covers text decides about it: how specific, and how liked.
    let mut text = (0, 0.0_f32);
    for range in split_unquoted(accept.unwrap_or_default(), ',').map(MediaRange::parse) {
        if range.is_metric_families() {
            protobuf = protobuf.max(range.quality);
        }
        let specific = range.covers_text();
        if specific > text.0 || (specific == text.0 && specific > 0 && range.quality > text.1) {
            text = (specific, range.quality);
        }
    }
    if protobuf > 0.0 && protobuf >= text.1 { Format::Protobuf } else { Format::Text }
}

/// One element of an `Accept` header.
struct MediaRange<'a> {
    media: &'a str,
    proto: Option<&'a str>,
    encoding: Option<&'a str>,
    /// 0 (not wanted) to 1.
    quality: f32,
}

impl<'a> MediaRange<'a> {
    fn parse(element: &'a str) -> Self {
        let mut parts = split_unquoted(element, ';').map(str::trim);
        let mut range = Self { media: parts.next().unwrap_or_default(), proto: None, encoding: None, quality: 1.0 };
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match name.trim().to_ascii_lowercase().as_str() {
                "proto" => range.proto = Some(value),
                "encoding" => range.encoding = Some(value),
                // What is no number between 0 and 1 is not wanted.
                "q" => range.quality = value.parse().ok().filter(|q| (0.0..=1.0).contains(q)).unwrap_or(0.0),
                _ => {}
            }
        }
        range
    }

    fn is_metric_families(&self) -> bool {
        self.media.eq_ignore_ascii_case("application/vnd.google.protobuf")
            && self.proto == Some("io.prometheus.client.MetricFamily")
            && self.encoding.is_some_and(|encoding| encoding.eq_ignore_ascii_case("delimited"))
    }

    /// How specifically this range covers the text format: 0 not at all, 3 by name.
    fn covers_text(&self) -> u8 {
        match self.media.to_ascii_lowercase().as_str() {
            "text/plain" => 3,
            "text/*" => 2,
            "*/*" => 1,
            _ => 0,
        }
    }
}

/// Splits at a separator that does not stand in a quoted string.
fn split_unquoted(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        if escaped {
            escaped = false;
        } else if quoted && c == '\\' {
            escaped = true;
        } else if c == '"' {
            quoted = !quoted;
        }
        c == separator && !quoted
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAMILIES: &str = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited";

    fn chosen(accept: &str) -> Format {
        negotiate(Some(accept))
    }

    #[test]
    fn who_does_not_say_gets_text() {
        assert_eq!(negotiate(None), Format::Text);
        assert_eq!(chosen(""), Format::Text);
        assert_eq!(chosen("*/*"), Format::Text);
        assert_eq!(chosen("text/html,application/xhtml+xml,*/*;q=0.8"), Format::Text);
    }

    #[test]
    fn prometheus_gets_protobuf_when_it_scrapes_native_histograms() {
        let tail = "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(chosen(&format!("{FAMILIES},{tail}")), Format::Protobuf);
        assert_eq!(chosen(tail), Format::Text);
        let newer = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=1.0.0;q=0.4,\
                     text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        assert_eq!(chosen(&format!("{FAMILIES};escaping=allow-utf-8;q=0.6,{newer}")), Format::Protobuf);
    }

    #[test]
    fn who_likes_text_better_gets_text() {
        assert_eq!(chosen(&format!("{FAMILIES};q=0.3, text/plain;q=0.5")), Format::Text);
        assert_eq!(chosen(&format!("text/plain;q=0.3, {FAMILIES} ; q = 0.5")), Format::Protobuf);
        assert_eq!(chosen(&format!("{FAMILIES};q=0.5, */*;q=0.9, text/plain;q=0.1")), Format::Protobuf);
        assert_eq!(chosen(&format!("{FAMILIES};q=0.5, text/*;q=0.9, */*;q=0.1")), Format::Text);
    }

    #[test]
    fn a_quality_of_zero_or_nonsense_is_a_refusal() {
        assert_eq!(chosen(&format!("{FAMILIES};q=0")), Format::Text);
        assert_eq!(chosen(&format!("{FAMILIES};q=NaN")), Format::Text);
        assert_eq!(chosen(&format!("{FAMILIES};q=7")), Format::Text);
    }

    #[test]
    fn another_message_or_encoding_is_not_ours() {
        assert_eq!(chosen("application/vnd.google.protobuf"), Format::Text);
        assert_eq!(chosen(&FAMILIES.replace("delimited", "text")), Format::Text);
        assert_eq!(chosen(&FAMILIES.replace("MetricFamily", "Other")), Format::Text);
    }

    #[test]
    fn quoted_parameters_may_hold_separators() {
        let quoted = FAMILIES.replace("io.prometheus.client.MetricFamily", "\"io.prometheus.client.MetricFamily\"");
        assert_eq!(chosen(&format!("text/plain;x=\"a,b;q=1\\\"\";q=0.1, {quoted};q=0.2")), Format::Protobuf);
    }
}
