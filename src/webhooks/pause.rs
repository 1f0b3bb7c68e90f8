//! How long to wait before another try. Pure: randomness is an argument.

use std::time::Duration;

/// Tries of one event.
pub(super) const TRIES: u32 = 10;
/// The first pause; each is twice as long as the one before.
const FIRST: Duration = Duration::from_millis(500);
/// The longest. All of an event's pauses together are about four minutes.
const LONGEST: Duration = Duration::from_mins(1);

/// The pause after `tried` tries; `asked`: what the receiver asked for, which counts within bounds. `random`, from 0 to 1, spreads it
/// over half to one and a half times its length, so that many serins do not come back at once.
pub(super) fn pause(tried: u32, asked: Option<Duration>, random: f64) -> Duration {
    let doubled = FIRST.saturating_mul(1 << tried.saturating_sub(1).min(16));
    let spread = doubled.min(LONGEST).mul_f64(0.5 + random.clamp(0.0, 1.0));
    asked.map_or(spread, |asked| spread.max(asked.min(LONGEST)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute() {
        let pauses: Vec<u64> = (1..TRIES).map(|tried| pause(tried, None, 0.5).as_millis() as u64).collect();
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
    }

    proptest! {
        #[test]
        fn a_pause_is_never_none_and_never_long(tried: u32, asked: Option<u32>, random: f64) {
            let pause = pause(tried, asked.map(|seconds| Duration::from_secs(seconds.into())), random);
            prop_assert!(pause >= FIRST / 2 && pause <= LONGEST.mul_f64(1.5), "{pause:?}");
        }

        #[test]
        fn what_the_receiver_asks_for_is_waited_for_within_bounds(tried in 1..TRIES, asked in 0..60u64) {
            prop_assert!(pause(tried, Some(Duration::from_secs(asked)), 0.0) >= Duration::from_secs(asked));
        }
    }
}
