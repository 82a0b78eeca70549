//! The link to a Redis server: one connection for commands and for what is published (RESP3).
//!
//! Commands are sent without waiting, and their replies come in the same order. What others publish comes between the
//! replies. So what a reply tells of a room includes all that was published to it and heard before.

mod commands;
mod link;
mod pushes;
mod replies;
mod scripts;

pub(super) use link::RedisLink;
#[cfg(any(test, feature = "sim"))]
pub(super) use scripts::Script;
