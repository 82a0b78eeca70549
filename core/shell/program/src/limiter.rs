//! Rate limits for log lines, by kind, with counts of the lines that are left out.

use drupe_core::Time;
use drupe_core::limit::{Gcra, Rate};
use std::collections::BTreeMap;
use tracing::Level;
use tracing_subscriber::filter::Targets;

/// Maximum number of kinds that are tracked. Further kinds are not limited.
const KINDS_MAX: usize = 256;

/// A rate limiter for log lines, by kind.
///
/// Lines that the log level excludes do not count as left out.
#[derive(Debug)]
pub(crate) struct Limiter {
    levels: Targets,
    rate: Option<Rate>,
    kinds: BTreeMap<String, Kind>,
    /// Number of lines left out, of all kinds together.
    left_out: u64,
}

#[derive(Debug, Default)]
struct Kind {
    meter: Gcra,
    /// Number of lines left out since the last written line of this kind.
    left_out: u64,
}

/// An admitted line: whether its level logs it, and how many lines were left out before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Admitted {
    /// Whether the line's level admits it to the log.
    pub(crate) is_logged: bool,
    /// Number of lines of the same kind that were left out before this one.
    pub(crate) left_out: u64,
}

impl Limiter {
    pub(crate) const fn new(levels: Targets, rate: Option<Rate>) -> Self {
        Self { levels, rate, kinds: BTreeMap::new(), left_out: 0 }
    }

    pub(crate) fn set_levels(&mut self, levels: Targets) {
        self.levels = levels;
    }

    /// Returns `true` if the log includes lines of this target at this level.
    pub(crate) fn is_logged(&self, target: &str, level: Level) -> bool {
        self.levels.would_enable(target, &level)
    }

    /// Admits a line. Returns `None` if its kind exceeds the rate.
    pub(crate) fn admit(&mut self, now: Time, kind: &str, target: &str, level: Level) -> Option<Admitted> {
        let is_logged = self.is_logged(target, level);
        let Some(rate) = self.rate else { return Some(Admitted { is_logged, left_out: 0 }) };
        if self.kinds.len() >= KINDS_MAX && !self.kinds.contains_key(kind) {
            return Some(Admitted { is_logged, left_out: 0 });
        }
        let of_kind = self.kinds.entry(kind.to_owned()).or_default();
        if of_kind.meter.try_charge(now, 1, rate).is_ok() {
            return Some(Admitted { is_logged, left_out: std::mem::take(&mut of_kind.left_out) });
        }
        if is_logged {
            of_kind.left_out += 1;
            self.left_out += 1;
        }
        None
    }

    /// Returns and resets the number of lines left out since the last written line, by kind.
    pub(crate) fn take_left_out(&mut self) -> Vec<(String, u64)> {
        let kinds = self.kinds.iter_mut().filter(|(_, kind)| kind.left_out > 0);
        kinds.map(|(name, kind)| (name.clone(), std::mem::take(&mut kind.left_out))).collect()
    }

    /// Returns the total number of lines left out.
    pub(crate) const fn left_out(&self) -> u64 {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing::level_filters::LevelFilter;

    fn limiter(level: LevelFilter) -> Limiter {
        Limiter::new(Targets::new().with_default(level), Rate::per(2, 60, 2).ok())
    }

    #[test]
    fn log_lines_over_the_rate_are_suppressed_and_counted_once() {
        let mut limiter = limiter(LevelFilter::INFO);
        let mut admit = |seconds| limiter.admit(Time::from_secs(seconds), "opened", "connections", Level::INFO);
        let written = |left_out| Some(Admitted { is_logged: true, left_out });
        assert_eq!([0, 0, 0, 0, 0].map(&mut admit), [written(0), written(0), None, None, None]);
        assert_eq!(admit(120), written(3), "the next line reports how many were left out before it");
        assert_eq!([120, 120].map(&mut admit), [written(0), None]);
        assert_eq!(limiter.left_out(), 4);
        assert_eq!(limiter.take_left_out(), [("opened".to_owned(), 1)]);
        assert_eq!(limiter.take_left_out(), []);
    }

    #[test]
    fn log_lines_below_the_level_do_not_count_as_suppressed() {
        let mut limiter = limiter(LevelFilter::INFO);
        for _ in 0..100 {
            let verdict = limiter.admit(Time::START, "message", "messages", Level::DEBUG);
            assert!(verdict.is_none_or(|verdict| !verdict.is_logged && verdict.left_out == 0));
        }
        assert_eq!((limiter.left_out(), limiter.take_left_out()), (0, Vec::new()));
    }

    #[test]
    fn log_limiter_counts_each_kind_separately() {
        let mut limiter = limiter(LevelFilter::INFO);
        for kind in ["opened", "closed", "opened", "closed"] {
            assert!(limiter.admit(Time::START, kind, "connections", Level::INFO).is_some());
        }
        assert!(limiter.admit(Time::START, "closed", "connections", Level::INFO).is_none());
    }
}
