//! Histories of rooms: bounded memory of messages, and an honest answer to "did I miss anything?".
//!
//! A [`RoomHistories`] numbers the messages of its rooms, keeps the latest of them, and answers a reader who
//! comes back with a [`Position`]: either all messages after it, in order, or the [`Gap`] that says
//! why some may be missing. It holds no clock and does no I/O.
//!
//! Each message carries a random *mark*, and the mark of the message before it. A reader has missed
//! nothing only if the home still knows the mark of the reader's position. Numbers alone cannot tell:
//! a home that comes back from an old copy of its data gives the same numbers to other messages, and
//! a reader who compares numbers believes that nothing is missing.
//!
//! ```
//! use drupe_core::Time;
//! use drupe_core::history::{RoomHistories, Keep, Gap};
//!
//! // The caller draws the epoch and the marks; they must be random.
//! let mut histories = RoomHistories::new(1 << 20);
//! let keep = Keep::messages(3);
//! let mut mark = 0;
//! let mut publish = |histories: &mut RoomHistories, text: &str| {
//!     mark += 1;
//!     histories.publish("news", Time::START, &keep, (7, mark), None, text.into()).unwrap().position
//! };
//! let first = publish(&mut histories, "one");
//! publish(&mut histories, "two");
//! publish(&mut histories, "three");
//! let missed: Vec<_> = histories.since("news", Time::START, &keep, first, 100, 1_000).unwrap().collect();
//! assert_eq!(missed.len(), 2);
//!
//! publish(&mut histories, "four");
//! publish(&mut histories, "five");
//! assert_eq!(histories.since("news", Time::START, &keep, first, 100, 1_000).err(), Some(Gap::TooOld));
//! ```

mod keep;
mod keys;
mod marks;
mod position;
mod recovery;
mod room_histories;
mod room_log;
#[cfg(test)]
mod tests;

pub use keep::Keep;
pub(crate) use marks::Marks;
pub use position::{Position, PositionError};
pub use recovery::Recovery;
pub use room_histories::{Publication, PublishError, RoomHistories};
#[cfg(feature = "settings")]
pub(crate) use room_log::MESSAGE_BYTES;
pub use room_log::{Gap, KeptMessage};
