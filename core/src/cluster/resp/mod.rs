//! Codec of the Redis protocol, client side (RESP3, and RESP2 as the part of it that Redis sends before `HELLO 3`).
//!
//! [`ReplyDecoder`] turns the bytes of a broker into [`Reply`]s, and [`write_command`] encodes commands. The decoder finds
//! the end of each reply with a [scanner](scan) of its own, which keeps its place between pieces and checks every
//! [bound](bounds) before a byte more is kept. The crate `resp-rs` then parses each complete reply once. A reply that
//! breaks a bound or a rule is a [`RespError`], which ends the link: nothing after it can be trusted.
//!
//! # Stricter than the protocol
//!
//! Redis and Valkey send none of the following, and all of them are refused: streamed replies, a CR or LF inside of a
//! line, a sign or a blank in a length, a null of other types than `$`, `*` and `_`, and a push inside of another reply.

pub(crate) mod bounds;
mod command;
mod decoder;
mod error;
mod reply;
mod scan;
mod server_error;
#[cfg(test)]
mod tests;

#[cfg(test)]
pub(crate) use command::command_len;
pub(crate) use command::write_command;
pub(crate) use decoder::ReplyDecoder;
pub(crate) use error::RespError;
#[cfg(test)]
pub(crate) use error::TypeByte;
pub(crate) use reply::Reply;
#[cfg(test)]
pub(crate) use server_error::ServerError;
pub(crate) use server_error::ServerErrorKind;
