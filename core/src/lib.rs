#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
#![doc = "x"]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod app;
#[cfg(feature = "cli")]
pub mod cli;
pub mod limit;
pub mod outbound;
#[cfg(feature = "std")]
pub mod shell;
#[cfg(feature = "sim")]
pub mod sim;
pub mod testing;
pub mod text;
pub mod trace;
pub mod wire;

mod config;
mod conn;
mod dial;
mod handler;
mod hub;
mod id;
mod index_set;
mod input;
mod listen;
mod machine;
mod metrics;
mod payload;
mod peer;
mod random;
mod reason;
mod room;
mod slots;
mod state;
mod time;
mod timer;

pub use config::{Closing, Config, Drain, Rates};
pub use dial::{Backoff, Dial};
pub use handler::{Event, Handler, NoNote, NoNoteError, Origin};
pub use hub::Hub;
pub use id::{ConnId, ConnIdError, DialId, ListenerId};
pub use input::{AcceptFailure, Failure, Input, NameError, Refusal, Request};
pub use listen::{Address, Listen, ListenError, ListenProblem};
pub use machine::{Accepting, End, Intent, Machine, Transmit};
pub use metrics::{ByReason, Histogram, Metrics};
pub use payload::{Payload, PayloadBuf};
pub use peer::{AddressKey, Peer};
pub use random::Random;
pub use reason::{Blame, Reason};
pub use room::{JoinError, RoomLimits};
pub use state::{Deadline, Why};
pub use time::Time;
pub use timer::Timer;
