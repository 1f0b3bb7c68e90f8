//! How often wrong credentials are looked at: a token bucket for each source, and one for all.
//!
//! Who has used up a bucket is not compared with anything any more, right or wrong, until it has filled again. So that
//! many who fail cannot keep out everybody, the bucket for all does not count for a source that was right a short while
//! ago.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures of one source in a minute.
const OF_SOURCE: u32 = 10;
/// Failures of all sources in a minute.
const OF_ALL: u32 = 100;
/// The time in which a bucket fills.
const MINUTE: Duration = Duration::from_mins(1);
/// Most sources that are remembered.
const SOURCES: usize = 4096;
/// How long it counts that a source was right.
const REMEMBERED: Duration = Duration::from_hours(1);

/// Where credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address; of IPv6 the network of 64 bits, as whoever has one address there has all of them.
    Ip(IpAddr),
    /// A user of this machine, at a unix socket.
    Uid(u32),
    /// A unix socket whose other end cannot be told.
    Unix,
}

impl Source {
    /// The source that an address belongs to.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self::Ip(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & !u128::from(u64::MAX)).into(),
        })
    }
}

/// So many of something in a time; what is not used up fills again steadily.
#[derive(Debug, Clone, Copy)]
pub struct Bucket {
    capacity: u32,
    fills_in: Duration,
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full one.
    #[must_use]
    pub fn full(capacity: u32, fills_in: Duration, now: Instant) -> Self {
        Self { capacity, fills_in, left: f64::from(capacity), at: now }
    }

    /// Takes one out.
    ///
    /// # Errors
    /// How long to wait for one, where there is none.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        self.look(now)?;
        self.left -= 1.0;
        Ok(())
    }

    /// Whether there is one to take out.
    fn look(&mut self, now: Instant) -> Result<(), Duration> {
        let capacity = f64::from(self.capacity);
        let filled = now.saturating_duration_since(self.at).div_duration_f64(self.fills_in) * capacity;
        self.left = (self.left + filled).min(capacity);
        self.at = self.at.max(now);
        if self.left >= 1.0 { Ok(()) } else { Err(self.fills_in.mul_f64((1.0 - self.left) / capacity)) }
    }
}

/// What is remembered of a source.
#[derive(Debug)]
struct Record {
    failures: Bucket,
    seen: Instant,
    right: Option<Instant>,
}

impl Record {
    fn is_known(&self, now: Instant) -> bool {
        self.right.is_some_and(|at| now.saturating_duration_since(at) < REMEMBERED)
    }
}

/// Who has failed how often.
#[derive(Debug)]
pub struct Throttle {
    sources: HashMap<Source, Record>,
    all: Bucket,
}

impl Throttle {
    /// Nobody has failed yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        Self { sources: HashMap::new(), all: Bucket::full(OF_ALL, MINUTE, now) }
    }

    /// Looks at what a source shows, by `look`, if it has not failed too often; then notes whether that was right.
    ///
    /// # Errors
    /// How long to wait before anything that it shows is looked at.
    pub fn look<T, E>(
        &mut self,
        source: Source,
        now: Instant,
        look: impl FnOnce() -> Result<T, E>,
    ) -> Result<Result<T, E>, Duration> {
        let mut known = false;
        if let Some(record) = self.sources.get_mut(&source) {
            record.failures.look(now)?;
            known = record.is_known(now);
        }
        if !known {
            self.all.look(now)?;
        }
        let looked = look();
        let record = self.record(source, now);
        record.seen = now;
        if looked.is_ok() {
            record.right = Some(now);
        } else {
            // There is one: it was looked for above, and a new record is full. The one for all may be empty where the
            // source is known.
            let _ = record.failures.take(now);
            let _ = self.all.take(now);
        }
        Ok(looked)
    }

    /// The record of a source. Where there are too many, the one that was not seen for the longest time goes, of those
    /// that were never right if there are any.
    fn record(&mut self, source: Source, now: Instant) -> &mut Record {
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&source) {
            let oldest = self.sources.iter().min_by_key(|(_, record)| (record.is_known(now), record.seen));
            if let Some(oldest) = oldest.map(|(source, _)| *source) {
                self.sources.remove(&oldest);
            }
        }
        let fresh = || Record { failures: Bucket::full(OF_SOURCE, MINUTE, now), seen: now, right: None };
        self.sources.entry(source).or_insert_with(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn source(number: u32) -> Source {
        Source::of(IpAddr::from(number.to_be_bytes()))
    }

    /// Shows something; whether it was looked at.
    fn show(throttle: &mut Throttle, source: Source, now: Instant, right: bool) -> Result<(), Duration> {
        throttle.look(source, now, || right.then_some(()).ok_or(())).map(|looked| assert_eq!(looked.is_ok(), right))
    }

    #[test]
    fn a_source_that_fails_too_often_waits_and_others_do_not() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        for _ in 0..OF_SOURCE {
            assert_eq!(show(&mut throttle, source(1), start, false), Ok(()));
        }
        assert_eq!(show(&mut throttle, source(1), start, true), Err(MINUTE / OF_SOURCE), "also what is right");
        assert_eq!(show(&mut throttle, source(2), start, true), Ok(()));
        let later = start + MINUTE / OF_SOURCE + SECOND / 10;
        assert_eq!(show(&mut throttle, source(1), later, false), Ok(()), "one has filled again");
        assert!(show(&mut throttle, source(1), later, false).is_err());
        let whole = later + MINUTE;
        for _ in 0..OF_SOURCE {
            assert_eq!(show(&mut throttle, source(1), whole, false), Ok(()));
        }
        assert!(show(&mut throttle, source(1), whole, false).is_err(), "it never holds more");
    }

    #[test]
    fn being_right_costs_nothing() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        for _ in 0..10 * OF_ALL {
            assert_eq!(show(&mut throttle, source(1), start, true), Ok(()));
        }
    }

    #[test]
    fn many_sources_that_fail_keep_out_strangers_alone() {
        let start = Instant::now();
        let mut throttle = Throttle::new(start);
        assert_eq!(show(&mut throttle, source(1), start, true), Ok(()));
        for stranger in 0..OF_ALL {
            assert_eq!(show(&mut throttle, source(1000 + stranger), start, false), Ok(()));
        }
        assert!(show(&mut throttle, source(5000), start, true).is_err(), "a stranger, right or wrong");
        assert_eq!(show(&mut throttle, source(1), start, true), Ok(()), "known from before");
        let forgotten = start + REMEMBERED;
        for stranger in 0..OF_ALL {
            assert_eq!(show(&mut throttle, source(9000 + stranger), forgotten, false), Ok(()));
        }
        assert!(show(&mut throttle, source(1), forgotten, true).is_err(), "too long ago");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_who_was_right_stays() {
        let mut now = Instant::now();
        let mut throttle = Throttle::new(now);
        assert_eq!(show(&mut throttle, source(1), now, true), Ok(()));
        // Within the time for which it counts to have been right, and more than are remembered.
        for stranger in 0..2 * SOURCES as u32 {
            now += REMEMBERED / (2 * SOURCES as u32 + 1);
            // Whatever becomes of it.
            let _ = throttle.look(source(10_000 + stranger), now, || Err::<(), _>(()));
        }
        assert_eq!(throttle.sources.len(), SOURCES);
        assert!(throttle.sources[&source(1)].is_known(now));
    }

    #[test]
    fn a_network_of_ipv6_is_one_source_and_mapped_addresses_are_ipv4() {
        let of = |text: &str| Source::of(text.parse().expect("an address"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.2"), of("10.0.0.1"));
    }
}
