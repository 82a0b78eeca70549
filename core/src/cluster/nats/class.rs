//! Classes of rooms with the same limits.

use crate::history::Keep;
use core::fmt;
use core::time::Duration;

const DAY: Duration = Duration::from_secs(86_400);
/// Time after which the last message of a quiet room is forgotten, and with it the position of the room.
pub(super) const UNUSED: Duration = Duration::from_secs(30 * 86_400);

/// The limits that rooms of one stream have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Class {
    pub(super) messages: u32,
    /// The age of a history, and the time in which keys are remembered, in seconds. 0: any age, no keys.
    age: u64,
    key_window: u64,
}

impl Class {
    /// Returns the class of rooms with these options.
    pub(super) fn of(keep: &Keep) -> Self {
        let seconds = |span: Duration| span.as_secs().saturating_add(u64::from(span.subsec_nanos() > 0));
        Self {
            messages: keep.messages,
            age: keep.age.map_or(0, |age| seconds(age).max(1)),
            key_window: seconds(keep.key_window),
        }
    }

    /// A stream keeps messages for longer than the history, because the last one has the position of the room.
    pub(super) fn max_age(self) -> Duration {
        UNUSED.max(Duration::from_secs(self.age.saturating_add(DAY.as_secs()))).max(self.window())
    }

    pub(super) fn window(self) -> Duration {
        Duration::from_secs(self.key_window.clamp(1, 10 * UNUSED.as_secs()))
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.messages, self.age, self.key_window)
    }
}
