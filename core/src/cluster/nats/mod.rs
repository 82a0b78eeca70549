//! The link to a NATS server with JetStream: one connection for requests and for what is published.
//!
//! Rooms with the same limits share a stream, and each room is a subject of it. The server numbers, keeps and publishes
//! a message in one step: what a stream has kept is published again on another subject, to which hosts subscribe. It
//! names the number of the message before it. Numbers are those of the stream, so those of a room have holes.
//!
//! Each message has a header with the epoch of the room and a mark. An epoch begins with a message without content.
//! Epochs of a room only rise, so that the higher one counts if hosts disagree for a while.
//!
//! Requests of several steps ([`calls`]) get their answers by their inbox. A history is read with a consumer that is
//! made for this ([`collect`]).

mod answers;
mod calls;
mod claims;
mod class;
pub(crate) mod codec;
mod collect;
mod headers;
mod json;
mod link;
mod login;
mod messages;
mod presence;
mod reading;
mod rooms;
mod streams;
mod subjects;
mod task;
#[cfg(test)]
mod tests;

pub(super) use link::NatsLink;

/// Parses JSON, and returns its debug format, for fuzz targets.
#[cfg(feature = "sim")]
pub(crate) fn json_of(bytes: &[u8]) -> Option<alloc::string::String> {
    json::Json::parse(bytes).map(|json| alloc::format!("{json:?}"))
}
