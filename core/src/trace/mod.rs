//! Traces: text records of the seed and the facts of a machine, and their replay.
//!
//! A trace contains the seed and the facts of one machine, and nothing else. A replay needs a
//! machine with the same [`Config`](crate::Config) and handler, and the configurations of its
//! reloads ([`replay_with`]). With several threads, each machine has its own trace.
//!
//! A trace does not contain:
//!
//! - the work of connection tasks, other threads and authentication providers. Their results are in
//!   it as notes, if notes can be written as text and parsed;
//! - what a handler reads from a clock or a file, because it bypasses the machine;
//! - TLS records: it holds the decrypted bytes instead;
//! - what the [`Recorder`] omits as secret. Such a trace can be parsed, but not replayed.
//!
//! Each fact is one line:
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
//! The facts have the names of the methods of [`Machine`](crate::Machine). Bytes are in double
//! quotes, with the escapes `\n`, `\r`, `\t`, `\"`, `\'`, `\\` and, for other bytes that are not
//! printable ASCII, `\xHH`. Empty lines and lines that begin with `#` are ignored.
//!
//! A server that runs for days cannot keep all its facts. A [`FlightRecorder`] keeps the last ones of all
//! its machines within a bound, and writes them as a [`Recording`] when something has gone wrong.
//! [`compare`] replays a recording that has all facts since the start, and compares the written bytes.
//!
//! Notes are in a recording if the application's [`Note`](crate::Handler::Note) can be written as text
//! ([`FlightRecorder::recorder_with_notes`]). Otherwise the recording says where a note is missing, and
//! [`ShardRecording::obstacle`] refuses a replay: the handler would act otherwise without it.

#[cfg(feature = "std")]
mod flight;
mod recording;
mod replay;

#[cfg(feature = "std")]
pub use crate::facts::record::SharedTrace;
pub use crate::facts::record::{Recorder, TraceError, line, parse, parse_with, seed};
#[cfg(feature = "std")]
pub use flight::FlightRecorder;
pub use recording::{Obstacle, Recording, RecordingError, ShardRecording, opened};
pub use replay::{Comparison, Difference, ReplayedWrite, Transcript, compare, replay, replay_with};
