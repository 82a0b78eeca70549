//! Metrics of the last day, for the charts of watchers that come later.

use super::stats::Sample;
use crate::base::whole_millis;
use crate::state::Timer;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;
use serde_json::{Value, json};

/// The timer of the samples.
pub(super) const SAMPLE: Timer = Timer::named("drupe::kit::monitor::history");
/// Time between two samples.
pub(super) const STEP: Duration = Duration::from_secs(10);
/// Each series: how many steps are between its samples, and how many samples it keeps.
///
/// The first one is the last hour, and the second one the last day. In one message, both have about
/// 45 KiB.
const SERIES: [(u64, usize); 2] = [(1, 360), (30, 288)];

/// Samples of the metrics of all shards, as each shard knows them.
#[derive(Debug)]
pub(super) struct History {
    /// Number of samples taken.
    taken: u64,
    /// The samples of each of [`SERIES`].
    series: [VecDeque<Sample>; SERIES.len()],
}

impl History {
    pub(super) const fn new() -> Self {
        Self { taken: 0, series: [const { VecDeque::new() }; SERIES.len()] }
    }

    /// Adds a sample to the series that it belongs to. Returns the message with it.
    pub(super) fn add(&mut self, sample: Sample) -> Value {
        let is_due = |(steps, _): (u64, usize)| self.taken.is_multiple_of(steps);
        let added = SERIES.map(is_due);
        for ((samples, (_, max)), is_added) in self.series.iter_mut().zip(SERIES).zip(added) {
            if is_added {
                if samples.len() >= max {
                    samples.pop_front();
                }
                samples.push_back(sample);
            }
        }
        self.taken = self.taken.wrapping_add(1);
        message(added.map(|is_added| is_added.then_some(sample).into_iter().collect()))
    }

    /// Returns the message with all samples. `None` without any.
    pub(super) fn whole(&self) -> Option<Value> {
        (self.taken > 0).then(|| message(self.series.each_ref().map(|samples| samples.iter().copied().collect())))
    }
}

/// Returns the message with these samples of each series.
fn message(series: [Vec<Sample>; SERIES.len()]) -> Value {
    let one = |((steps, max), samples): ((u64, usize), Vec<Sample>)| {
        let step = whole_millis(STEP).saturating_mul(steps);
        json!({ "step_ms": step, "samples_max": max, "samples": samples })
    };
    json!({ "type": "history", "series": SERIES.into_iter().zip(series).map(one).collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(message: &Value) -> Vec<usize> {
        let series = message["series"].as_array().expect("a list");
        series.iter().map(|one| one["samples"].as_array().expect("a list").len()).collect()
    }

    #[test]
    fn history_keeps_an_hour_of_fine_and_a_day_of_coarse_samples() {
        let mut history = History::new();
        assert_eq!(history.whole(), None);
        let mut add = |n| history.add([n; 7]);
        assert_eq!(counts(&add(0)), [1, 1]);
        assert_eq!(counts(&add(1)), [1, 0]);
        (2..20_000).for_each(|n| drop(add(n)));
        let whole = history.whole().expect("there are some");
        assert_eq!(counts(&whole), [360, 288]);
        let series = &whole["series"];
        assert_eq!((&series[0]["step_ms"], &series[1]["step_ms"]), (&10_000.into(), &300_000.into()));
        let ends = |series: &Value| {
            let samples = series["samples"].as_array().expect("a list");
            [samples.first(), samples.last()].map(|sample| sample.and_then(|sample| sample[0].as_u64()))
        };
        assert_eq!(ends(&series[0]), [Some(19_640), Some(19_999)]);
        assert_eq!(ends(&series[1]), [Some(11_370), Some(19_980)]);
    }
}
