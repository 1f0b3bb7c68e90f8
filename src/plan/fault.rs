//! Faults for drills: which requests of a version are hurt, and how. Pure: time and randomness are arguments.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Share, VersionId};

/// A fault that is put into some requests of one version until a set time.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The configured name, unique within the service.
    pub name: Arc<str>,
    /// The name as `x-serin-fault` carries it.
    pub header: HeaderValue,
    /// Whose requests are hurt.
    pub version: VersionId,
    /// How many of them.
    pub share: Share,
    /// Only those that carry this header with this value. `None`: all.
    pub only: Option<(HeaderName, HeaderValue)>,
    /// What happens first: the request waits this long before it goes on.
    pub delay: Option<Delay>,
    /// What happens then. `None`: nothing more; there is a delay at least.
    pub strike: Option<Strike>,
    /// Most requests of the whole process that are under this fault at one time; further ones are left alone.
    pub max_concurrent: u32,
    /// From then on nothing happens any more.
    pub until: SystemTime,
}

/// How long a request waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delay {
    /// Always as long.
    Fixed(Duration),
    /// Evenly distributed between the two, the first not above the second.
    Uniform(Duration, Duration),
    /// Exponentially distributed with this mean, cut at ten times the mean.
    Exponential(Duration),
}

/// What a request meets in the place of, or within, its version's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// It is answered with an error; the version never sees it.
    Abort(Abort),
    /// The client's connection (HTTP/1) or stream (HTTP/2) is reset; the version never sees it.
    Reset,
    /// The response's body comes at this many bytes a second.
    SlowBody(NonZeroU64),
}

/// The error of an abort, as it was configured. Every caller is answered in its own protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Abort {
    /// An HTTP status of 400 to 599.
    Http(StatusCode),
    /// A gRPC status of 1 to 16.
    Grpc(u8),
}

/// An exponential delay is never longer than this many times its mean: 1 in 22,000 is cut.
const LONGEST: f64 = 10.0;

impl Fault {
    /// Whether a request with these headers is to be hurt at `now`. `random` is uniform over all of `u64`.
    #[must_use]
    pub fn strikes(&self, headers: &HeaderMap, now: SystemTime, random: u64) -> bool {
        let chosen =
            |(name, value): &(HeaderName, HeaderValue)| headers.get_all(name).iter().any(|found| found == value);
        now < self.until && self.only.as_ref().is_none_or(chosen) && self.share.holds(random)
    }
}

impl Delay {
    /// How long one request waits. `random` is uniform over all of `u64`.
    #[must_use]
    pub fn draw(self, random: u64) -> Duration {
        // Strictly between 0 and 1.
        let unit = ((random >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        match self {
            Self::Fixed(delay) => delay,
            Self::Uniform(from, to) => from + to.saturating_sub(from).mul_f64(unit),
            Self::Exponential(mean) => mean.mul_f64((-unit.ln()).min(LONGEST)),
        }
    }
}

impl Abort {
    /// The error for callers that do not speak gRPC; a gRPC status as
    /// [`google.rpc.Code`](https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto) maps it.
    #[must_use]
    pub fn http(self) -> StatusCode {
        let code = match self {
            Self::Http(status) => return status,
            Self::Grpc(code) => code,
        };
        match code {
            3 | 9 | 11 => StatusCode::BAD_REQUEST,
            16 => StatusCode::UNAUTHORIZED,
            7 => StatusCode::FORBIDDEN,
            5 => StatusCode::NOT_FOUND,
            6 | 10 => StatusCode::CONFLICT,
            8 => StatusCode::TOO_MANY_REQUESTS,
            12 => StatusCode::NOT_IMPLEMENTED,
            14 => StatusCode::SERVICE_UNAVAILABLE,
            4 => StatusCode::GATEWAY_TIMEOUT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// The error for gRPC callers; an HTTP status as gRPC clients themselves take it
    /// (<https://grpc.github.io/grpc/core/md_doc_http-grpc-status-mapping.html>).
    #[must_use]
    pub fn grpc(self) -> u8 {
        let status = match self {
            Self::Grpc(code) => return code,
            Self::Http(status) => status,
        };
        match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const END: Duration = Duration::from_secs(1000);
    const MEAN: Duration = Duration::from_millis(100);

    fn fault(percent: u32, only: Option<(&'static str, &'static str)>) -> Fault {
        let pair = |(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        Fault {
            name: "drill".into(),
            header: HeaderValue::from_static("drill"),
            version: VersionId::from_index(0),
            share: Share::from_hundredths(percent * 100),
            only: only.map(pair),
            delay: None,
            strike: Some(Strike::Reset),
            max_concurrent: 1,
            until: UNIX_EPOCH + END,
        }
    }

    fn struck(fault: &Fault, headers: &HeaderMap, at: SystemTime) -> usize {
        let mut rng = fastrand::Rng::with_seed(7);
        (0..10_000).filter(|_| fault.strikes(headers, at, rng.u64(..))).count()
    }

    fn headers(lines: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-drill", HeaderValue::from_static(line));
        }
        headers
    }

    #[test]
    fn its_share_of_the_requests_is_struck_and_no_other() {
        let none = HeaderMap::new();
        assert_eq!(struck(&fault(100, None), &none, UNIX_EPOCH), 10_000);
        let tenth = struck(&fault(10, None), &none, UNIX_EPOCH);
        assert!((880..1120).contains(&tenth), "{tenth}");
    }

    #[test]
    fn with_a_header_only_those_that_carry_its_value_are_struck() {
        let one = fault(100, Some(("x-drill", "1")));
        for (lines, expected) in [(vec![], 0), (vec!["1"], 10_000), (vec!["2"], 0), (vec!["2", "1"], 10_000)] {
            assert_eq!(struck(&one, &headers(&lines), UNIX_EPOCH), expected, "{lines:?}");
        }
        let half = struck(&fault(50, Some(("x-drill", "1"))), &headers(&["1"]), UNIX_EPOCH);
        assert!((4800..5200).contains(&half), "{half}");
    }

    #[test]
    fn nothing_is_struck_from_its_end_on() {
        let fault = fault(100, None);
        let none = HeaderMap::new();
        assert_eq!(struck(&fault, &none, UNIX_EPOCH + END - Duration::from_nanos(1)), 10_000);
        assert_eq!(struck(&fault, &none, UNIX_EPOCH + END), 0);
    }

    #[test]
    fn delays_have_their_distribution_and_stay_within_its_bounds() {
        let mut rng = fastrand::Rng::with_seed(11);
        let mut draw = |delay: Delay| (0..20_000).map(|_| delay.draw(rng.u64(..))).collect::<Vec<_>>();
        let mean = |drawn: &[Duration]| drawn.iter().sum::<Duration>().as_secs_f64() / drawn.len() as f64;
        assert!(draw(Delay::Fixed(MEAN)).iter().all(|delay| *delay == MEAN));
        let uniform = draw(Delay::Uniform(MEAN / 2, MEAN * 2));
        assert!(uniform.iter().all(|delay| (MEAN / 2..=MEAN * 2).contains(delay)));
        assert!((mean(&uniform) - 0.125).abs() < 0.002, "{}", mean(&uniform));
        let exponential = draw(Delay::Exponential(MEAN));
        assert!((mean(&exponential) - 0.1).abs() < 0.003, "{}", mean(&exponential));
        let short = exponential.iter().filter(|delay| **delay < MEAN).count() as f64 / 20_000.0;
        assert!((short - 0.632).abs() < 0.015, "{short}");
        assert_eq!(Delay::Exponential(MEAN).draw(0), MEAN * 10, "the longest is cut");
        assert!(Delay::Exponential(MEAN).draw(u64::MAX) < Duration::from_nanos(1));
    }

    #[test]
    fn every_abort_has_a_meaning_in_both_protocols() {
        for code in 1..=16 {
            assert!(Abort::Grpc(code).http().as_u16() >= 400, "{code}");
            assert_eq!(Abort::Grpc(code).grpc(), code);
        }
        for status in 400..600 {
            let status = StatusCode::from_u16(status).unwrap();
            assert!((1..=16).contains(&Abort::Http(status).grpc()), "{status}");
            assert_eq!(Abort::Http(status).http(), status);
        }
        assert_eq!(Abort::Http(StatusCode::SERVICE_UNAVAILABLE).grpc(), 14);
        assert_eq!(Abort::Grpc(14).http(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
