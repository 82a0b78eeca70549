//! The conformance suite on mio.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

mod shell {
    pub(crate) use drupe_mio::{Remote, RemoteError, Server, connect, core, shell as common, ssh};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics {
        server.run().expect("an event queue")
    }
}

#[path = "../../core/tests/conformance/mod.rs"]
mod conformance;
