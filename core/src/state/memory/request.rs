//! The requests to the homes of rooms that wait for their answers.

use crate::base::Time;
use alloc::collections::BTreeMap;
use core::fmt;
use core::time::Duration;

/// A request to the home of a room, such as to publish a message or to read the history.
///
/// [`Event::RoomAnswered`](crate::Event::RoomAnswered) brings its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomRequest {
    pub(super) number: u64,
    pub(crate) app: u8,
}

impl fmt::Display for RoomRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)
    }
}

/// Time after which a request counts as unanswered.
pub(super) const ANSWERED_WITHIN: Duration = Duration::from_secs(10);
/// Maximum number of requests that wait for their answers.
pub(super) const REQUESTS_MAX: usize = 10_000;

/// The requests that wait for their answers.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// The application and the time limit of each. Later ones have later limits.
    pub(super) waiting: BTreeMap<u64, (u8, Time)>,
    pub(super) issued: u64,
}

impl Requests {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn next(&self) -> Option<Time> {
        self.waiting.first_key_value().map(|(_, &(_, due))| due)
    }
}
