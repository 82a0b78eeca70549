//! A circuit breaker for requests to a server that fails.

use crate::base::Time;
use core::time::Duration;

/// Number of failures in a row that open the breaker.
const FAILURES: u32 = 8;
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// A circuit breaker. After 8 failures in a row it opens, and admits no request for 1 s.
///
/// Then it admits one request as a trial. A success closes the breaker. After each failed trial, the
/// next wait is twice as long, up to 30 s.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    failures: u32,
    /// `Some` while the breaker is open.
    open: Option<Open>,
}

#[derive(Clone, Copy, Debug)]
struct Open {
    until: Time,
    wait: Duration,
    /// Whether the trial request is under way.
    is_trying: bool,
}

impl Breaker {
    /// Returns `true` if a request may be sent. While the breaker is open, only one is admitted after each wait.
    pub(super) fn admits(&mut self, now: Time) -> bool {
        match &mut self.open {
            None => true,
            Some(open) => {
                let admits = !open.is_trying && now >= open.until;
                open.is_trying |= admits;
                admits
            }
        }
    }

    pub(super) const fn succeeded(&mut self) {
        (self.failures, self.open) = (0, None);
    }

    pub(super) fn failed(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        let wait = match self.open {
            // A request that was sent before the breaker opened has failed.
            Some(open) if !open.is_trying => return,
            Some(open) => (open.wait * 2).min(LONGEST_WAIT),
            None if self.failures < FAILURES => return,
            None => FIRST_WAIT,
        };
        self.open = Some(Open { until: now + wait, wait, is_trying: false });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn server_that_fails_is_left_alone_longer_and_longer() {
        let (mut breaker, mut now) = (Breaker::default(), Time::START);
        for _ in 0..FAILURES {
            assert!(breaker.admits(now));
            breaker.failed(now);
        }
        for wait in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!breaker.admits(now + Duration::from_millis(wait * 1_000 - 1)));
            now = now + Duration::from_secs(wait);
            assert!(breaker.admits(now) && !breaker.admits(now), "one on trial");
            breaker.failed(now);
        }
        now = now + LONGEST_WAIT;
        assert!(breaker.admits(now));
        breaker.succeeded();
        assert!(breaker.admits(now) && breaker.admits(now));
        // Failures between successes do not add up.
        for _ in 0..100 {
            breaker.failed(now);
            breaker.succeeded();
        }
        assert!(breaker.admits(now) && breaker.admits(now));
    }
}
