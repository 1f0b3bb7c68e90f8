//! The `traceparent` header: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use std::fmt;

/// The id of a trace; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceId([u8; 16]);

/// The id of a span; never all zeros.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanId([u8; 8]);

/// Which trace a request belongs to, and the span that asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span of whoever sends this.
    pub span: SpanId,
    /// The flags that are known: whether the trace is recorded, and whether its id is random.
    flags: u8,
}

const SAMPLED: u8 = 1;
const KNOWN_FLAGS: u8 = 3;
/// Bytes of version `00`; later versions may be longer.
const LENGTH: usize = 55;

impl TraceId {
    /// An id of random bits.
    #[must_use]
    pub fn from_random(random: u128) -> Self {
        Self(random.max(1).to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Its last eight bytes, uniform where the id is random: what a share of traces is chosen by.
    #[must_use]
    pub fn lot(self) -> u64 {
        u128::from_be_bytes(self.0) as u64
    }
}

impl SpanId {
    /// An id of random bits.
    #[must_use]
    pub fn from_random(random: u64) -> Self {
        Self(random.max(1).to_be_bytes())
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl TraceContext {
    /// The context of a trace that begins here.
    #[must_use]
    pub fn root(trace: TraceId, span: SpanId, sampled: bool) -> Self {
        Self { trace, span, flags: u8::from(sampled) * SAMPLED }
    }

    /// The same trace with another span asking.
    #[must_use]
    pub fn child(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// What a `traceparent` says; `None` where it is malformed, or of the version that never will be.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let later = text.get(LENGTH..)?;
        let [version] = hex(&text[..2])?;
        let is_whole = match version {
            0 => later.is_empty(),
            0xff => false,
            _ => later.first().is_none_or(|byte| *byte == b'-'),
        };
        let dashes = text[2] == b'-' && text[35] == b'-' && text[52] == b'-';
        let (trace, span, [flags]) = (hex(&text[3..35])?, hex(&text[36..52])?, hex(&text[53..55])?);
        let is_some = trace != [0; 16] && span != [0; 8];
        (is_whole && dashes && is_some).then_some(Self {
            trace: TraceId(trace),
            span: SpanId(span),
            flags: flags & KNOWN_FLAGS,
        })
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The flags as they go on the wire.
    #[must_use]
    pub fn flags(self) -> u8 {
        self.flags
    }
}

/// So many bytes in lower-case hexadecimal.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl fmt::Display for TraceContext {
    /// As `traceparent` carries it, version `00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace, self.span, self.flags)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn parsed(text: &str) -> Option<String> {
        TraceContext::parse(text.as_bytes()).map(|context| context.to_string())
    }

    #[test]
    fn a_traceparent_is_read_and_written_alike() {
        assert_eq!(parsed(GOOD).as_deref(), Some(GOOD));
        assert!(TraceContext::parse(GOOD.as_bytes()).unwrap().is_sampled());
        let unsampled = GOOD.replace("-01", "-00");
        assert!(!TraceContext::parse(unsampled.as_bytes()).unwrap().is_sampled());
        assert_eq!(parsed(&GOOD.replace("-01", "-ff")), Some(GOOD.replace("-01", "-03")), "unknown flags are dropped");
        for later in [GOOD.replacen("00", "01", 1), GOOD.replacen("00", "cc", 1) + "-what-comes"] {
            assert_eq!(parsed(&later).as_deref(), Some(GOOD), "{later}");
        }
    }

    #[test]
    fn what_is_malformed_is_none() {
        for bad in [
            String::new(),
            GOOD[..54].to_owned(),
            GOOD.to_owned() + "-",
            GOOD.to_owned() + "x",
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00", "cc", 1) + "x",
            GOOD.to_uppercase(),
            GOOD.replace('b', "g"),
            GOOD.replacen('-', "_", 1),
            "00-00000000000000000000000000000000-b7ad6b7169203331-01".to_owned(),
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01".to_owned(),
            " ".to_owned() + &GOOD[..54],
        ] {
            assert_eq!(parsed(&bad), None, "{bad}");
        }
    }

    #[test]
    fn no_id_is_ever_all_zeros() {
        let root = TraceContext::root(TraceId::from_random(0), SpanId::from_random(0), false);
        assert!(TraceContext::parse(root.to_string().as_bytes()).is_some());
    }

    proptest! {
        #[test]
        fn every_context_survives_its_own_text(trace in any::<u128>(), span in any::<u64>(), sampled in any::<bool>()) {
            let root = TraceContext::root(TraceId::from_random(trace), SpanId::from_random(span), sampled);
            prop_assert_eq!(TraceContext::parse(root.to_string().as_bytes()), Some(root));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = TraceContext::parse(&bytes);
        }
    }
}
