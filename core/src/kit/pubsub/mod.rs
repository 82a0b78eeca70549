//! Channels for the clients of the Centrifuge protocol, and for people on lines and telnet.
//!
//! [`PubSub`] is a [`Handler`](crate::Handler) on [rooms that remember](crate::RoomMemory). Clients
//! subscribe to channels, publish, read histories and lists of subscribers, and receive what they
//! missed. It speaks version 2 of Centrifuge's client protocol as JSON, so the clients for
//! JavaScript, Python and other languages connect unchanged: over a WebSocket, or with lines or
//! frames of JSON. On other wires than WebSocket, a connection whose first message does not begin
//! with `{` is one of a person: see [Commands for people](#commands-for-people).
//!
//! ```
//! use drupe_core::kit::pubsub::{ChannelRules, Channels, PubSub, PubSubOptions};
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Config, RoomMemory};
//!
//! let mut rules = ChannelRules::default();
//! (rules.allow_subscribe_for_client, rules.allow_subscribe_for_anonymous) = (true, true);
//! let mut channels = Channels::default();
//! channels.namespaces.insert("news".into(), rules);
//! let config = Config::listening(["tcp://127.0.0.1:7000".parse()?])
//!     .memory(RoomMemory::default().rooms(channels.rooms()));
//! let options = PubSubOptions::default().channels(channels).allow_anonymous(true);
//! let mut hub = TestHub::with_config(config, PubSub::new(options, ()));
//! let ann = hub.connect();
//! hub.line(ann, r#"{"id":1,"connect":{}}"#);
//! hub.line(ann, r#"{"id":2,"subscribe":{"channel":"news:1"}}"#);
//! assert_eq!(hub.lines(ann)[1], r#"{"id":2,"subscribe":{}}"#);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The rooms need their options in the configuration: see [`Channels::rooms`].
//!
//! # Streams of events
//!
//! With [`Channels::events`], an HTTP listener answers `GET /events?channel=news:1` with a
//! [stream of events](crate::wire::events) of one channel. It is for browsers without a library, and
//! for networks without WebSocket. The connection token is in the field `Authorization` or the
//! parameter `token`, and the channel token in the parameter `channel_token`. A client that comes back
//! sends its position in `Last-Event-ID`. The first event, `subscribed`, tells whether the client was
//! recovered. Publications follow as `{"data":...,"info":...}`.
//!
//! # What differs from Centrifugo
//!
//! - An epoch changes whenever continuity is not proved. A client without an epoch does not recover.
//! - A token that is not valid yet is refused for good (3500), because its client would otherwise
//!   fetch another one without end.
//! - A batch has at most as many commands as channels are allowed, and 64 more.
//! - The protocol's Protobuf form, deltas, filters by tags, maps and shared polls do not exist. `delta`
//!   and `tf` are ignored, so clients get whole publications, and unfiltered ones.
//! - Names of channels have at most 128 bytes by default.
//! - A slow client whose subscription has a position is closed, whatever the
//!   [slow policy](crate::outbound::OutboundLimits) says. Otherwise the client would count skipped
//!   messages as received.
//! - The history of a channel that was never used has the epoch `0`, which no channel in use has.
//!
//! # Commands for people
//!
//! | line | does |
//! |---|---|
//! | `/connect TOKEN` | gives the token of a connection |
//! | `/sub CHANNEL`, `/unsub CHANNEL` | subscribes, and ends that |
//! | `/pub CHANNEL TEXT` | publishes a text |
//! | `/who CHANNEL` | lists the users in the channel |
//! | `/history CHANNEL` | shows the messages that are kept, latest last |
//! | `/help`, `/quit` | |

mod answer;
mod api;
mod asking;
mod backend;
#[cfg(test)]
mod backend_tests;
mod codes;
mod command;
mod connecting;
mod dispatch;
mod fields;
mod hooks;
mod json;
mod lines;
mod members;
mod operations;
mod options;
mod page;
mod publication;
mod query;
mod refreshing;
mod rules;
mod service;
mod session;
mod stream_output;
#[cfg(test)]
mod stream_tests;
mod streaming;
mod subscribing;
#[cfg(test)]
mod tests;
mod timing;
mod tokens;
mod verifying;

pub use backend::PubSubBackend;
pub use codes::Refusal;
pub use hooks::{Caller, Connecting, Hooks};
pub use options::PubSubOptions;
pub use rules::{ChannelRules, Channels};
pub use service::PubSub;
pub use session::Session;
