use crate::base::Time;
use core::num::NonZeroU32;
use core::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// A rate limit: units per number of seconds, and a burst after a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    units: NonZeroU32,
    seconds: NonZeroU32,
    burst: NonZeroU32,
}

impl Rate {
    /// Rate limit for failed authentications per address: 5 in 300 s.
    pub(crate) const WRONG_PROOFS: Self = Self {
        units: NonZeroU32::MIN.saturating_add(4),
        seconds: NonZeroU32::MIN.saturating_add(299),
        burst: NonZeroU32::MIN.saturating_add(4),
    };

    /// Creates a rate of `per_second` units per second, and `burst` units at once after a pause.
    ///
    /// Both are 1 to 4,294,967,295.
    ///
    /// # Errors
    /// If one is 0.
    pub const fn new(per_second: u32, burst: u32) -> Result<Self, RateError> {
        Self::per(per_second, 1, burst)
    }

    /// Creates a rate of `units` units per `seconds` seconds, and `burst` at once after a pause.
    ///
    /// # Errors
    /// If one is 0.
    pub const fn per(units: u32, seconds: u32, burst: u32) -> Result<Self, RateError> {
        match (NonZeroU32::new(units), NonZeroU32::new(seconds), NonZeroU32::new(burst)) {
            (Some(units), Some(seconds), Some(burst)) => Ok(Self { units, seconds, burst }),
            _ => Err(RateError { units, seconds, burst }),
        }
    }

    /// Returns the nanoseconds that `units` take at this rate, rounded up.
    fn nanos(self, units: u64) -> u64 {
        let window = u128::from(self.seconds.get()) * u128::from(NANOS_PER_SECOND);
        let nanos = (u128::from(units) * window).div_ceil(u128::from(self.units.get()));
        u64::try_from(nanos).unwrap_or(u64::MAX)
    }

    /// Returns the extra length of a pause: half the duration of a burst, at most 50 ms.
    ///
    /// A peer over the rate then wakes the machine for several units at once, not for each one.
    pub(crate) fn rest(self) -> Duration {
        Duration::from_nanos(self.tolerance() / 2).min(Duration::from_millis(50))
    }

    /// Returns the time that `units` take at this rate.
    #[cfg(feature = "sim")]
    pub(crate) fn time_for(self, units: u64) -> Duration {
        Duration::from_nanos(self.nanos(units))
    }

    /// Returns how far the theoretical arrival time may be ahead of the clock, in nanoseconds.
    fn tolerance(self) -> u64 {
        self.nanos(u64::from(self.burst.get()))
    }
}

/// The error returned for a [`Rate`] whose units, seconds or burst are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a rate and its burst must be at least 1, not {units} in {seconds} s with a burst of {burst}")]
#[non_exhaustive]
pub struct RateError {
    /// The requested number of units.
    pub units: u32,
    /// The requested number of seconds.
    pub seconds: u32,
    /// The requested burst, in units.
    pub burst: u32,
}

/// A rate meter: the generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling).
///
/// Its only state is the theoretical arrival time of the next unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gcra {
    arrival: Time,
}

impl Gcra {
    /// Returns the moment at which all charges will have expired.
    pub(crate) fn at_rest(self) -> Time {
        self.arrival
    }

    /// Charges `units` if they conform at `now`.
    ///
    /// When the meter is at rest, more units than the burst conform, so that nothing is refused for
    /// ever.
    ///
    /// # Errors
    /// The moment from which they conform; nothing was charged.
    pub fn try_charge(&mut self, now: Time, units: u64, rate: Rate) -> Result<(), Time> {
        if self.arrival > now {
            let next = self.arrival.plus_nanos(rate.nanos(units));
            let conforms_from = next.minus_nanos(rate.tolerance()).min(self.arrival);
            if conforms_from > now {
                return Err(conforms_from);
            }
        }
        self.charge(now, units, rate);
        Ok(())
    }

    /// Charges `units` unconditionally. Returns the end of the pause if the rate is now exceeded.
    pub fn charge(&mut self, now: Time, units: u64, rate: Rate) -> Option<Time> {
        self.arrival = self.arrival.max(now).plus_nanos(rate.nanos(units));
        let conforms_from = self.arrival.minus_nanos(rate.tolerance());
        (conforms_from > now).then_some(conforms_from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A reference model: a leaky bucket whose level is counted in nanoseconds.
    struct Bucket {
        owed: u128,
        at: u64,
    }

    impl Bucket {
        fn at(&mut self, now: u64) {
            self.owed = self.owed.saturating_sub(u128::from(now - self.at));
            self.at = now;
        }
    }

    fn cost(units: u64, per_second: u32) -> u128 {
        let (whole, rest) = (
            u128::from(units) * 1_000_000_000 / u128::from(per_second),
            u128::from(units) * 1_000_000_000 % u128::from(per_second),
        );
        whole + u128::from(rest > 0)
    }

    proptest! {
        #[test]
        fn gcra_agrees_with_a_leaky_bucket(
            per_second in 1..5000u32,
            burst in 1..5000u32,
            steps in prop::collection::vec((0..2_000_000_000u64, 0..6000u64, any::<bool>()), 1..60),
        ) {
            let rate = Rate::new(per_second, burst).expect("not zero");
            let mut meter = Gcra::default();
            let mut bucket = Bucket { owed: 0, at: 0 };
            let room = cost(u64::from(burst), per_second);
            let mut now = 0;
            for (wait, units, force) in steps {
                now += wait;
                bucket.at(now);
                let time = Time::from_nanos(now);
                let after = bucket.owed + cost(units, per_second);
                if force {
                    bucket.owed = after;
                    let pause = meter.charge(time, units, rate);
                    let over = after.saturating_sub(room);
                    prop_assert_eq!(pause.map(|until| until.since(time).as_nanos()), (over > 0).then_some(over));
                } else {
                    let fits = after <= room || bucket.owed == 0;
                    match meter.try_charge(time, units, rate) {
                        Ok(()) => { prop_assert!(fits); bucket.owed = after; }
                        Err(from) => {
                            prop_assert!(!fits);
                            // It does not conform one nanosecond earlier, but does at the returned
                            // moment.
                            prop_assert!(meter.clone().try_charge(from.minus_nanos(1), units, rate).is_err());
                            prop_assert!(meter.clone().try_charge(from, units, rate).is_ok());
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn gcra_allows_a_burst_then_one_unit_per_interval() {
        let rate = Rate::new(10, 3).expect("not zero");
        let mut meter = Gcra::default();
        let now = Time::from_secs(5);
        assert!((0..3).all(|_| meter.try_charge(now, 1, rate).is_ok()));
        assert_eq!(meter.try_charge(now, 1, rate), Err(Time::from_millis(5100)));
        assert_eq!(meter.try_charge(Time::from_millis(5100), 1, rate), Ok(()));
    }
}
