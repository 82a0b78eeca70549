//! Rooms that several hosts share through a broker.

#[allow(dead_code, unused_imports, reason = "the link to the broker, its first user, comes with the next change")]
pub(crate) mod resp;
