//! A machine that is driven without sockets, for measurements of the core alone.

#![allow(
    clippy::expect_used,
    clippy::missing_panics_doc,
    reason = "a measurement that cannot be made should fail at once"
)]

mod extra;
mod server;
mod wire;

pub use extra::Extra;
pub use server::Server;
pub use wire::Wire;
