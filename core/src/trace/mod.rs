//! Runs as text: record every fact, read it back, replay it to the same outputs, byte for byte.
//!
//! A trace holds the seed and the facts of one machine, and nothing else. Whoever replays it must build the machine from the same
//! [`Config`](crate::Config) and the same handler, and have the configurations of its reloads ([`replay_with`]). On several threads
//! each machine has a trace of its own.
//!
//! What is not told to the machine as a fact is not in a trace: what tasks of connections, other threads and providers do (what
//! comes of it is, as notes, if they can be written and read), what a handler asks of a clock or a file behind the machine's
//! back, and TLS beneath the plain bytes. Nor is what is [concealed](Recorder) for being secret: such a trace can be read, not
//! replayed.
//!
//! One fact is one line:
//!
//! ```text
//! seed 7
//! # nanoseconds, fact, details
//! 0 started
//! 0 accepted 0 127.0.0.1:40000
//! 1500000 received 0.1 "hello\n"
//! 1500000 wrote 0.1 6
//! 1500000 turn_ended
//! 2000000 ended 0.1
//! ```
//!
//! The facts are the names of the methods of [`Machine`](crate::Machine). Bytes stand in double quotes, with `\n`, `\r`, `\t`,
//! `\"`, `\\` and `\xHH` for what can't be seen. Empty lines, and lines that begin with `#`, mean nothing.

mod replay;

#[cfg(feature = "std")]
pub use crate::facts::record::SharedTrace;
pub use crate::facts::record::{Recorder, TraceError, line, parse, parse_with, seed};
pub use replay::{Transcript, replay, replay_with};
