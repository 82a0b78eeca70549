use crate::base::Time;
use core::time::Duration;

/// The recent strikes of one connection: how often it exceeded its rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Strikes {
    count: u32,
    last: Time,
}

impl Strikes {
    pub(crate) const NONE: Self = Self { count: 0, last: Time::START };

    /// Adds a strike. Returns the count, which restarts after `forgive_after` without a strike.
    pub(crate) fn add(&mut self, now: Time, forgive_after: Duration) -> u32 {
        if now.since(self.last) > forgive_after {
            self.count = 0;
        }
        self.last = now;
        self.count = self.count.saturating_add(1);
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strikes_reset_after_the_rest_period() {
        let mut strikes = Strikes::default();
        let rest = Duration::from_secs(60);
        assert_eq!(strikes.add(Time::from_secs(1), rest), 1);
        assert_eq!(strikes.add(Time::from_secs(61), rest), 2);
        assert_eq!(strikes.add(Time::from_secs(122), rest), 1);
    }
}
