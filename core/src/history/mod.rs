//! Histories of rooms: bounded memory of messages, and an honest answer to "did I miss anything?".
//!
//! A [`Home`] numbers the messages of its rooms, keeps the latest of them, and answers a reader who
//! comes back with a [`Position`]: either all messages after it, in order, or the [`Lost`] that says
//! why some may be missing. It holds no clock and does no I/O.
//!
//! Each message carries a random *mark*, and the mark of the message before it. A reader has missed
//! nothing only if the home still knows the mark of the reader's position. Numbers alone cannot tell:
//! a home that comes back from an old copy of its data gives the same numbers to other messages, and
//! a reader who compares numbers believes that nothing is missing.
//!
//! ```
//! use drupe_core::Time;
//! use drupe_core::history::{Home, Keep, Lost};
//!
//! // The caller draws the epoch and the marks; they must be random.
//! let mut home = Home::new(1 << 20);
//! let keep = Keep::messages(3);
//! let mut mark = 0;
//! let mut publish = |home: &mut Home, text: &str| {
//!     mark += 1;
//!     home.publish("news", Time::START, &keep, (7, mark), text.into()).unwrap()
//! };
//! let first = publish(&mut home, "one");
//! publish(&mut home, "two");
//! publish(&mut home, "three");
//! let missed: Vec<_> = home.since("news", Time::START, &keep, first, 100).unwrap().collect();
//! assert_eq!(missed.len(), 2);
//!
//! publish(&mut home, "four");
//! publish(&mut home, "five");
//! assert_eq!(home.since("news", Time::START, &keep, first, 100).err(), Some(Lost::TooOld));
//! ```

mod home;
mod position;
mod room_log;
#[cfg(test)]
mod tests;

pub use home::{Home, PublishError};
pub use position::{Position, PositionError};
pub use room_log::{Keep, Kept, Lost};
