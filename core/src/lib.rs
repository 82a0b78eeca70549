//! A server for long-lived connections, without its sockets: a state machine that takes facts and shows
//! intentions.
//!
//! It models connections, framing, rooms and fan-out, limits, timers, slow readers, closing and draining for
//! one application handler, and does no I/O: no socket, no thread, no clock, no entropy of its own. The same
//! facts, configuration and handler give the same bytes, on every machine and under every runtime; [`trace`] says what that
//! comprises. To serve real sockets, take a shell
//! such as `drupe-tokio`, or write the loop yourself: [`embedding`] shows how.
//!
//! # For application authors: a handler
//!
//! An application is one [`Handler`]. It is told [`Event`]s and asks things of the [`Hub`].
//!
//! ```
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Event, Handler, Hub, NoNote};
//!
//! /// Says everything again, louder.
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type Context = u32; // how often each has spoken
//!     type Note = NoNote; // nothing is told from outside
//!
//!     fn on(&mut self, hub: &mut Hub<'_, u32>, event: Event<'_, NoNote>) {
//!         if let Event::Message { conn, payload } = event {
//!             let text = payload.as_str().unwrap_or("?").to_uppercase();
//!             let Some(count) = hub.context(conn) else { return };
//!             *count += 1;
//!             let answer = format!("{count}: {text}");
//!             hub.send(conn, &answer);
//!         }
//!     }
//! }
//!
//! // Testers: a whole server in virtual time.
//! let mut hub = TestHub::new(Shout);
//! let peer = hub.connect();
//! hub.line(peer, "hello");
//! hub.line(peer, "again");
//! assert_eq!(hub.lines(peer), ["1: HELLO", "2: AGAIN"]);
//! ```
//!
//! # For embedders: facts in, intentions out
//!
//! A *fact* is something that happened. It is told by a method of [`Machine`] in the past tense that takes the
//! time first and can't fail. An *intention* is something that should be so: a level that can be looked at any
//! number of times.
//!
//! | facts | intentions |
//! |---|---|
//! | [`started`](Machine::started), [`turn_ended`](Machine::turn_ended), [`clock_set`](Machine::clock_set) | |
//! | [`accepted`](Machine::accepted), [`accept_failed`](Machine::accept_failed) | [`accepting`](Machine::accepting): whether a listener should accept |
//! | [`secured`](Machine::secured), [`sealed`](Machine::sealed): for who speaks TLS elsewhere | |
//! | [`reconfigured`](Machine::reconfigured) | [`listeners`](Machine::listeners): where to listen now |
//! | [`received`](Machine::received), [`wrote`](Machine::wrote), [`blocked`](Machine::blocked) | [`intent`](Machine::intent): whether to read, what to write, whether to close our half; `None` is to drop the socket |
//! | [`ended`](Machine::ended), [`truncated`](Machine::truncated), [`failed`](Machine::failed) | |
//! | [`elapsed`](Machine::elapsed) | [`deadline`](Machine::deadline): when to call it, and why |
//! | [`dialed`](Machine::dialed), [`dial_failed`](Machine::dial_failed) | [`dials`](Machine::dials): connections that should be made |
//! | [`tunnel_reported`](Machine::tunnel_reported) | [`tunnels`](Machine::tunnels): SSH connections that should be made, and what is asked for there |
//! | [`noted`](Machine::noted), [`requested`](Machine::requested) | [`is_drained`](Machine::is_drained): whether the shell may go |
//! | [`dispatched`](Machine::dispatched), [`adopted`](Machine::adopted), [`delivered`](Machine::delivered) | [`next_letter`](Machine::next_letter): what one of several machines tells the others; see [`Shard`] |
//!
//! One hint saves looking at every connection: [`next_changed`](Machine::next_changed) names those whose intent
//! may have changed.
//!
//! A shell waits for readiness, reads what is ready into one buffer, and at the end of the turn writes to everybody at
//! once. [`embedding`] shows how to write one, step by step.
//!
//! # What holds
//!
//! - Facts about connections that are over are ignored. Time that goes back is not believed.
//! - [`Event::Closed`] is told exactly once for each connection that was told as `Opened`, and names its one [`Reason`].
//! - Each connection gets what was sent to it in the order of sending, whoever sent it.
//! - What a peer can make the machine keep is bounded by [`limit::Budget`] for a message, by 1 MiB for what was
//!   read too early, and by [`outbound::Marks`] for its output; all of it is checked before it is kept.
//! - A connection that is slow costs only itself: it is [told of](Event::Stalled), no longer read, and at last
//!   closed or [skipped](outbound::SlowPolicy).
//!
//! # The life of a connection
//!
//! | phase | begins with | what is done | ends with |
//! |---|---|---|---|
//! | undecided | `accepted`, by a listener of [`wire::Auto`] or of [`http`]; `dialed`, for a WebSocket | its first bytes are looked at | what it speaks, or its reason |
//! | open | `accepted`, `dialed`; told as `Opened` | messages are served | its reason, told as `Closed` |
//! | flushing | its reason | what is queued, and the reason, are written | everything written, or [`Closing::flush`] |
//! | lingering | everything written | our half is closed; what comes is discarded | the peer's end, or [`Closing::linger`] |
//! | over | | `intent` is `None`: the socket is dropped | |
//!
//! # Errors and panics
//!
//! A peer's mistake is never an error of a method here: it is the reason of that peer's end. Errors are for
//! whoever configures ([`ListenError`], [`outbound::MarksError`], ...) and for the application
//! ([`JoinError`]). Nothing a peer or a shell does makes the machine panic; where a method can panic, in
//! [`testing`] and `sim`, it says so.
//!
//! # Map
//!
//! - [`Machine`], [`Handler`], [`Event`], [`Hub`], [`Config`]: the machine.
//! - [`wire`]: bytes to messages and back; each decoder can be used alone.
//! - [`outbound`]: what is queued, and who is too slow. [`limit`]: how much, how many, how fast.
//! - [`http`] and [`websocket`]: the browser's side.
//! - [`tls`] beneath all of them, and [`wire::Proxies`] before that.
//! - [`telnet`]: options, terminals and editing, and a parser and a negotiator to be used alone.
//! - [`kit`]: what applications are made of: functions by message, calls, authentication, layers, clients.
//! - [`app`]: echo, relay and chat, ready-made. [`text`]: making one peer's text safe for another's terminal.
//! - [`tunnel`]: listeners on another machine, through SSH.
//! - `settings`: a configuration from text. `kit::monitor`: who is connected, for people who may know.
//! - [`embedding`]: how to write a shell, step by step.
//! - [`testing`]: an application under test. [`trace`]: runs as text, to be replayed.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` | conversions from `std::io::Error`, a trace that threads share, panics of the handler that cost one connection |
//! | `shell` | `shell`: what the shells share, sockets of the operating system included; Unix only |
//! | `json` | in [`kit`]: `Service`, `Router`, `rpc` |
//! | `auth` | `json`, and in [`kit`]: `auth`, `client` |
//! | `cli` | `cli`: the arguments of the example `hub` and of `drupe` |
//! | `tls` | TLS beneath every wire, in [`tls`] |
//! | `settings` | `auth`, `tls`, and `settings`: a configuration from YAML, the environment and the command line |
//! | `sim` | `sim`: a seeded world of many peers and faults around a whole server |
//! | `work` | `std`, and `work`: counts steps of work, for tests that bound them |
//!
//! Without any, and with `json` or `sim`, the crate is `no_std` and needs an allocator. No feature changes what another part does.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod app;
#[cfg(feature = "cli")]
pub mod cli;
#[doc = include_str!("embedding.md")]
pub mod embedding {}
pub mod kit;
#[cfg(feature = "settings")]
pub mod settings;
#[cfg(all(feature = "shell", unix))]
pub mod shell;
pub mod testing;
pub mod tls;
pub mod trace;
pub mod tunnel;
pub mod wire;

/// What one peer, one address or all peers together may use.
pub mod limit {
    pub use crate::base::{Network, NetworkError};
    pub use crate::config::{
        Action, ConnectionLimits, EarlyDrop, EarlyDropError, Gcra, Ladder, QuarantineLimits, Rate, RateError,
    };
    pub use crate::wire::{Budget, MessageSize, MessageSizeError};
}

/// What is queued for each connection, and what happens to connections that are too slow.
pub mod outbound {
    pub use crate::config::{Marks, MarksError, OutboundLimits, SlowPolicy};
}

mod base;
mod config;
mod facts;
mod handler;
mod machine;
mod metrics;
mod state;
mod web;

#[cfg(feature = "files")]
pub use base::files;
#[cfg(feature = "work")]
pub use base::work;
pub use base::{
    AcceptFailure, AddressKey, Backoff, Blame, ConnId, ConnIdError, DialId, Failure, Identity, ListenerId, NameError,
    Origin, Outgoing, OutgoingBuf, Payload, PayloadBuf, Peer, Random, Reason, Representation, Time, UnixTime, text,
};
pub use config::{
    Address, Closing, Config, Dial, DialError, DialProtocol, Drain, JoinError, Listen, ListenError, ListenProblem,
    Part, PeerLimits, Rates, RoomLimits, SocketAccess, TicketError, TicketLimits, Unapplied,
};
pub use facts::{Addressee, Input, Letter, Refusal, Request, Shard, ShardError};
pub use handler::{Event, Handler, Hub, NoNote, NoNoteError};
pub use machine::{Accepting, End, Intent, Machine, Transmit};
pub use metrics::{ByReason, Histogram, Metrics, TunnelMetrics};
pub use state::{Deadline, Job, Offloaded, RoundTrip, Ticket, Timer, Traffic, Why};
#[cfg(feature = "sim")]
pub use testing::sim;
pub use wire::{http, telnet, websocket};

/// The program in this package's README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
