//! A sans-I/O server core for long-lived connections: a pure state machine.
//!
//! It implements connections, framing, rooms and fan-out, limits, timers, slow receivers, closing
//! and draining for one application handler. It does no I/O: it uses no socket, thread, clock or
//! source of entropy. The same facts, configuration and handler produce the same bytes on every
//! computer and under every runtime; [`trace`] describes what this covers. To serve real sockets,
//! use a shell such as `drupe-tokio`, or write the loop yourself: see [`embedding`].
//!
//! # For application authors: a handler
//!
//! An application is one [`Handler`]. It receives [`Event`]s and acts through the [`Hub`].
//!
//! ```
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Event, Handler, Hub, NoNote};
//!
//! /// Answers each message in upper case.
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type Context = u32; // messages received from this peer
//!     type Note = NoNote; // no notes from outside
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
//! // A test drives the whole server in virtual time.
//! let mut hub = TestHub::new(Shout);
//! let peer = hub.connect();
//! hub.line(peer, "hello");
//! hub.line(peer, "again");
//! assert_eq!(hub.lines(peer), ["1: HELLO", "2: AGAIN"]);
//! ```
//!
//! # For embedders: facts in, intentions out
//!
//! A *fact* is something that happened. The shell reports it by calling a method of [`Machine`].
//! Its name is in the past tense (except `command`), and it takes the time as its first argument.
//! It never fails, although `accepted` may return a refusal. An *intention* is something that the
//! machine wants. It is a state, not an event: the shell can read it any number of times.
//!
//! | facts | intentions |
//! |---|---|
//! | [`started`](Machine::started), [`turn_ended`](Machine::turn_ended), [`clock_set`](Machine::clock_set) | |
//! | [`accepted`](Machine::accepted), [`accept_failed`](Machine::accept_failed) | [`accepting`](Machine::accepting): whether a listener should accept |
//! | [`secured`](Machine::secured), [`sealed`](Machine::sealed): if the shell does TLS itself | |
//! | [`reconfigured`](Machine::reconfigured) | [`listeners`](Machine::listeners): the addresses to listen on |
//! | [`received`](Machine::received), [`wrote`](Machine::wrote), [`blocked`](Machine::blocked) | [`intent`](Machine::intent): whether to read, what to write, whether to close our half; `None` means drop the socket |
//! | [`ended`](Machine::ended), [`truncated`](Machine::truncated), [`failed`](Machine::failed) | |
//! | [`elapsed`](Machine::elapsed) | [`deadline`](Machine::deadline): when to call `elapsed`, and why; [`rests_until`](Machine::rests_until): when to take the next turn |
//! | [`dialed`](Machine::dialed), [`dial_failed`](Machine::dial_failed) | [`dials`](Machine::dials): connections to make |
//! | [`tunnel_reported`](Machine::tunnel_reported) | [`tunnels`](Machine::tunnels): SSH connections to make, and the forwards to request there |
//! | [`noted`](Machine::noted), [`command`](Machine::command) | [`is_drained`](Machine::is_drained): whether the shell may exit |
//! | [`dispatched`](Machine::dispatched), [`adopted`](Machine::adopted), [`shard_message_received`](Machine::shard_message_received) | [`next_shard_message`](Machine::next_shard_message): messages for the machines of other shards; see [`Shard`] |
//!
//! [`next_changed`](Machine::next_changed) returns the connections whose intent may have changed,
//! so the shell need not check every connection.
//!
//! A shell waits for readiness, reads what is ready into one buffer, and writes to all connections
//! at the end of the turn. [`embedding`] shows how to write one, step by step.
//!
//! # Guarantees
//!
//! - The machine ignores facts about connections that are over. Time never goes back: an earlier
//!   time counts as the latest one.
//! - Each connection that had [`Event::Opened`] gets exactly one [`Event::Closed`], with exactly
//!   one [`Reason`].
//! - Each connection receives messages in the order in which they were sent, from all senders.
//!   Messages of a room that has a [home](Home) come in the order of the home, which may be later than
//!   others that were sent after them.
//! - A member of a room that has a home receives each message of the room once and in order, or is
//!   told of a [gap](history::Gap).
//! - The memory that a peer can use is bounded: by [`limit::Budget`] for a message, by 1 MiB for
//!   input that was read too early, and by [`outbound::Marks`] for output. The machine checks these
//!   bounds before it stores anything.
//! - A slow connection affects only itself. The machine emits [`Event::Stalled`], stops reading
//!   from it, and finally closes it or [skips messages](outbound::SlowPolicy).
//!
//! # The life of a connection
//!
//! | phase | begins with | what the machine does | ends with |
//! |---|---|---|---|
//! | undecided | `accepted`, by a listener of [`wire::Auto`] or of [`http`]; `dialed`, for a WebSocket, TLS or a proxy | inspects the first bytes | the protocol is known, or a reason |
//! | open | `accepted`, `dialed`; the handler gets `Opened` | serves messages | a reason; the handler gets `Closed` |
//! | flushing | a reason | writes what is queued, and the reason | everything is written, or [`Closing::flush`] passes |
//! | lingering | everything is written | closes our half; discards what arrives | the peer ends its half, or [`Closing::linger`] passes |
//! | over | | `intent` is `None`: the shell drops the socket | |
//!
//! # Errors and panics
//!
//! A peer's mistake never makes a method return an error: it becomes the reason why that connection
//! ends. Errors are for the embedder's configuration ([`ListenError`], [`outbound::MarksError`],
//! ...) and for the application ([`JoinError`]). Nothing that a peer or a shell does makes the
//! machine panic. Methods in [`testing`] and `sim` that can panic document it.
//!
//! # Map
//!
//! - [`Machine`], [`Handler`], [`Event`], [`Hub`], [`Config`]: the machine.
//! - [`wire`]: decodes bytes into messages and encodes them; each decoder can be used alone.
//! - [`outbound`]: output queues and slow receivers. [`limit`]: sizes, counts and rates.
//! - [`http`] and [`websocket`]: browsers.
//! - [`tls`] beneath all of them, and [`wire::Proxies`] beneath that.
//! - [`telnet`]: options, terminals and editing; the parser and the negotiator can be used alone.
//! - [`kit`]: building blocks for applications: message routing, calls, authentication, layers,
//!   clients.
//! - [`app`]: ready-made echo, relay and chat. [`text`]: makes one peer's text safe for another's
//!   terminal.
//! - [`Dial`]: outgoing connections; [`wire::outgoing_proxy`] connects them through a proxy.
//! - [`tunnel`]: listeners on another machine, through SSH.
//! - [`RoomMemory`], [`history`]: rooms that number and keep their messages for members who come
//!   back. [`Presence`]: the names of a room's members.
//! - `settings`: configuration from text. `kit::monitor`: shows operators who is connected.
//! - [`embedding`]: how to write a shell, step by step.
//! - [`testing`]: tests an application. [`trace`]: records runs as text and replays them.
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `std` | conversions from `std::io::Error`, a trace that threads can share, and containment of handler panics to one connection |
//! | `json` | in [`kit`]: `Service`, `Router`, `rpc` |
//! | `auth` | `json`, and in [`kit`]: `auth`, `client` |
//! | `tls` | TLS beneath every wire, in [`tls`] |
//! | `settings` | `auth`, `tls`, and `settings`: configuration from YAML, the environment and the command line |
//! | `sim` | `sim`: a seeded simulation of many peers and faults around a whole server |
//! | `work` | `std`, and `work`: counts steps of work, for tests that bound them |
//!
//! Without features, and with `json` or `sim`, the crate is `no_std` and needs an allocator. Except
//! for `std`, which contains handler panics, no feature changes what another part does.

#![forbid(unsafe_code)]
#![cfg_attr(not(test), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

pub mod app;
#[doc = include_str!("embedding.md")]
pub mod embedding {}
pub mod history;
pub mod kit;
#[cfg(feature = "settings")]
pub mod settings;
pub mod testing;
pub mod tls;
pub mod trace;
pub mod tunnel;
pub mod wire;

/// The brokers of [shared](Home::Shared) rooms, for [`Cluster`].
pub mod broker {
    pub use crate::config::{BrokerLogin, Engine, Nats, NatsLogin, NatsStorage, Redis, Sentinel, WithoutBroker};
}

/// Limits on what one peer, one address or all peers together may use.
pub mod limit {
    pub use crate::base::{Network, NetworkError};
    pub use crate::config::{
        Action, ConnectionLimits, EarlyDrop, EarlyDropError, Gcra, Ladder, QuarantineLimits, Rate, RateError,
    };
    pub use crate::wire::{Budget, MessageSize, MessageSizeError};
}

/// Limits of output queues, and policies for connections that receive too slowly.
pub mod outbound {
    pub use crate::config::{Gather, GatherError, Marks, MarksError, OutboundLimits, SlowPolicy};
}

/// The names that most applications use.
///
/// The shells have a `prelude` with these names and their own.
pub mod prelude {
    pub use crate::base::{ConnId, Payload, Reason};
    pub use crate::config::{Config, Listen};
    pub use crate::handler::{Event, Handler, Hub, NoNote};
    pub use crate::kit::layer::{Layer, Within};
    #[cfg(feature = "json")]
    pub use crate::kit::{App, Cx, MessageError, RoomRules, Router, Service};
    pub use crate::kit::{on_keys, on_lines, on_messages};
    #[cfg(feature = "settings")]
    pub use crate::settings::{Section, SectionError};
}

mod base;
mod cluster;
mod config;
mod facts;
mod handler;
mod machine;
mod metrics;
mod state;
mod web;

#[cfg(feature = "json")]
pub use base::ClaimsError;
#[cfg(feature = "files")]
pub use base::files;
#[cfg(feature = "work")]
pub use base::work;
pub use base::{
    AcceptFailure, AddressKey, Backoff, Blame, ConnId, ConnIdError, DialId, Failure, HostId, HostIdError, Identity,
    ListenerId, NameError, Origin, Outgoing, OutgoingBuf, Payload, PayloadBuf, Peer, ProxyFault, Random, Reason,
    Representation, Time, TlsFault, UnixTime, text,
};
pub use config::{
    Address, AddressOrder, Closing, Cluster, Config, Dial, DialError, DialProtocol, Drain, FormPart, Home, JoinError,
    JoinOptions, Listen, ListenError, ListenProblem, MessageForm, MetricLabelError, MetricLabels, MetricsOptions,
    PageLogin, PageOptions, Part, PeerLimits, Presence, Rates, RoomLimits, RoomMemory, RoomOptions, Sections,
    SocketAccess, StreamForm, TicketError, TicketLimits, TlsStart, Unapplied,
};
pub use facts::{
    Addressee, Claim, ClusterAnswer, ClusterHost, Command, EndTarget, EndedEverywhere, HistoryPage, HistoryRange,
    HostReport, Input, PresencePage, PresentName, PublishRefusal, Published, Refusal, RoomAnswer, RoomMessage, Shard,
    ShardError, ShardMessage,
};
pub use handler::{Close, Contexts, Event, Handler, Hub, NoNote, NoNoteError, PresenceChange, PublishOptions, RoomGap};
pub use machine::{Accepting, End, Intent, Machine, Transmit};
pub use metrics::{
    ByReason, ClusterMetrics, ConnectionSummary, ErrorSummary, Histogram, MemoryMetrics, Metrics, ProcessMetrics,
    Recent, Series, SeriesError, SeriesId, SeriesProblem, TunnelMetrics, WorkSummary,
};
pub use state::{
    ClusterRequest, Deadline, Job, Offloaded, RequestTicket, RoomRequest, RoundTrip, Ticket, Timer, Traffic, Why,
};
#[cfg(feature = "sim")]
pub use testing::sim;
pub use wire::outgoing_proxy::OutgoingProxy;
pub use wire::{http, telnet, websocket};

/// A doctest that compiles the program in this package's README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct PackageReadme;
