//! What members received, and what publishers were told.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The position of a message, as the server writes it: the epoch, the offset and the mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Position {
    pub(crate) epoch: u64,
    pub(crate) offset: u64,
    pub(crate) mark: u64,
}

impl Position {
    pub(crate) fn parse(text: &str) -> Self {
        let parts: Vec<u64> = text.split('.').map(|part| u64::from_str_radix(part, 16).expect("hexadecimal")).collect();
        let [epoch, offset, mark] = parts[..] else { panic!("{text} is no position") };
        Self { epoch, offset, mark }
    }

    pub(crate) fn text(self) -> String {
        format!("{:x}.{:x}.{:x}", self.epoch, self.offset, self.mark)
    }
}

/// A message: its publisher and its number.
pub(crate) type Id = (u32, u64);

/// Something that a member received about one room.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The answer to a subscription without a position.
    New(Position),
    /// The answer to a subscription with a position, after what was missed.
    Recovered(Position),
    /// The answer to a subscription with a position, if messages may be missing.
    NotRecovered(Position, String),
    /// Messages may be missing. They follow this position, if it is known.
    Gap(Option<Position>, String),
    Message(Position, Id),
}

/// A message that the broker acknowledged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) id: Id,
    pub(crate) position: Position,
    pub(crate) sent_at: Instant,
    /// When the publisher was told.
    pub(crate) told_at: Instant,
}

/// What publishers were told, for one room each.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) acknowledged: Vec<(String, Acknowledged)>,
    /// The reasons for which messages were refused.
    pub(crate) refused: Vec<String>,
    /// Number of messages without an answer.
    pub(crate) unknown: usize,
}

/// Something that several threads write.
pub(crate) type Shared<T> = Arc<Mutex<T>>;

/// Locks a record, although a thread may have failed with it.
pub(crate) fn locked<T>(shared: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Random numbers that a seed repeats (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) const fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}
