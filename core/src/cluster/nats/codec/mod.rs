//! Codec of the NATS client protocol.
//!
//! [`OpDecoder`] turns the bytes of a server into [`ServerOp`]s, and [`write`] encodes what a client sends. The decoder
//! keeps its place between pieces, and checks every [bound](bounds) before more bytes are kept. Bytes that break a
//! bound or a rule are a [`NatsError`], which ends the link: nothing after it can be trusted.
//!
//! # Stricter than the protocol
//!
//! A nats-server sends none of the following, and all of them are refused: operations in lower-case letters, lines that
//! end with LF alone, a sign in a length, and anything else than `INFO` at the beginning.

pub(crate) mod bounds;
mod decoder;
mod error;
mod op;
#[cfg(test)]
mod tests;
pub(crate) mod write;

pub(crate) use decoder::OpDecoder;
pub(crate) use error::NatsError;
pub(crate) use op::{ServerMessage, ServerOp};
