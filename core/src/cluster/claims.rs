//! Keys that only one host of a cluster gets.

use super::Cluster;
use super::broker::{Answer, Request};
use super::engine::Link;
use super::output::Output;
use super::purpose::Purpose;
use crate::base::Time;
use crate::facts::Claim;
use alloc::sync::Arc;
use core::time::Duration;

/// Maximum length of a key, in bytes.
const KEY_MAX: usize = 256;

impl Cluster {
    /// Claims a key for a request of a shard. Its answer follows exactly once.
    pub(crate) fn claim(&mut self, now: Time, (from, request): (u8, u64), key: &Arc<str>, time: Duration) {
        let is_ready = self.is_up() && !self.link.as_ref().is_some_and(Link::is_full);
        if !is_ready || key.len() > KEY_MAX || time.is_zero() {
            return self.output.push_back(Output::Claimed(from, request, Claim::NoBroker));
        }
        let once = Request::Once { key: Arc::clone(key), time };
        self.request(now, once, Purpose::Claim(from, request));
    }

    pub(super) fn claimed(&mut self, from: u8, request: u64, answer: &Answer) {
        let claim = match answer {
            Answer::Taken(true) => Claim::Free,
            Answer::Taken(false) => Claim::Taken,
            _ => Claim::Unknown,
        };
        self.output.push_back(Output::Claimed(from, request, claim));
    }
}
