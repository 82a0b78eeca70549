//! Counters and gauges of the application.

use crate::handler::Hub;
use crate::metrics::{Series, SeriesError, SeriesId, increase, register, set};

/// # Metrics of the application
impl<C> Hub<'_, C> {
    /// Registers a counter or gauge, which `/metrics` shows after the server's own metrics.
    ///
    /// Call it in [`Event::Started`](crate::Event::Started). On a server of several shards, the handler
    /// of each shard registers the same in the same order, and the values are added up.
    ///
    /// # Errors
    /// If the name, a label or the help text is invalid, there are [too many](Series::COUNT_MAX), or
    /// the server has started.
    pub fn register(&mut self, series: Series) -> Result<SeriesId, SeriesError> {
        register(&mut self.state.metrics.application, series, self.state.has_started)
    }

    /// Adds `by` to a counter or gauge. Saturates.
    pub fn increase(&mut self, series: SeriesId, by: u64) {
        increase(&mut self.state.metrics.application, series, by);
        self.mark_counted();
    }

    /// Sets a gauge. Does nothing to a counter, which only rises.
    pub fn set_gauge(&mut self, series: SeriesId, value: u64) {
        set(&mut self.state.metrics.application, series, value);
        self.mark_counted();
    }

    /// Schedules sending this shard's metrics to the first shard, because they have changed.
    fn mark_counted(&mut self) {
        let now = self.state.now;
        self.state.outbox.mark_dirty(now);
    }
}
