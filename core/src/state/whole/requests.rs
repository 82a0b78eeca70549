//! The requests of a shard to the whole cluster, which wait for their answers.

use super::tables::ClusterRequest;
use crate::facts::ClusterAnswer;
use crate::state::{Pending, State};

/// Maximum number of requests of a shard that wait for their answers.
const REQUESTS_MAX: usize = 10_000;

impl State {
    /// Returns a new request. Its number is missing if it is answered already, because too many wait.
    pub(super) fn issue_cluster_request(&mut self, app: u8) -> (ClusterRequest, Option<u64>) {
        let requests = &mut self.whole.requests;
        requests.issued += 1;
        let request = ClusterRequest { number: requests.issued, app };
        if requests.waiting.len() >= REQUESTS_MAX {
            self.pending.push_back(Pending::ClusterAnswered(request, ClusterAnswer::TooMany));
            return (request, None);
        }
        requests.waiting.insert(request.number, app);
        (request, Some(request.number))
    }

    /// Queues the event of an answered request.
    pub(in crate::state) fn cluster_answered(&mut self, number: u64, answer: ClusterAnswer) {
        if let Some(app) = self.whole.requests.waiting.remove(&number) {
            self.pending.push_back(Pending::ClusterAnswered(ClusterRequest { number, app }, answer));
        }
    }
}
