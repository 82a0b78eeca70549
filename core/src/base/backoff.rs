use crate::base::setters;
use crate::base::{INTERVAL_MIN, Random};
use core::time::Duration;

/// Exponential backoff with jitter, for repeated attempts.
///
/// After `n` failures in a row (from 1), the wait is `min(cap, initial * factor^(n - 1))`, less a
/// random part of up to `jitter_percent`, so that many clients of one server do not reconnect at
/// one moment. No wait is shorter than 10 ms. The count restarts after a connection that was up for
/// `stable_after`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backoff {
    /// The wait after the first failure, before jitter. With zero, every wait is 10 ms.
    pub initial: Duration,
    /// Multiplier for each further wait. 0 counts as 1.
    pub factor: u8,
    /// The longest wait. Zero counts as 10 ms.
    pub cap: Duration,
    /// Maximum random reduction of each wait, in percent. Values above 100 count as 100.
    pub jitter_percent: u8,
    /// Time that a connection must stay up to reset the count of failures.
    ///
    /// With zero, every connection resets it.
    pub stable_after: Duration,
    /// Maximum number of attempts in a row, including the first. 0 counts as 1. `None`: no limit.
    pub attempts_max: Option<u32>,
}

setters!(Backoff {
    initial: Duration,
    factor: u8,
    cap: Duration,
    jitter_percent: u8,
    stable_after: Duration,
    attempts_max: Option<u32>,
});

impl Default for Backoff {
    /// Returns a backoff that doubles from 1 s to 60 s, with 50 % jitter and no limit on attempts.
    ///
    /// `stable_after` is 30 s.
    fn default() -> Self {
        Self {
            initial: Duration::from_secs(1),
            factor: 2,
            cap: Duration::from_secs(60),
            jitter_percent: 50,
            stable_after: Duration::from_secs(30),
            attempts_max: None,
        }
    }
}

impl Backoff {
    /// Returns the wait after `failures` failures in a row (at least 1).
    ///
    /// Returns `None` if there is no further attempt.
    #[must_use]
    pub fn wait(&self, failures: u32, random: &mut Random) -> Option<Duration> {
        if self.attempts_max.is_some_and(|max| failures >= max) {
            return None;
        }
        let factor = u128::from(self.factor.max(1)).saturating_pow(failures.saturating_sub(1));
        let nanos = self.initial.as_nanos().saturating_mul(factor);
        let wait = u64::try_from(nanos).map_or(self.cap, |nanos| Duration::from_nanos(nanos).min(self.cap));
        let jitter = wait / 100 * u32::from(self.jitter_percent.min(100));
        Some(wait.saturating_sub(random.within(jitter)).max(INTERVAL_MIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn waits_grow_from_the_shortest_initial_wait_to_the_cap() {
        let backoff = Backoff::default().initial(Duration::from_nanos(1)).factor(10).jitter_percent(0);
        let waited = |failures| backoff.wait(failures, &mut Random::new(1));
        assert_eq!(
            [1, 11, 12, u32::MAX].map(waited),
            [10, 10_000, 60_000, 60_000].map(|ms| Some(Duration::from_millis(ms)))
        );
        let endless = Backoff::default().initial(Duration::MAX).cap(Duration::MAX).jitter_percent(0);
        assert_eq!(endless.wait(2, &mut Random::new(1)), Some(Duration::MAX));
    }

    proptest! {
        #[test]
        fn backoff_waits_agree_with_repeated_multiplication(
            initial in 1..5000u64, factor in 1..=255u8, cap in 1..100_000u64, jitter in 0..=100u8, seed: u64, failures in 1..40u32
        ) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                factor,
                cap: Duration::from_millis(cap),
                jitter_percent: jitter,
                ..Backoff::default()
            };
            let mut longest = u128::from(initial) * 1_000_000;
            for _ in 1..failures {
                longest = (longest * u128::from(factor)).min(u128::from(cap) * 1_000_000);
            }
            let longest = longest.min(u128::from(cap) * 1_000_000);
            let least = INTERVAL_MIN.as_nanos();
            let (shortest, longest) = ((longest - longest * u128::from(jitter) / 100).max(least), longest.max(least));
            let waited = backoff.wait(failures, &mut Random::new(seed)).expect("for ever");
            let wait = waited.as_nanos();
            prop_assert!((shortest.saturating_sub(100)..=longest).contains(&wait), "{} not in {}..={}", wait, shortest, longest);
            prop_assert_eq!(Some(waited), backoff.wait(failures, &mut Random::new(seed)));
        }
    }
}
