//! Requests to the homes of rooms, which wait for their answers.

use crate::base::Time;
use crate::facts::{Published, RoomAnswer};
use crate::state::memory::request::{ANSWERED_WITHIN, REQUESTS_MAX, RoomRequest};
use crate::state::{Pause, Pending, State};

impl State {
    /// Returns a new request, which is answered already if too many wait.
    pub(super) fn issue_request(&mut self, app: u8, refusal: RoomAnswer) -> (RoomRequest, Option<u64>) {
        let requests = &mut self.memory.requests;
        requests.issued += 1;
        let request = RoomRequest { number: requests.issued, app };
        if requests.waiting.len() >= REQUESTS_MAX {
            self.pending.push_back(Pending::RoomAnswered(request, refusal));
            return (request, None);
        }
        requests.waiting.insert(request.number, (app, self.now + ANSWERED_WITHIN));
        (request, Some(request.number))
    }

    /// Queues the event of an answered request, unless it has counted as unanswered before.
    pub(super) fn answer_came(&mut self, number: u64, answer: RoomAnswer) {
        if let Some((app, _)) = self.memory.requests.waiting.remove(&number) {
            let metrics = &mut self.metrics.memory;
            match answer {
                RoomAnswer::Published(Published::Kept { .. }) => metrics.kept += 1,
                RoomAnswer::Published(Published::Refused(_)) => metrics.refused += 1,
                RoomAnswer::History(_) | RoomAnswer::Present(_) => {}
                RoomAnswer::Unknown => metrics.unknown += 1,
            }
            self.pending.push_back(Pending::RoomAnswered(RoomRequest { number, app }, answer));
        }
    }

    /// Answers the requests whose time is over. Returns `true` if there was one.
    pub(crate) fn expire_requests(&mut self) -> bool {
        let mut expired = false;
        while self.memory.requests.next().is_some_and(|due| due <= self.now) {
            let Some((&number, _)) = self.memory.requests.waiting.first_key_value() else { break };
            self.answer_came(number, RoomAnswer::Unknown);
            expired = true;
        }
        expired
    }

    /// Returns when the next request counts as unanswered.
    pub(crate) fn next_unanswered(&self) -> Option<Time> {
        self.memory.requests.next()
    }

    /// Postpones the time limits of requests by a pause.
    pub(crate) fn postpone_requests(&mut self, pause: Pause) {
        for (_, due) in self.memory.requests.waiting.values_mut() {
            *due = pause.postpone(*due, ANSWERED_WITHIN);
        }
    }
}
