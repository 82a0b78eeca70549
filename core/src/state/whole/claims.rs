//! Keys that only one host of a cluster gets.

use super::tables::ClusterRequest;
use crate::base::whole_millis;
use crate::facts::{Addressee, Claim, ClusterAnswer, ShardMessage};
use crate::state::State;
use alloc::sync::Arc;
use core::time::Duration;

impl State {
    /// Claims a key at the broker.
    pub(crate) fn claim(&mut self, app: u8, key: &str, time: Duration) -> ClusterRequest {
        let (request, number) = self.issue_cluster_request(app);
        let Some(number) = number else { return request };
        if self.config.cluster.is_none() {
            self.cluster_answered(number, ClusterAnswer::Claimed(Claim::NoBroker));
            return request;
        }
        let (from, key) = (self.outbox.shard.number(), key.into());
        if self.has_link_shard() {
            self.claim_for(from, number, &key, time);
        } else {
            let millis = whole_millis(time);
            let message = ShardMessage::Claim { from, request: number, key, millis };
            self.queue_for_link(message);
        }
        request
    }

    /// Claims a key for a shard, on the shard with the link.
    pub(in crate::state) fn claim_for(&mut self, from: u8, request: u64, key: &Arc<str>, time: Duration) {
        let now = self.now;
        match self.sharing.as_mut() {
            Some(sharing) => sharing.cluster.claim(now, (from, request), key, time),
            None => self.answer_shard(from, request, ClusterAnswer::Claimed(Claim::NoBroker)),
        }
    }

    /// Answers a request of a shard, on the shard with the link.
    pub(in crate::state) fn answer_shard(&mut self, shard: u8, request: u64, answer: ClusterAnswer) {
        if shard == self.outbox.shard.number() {
            self.cluster_answered(request, answer);
        } else {
            self.queue_for(Addressee::Shard(shard), ShardMessage::ClusterAnswer { request, answer });
        }
    }
}
