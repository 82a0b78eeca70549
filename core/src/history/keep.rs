use crate::base::setters;
use core::time::Duration;

/// How much of a room's history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// Maximum number of messages. With 0, none is kept: a returning reader is recovered only if
    /// nothing was published meanwhile.
    pub messages: u32,
    /// Maximum number of bytes of messages, and of a single one. With 0, only empty messages are
    /// accepted.
    pub bytes: u32,
    /// Time after which a message is no longer kept. `None`: no limit. With zero, none is kept.
    pub age: Option<Duration>,
    /// Time in which a second message with the same key counts as the first. With zero, each
    /// message counts.
    pub key_window: Duration,
}

setters!(Keep { bytes: u32, age: Option<Duration>, key_window: Duration });

impl Keep {
    /// Keeps at most this many messages, of 1 MiB in total and of any age, and keys for 5 minutes.
    #[must_use]
    pub const fn messages(messages: u32) -> Self {
        Self { messages, bytes: 1 << 20, age: None, key_window: Duration::from_secs(300) }
    }
}
