//! The conformance suite on smol.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

mod shell {
    pub(crate) use drupe_smol::{Remote, RemoteError, Server, connect, core, shell as common, ssh};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics {
        smol::block_on(server.run()).expect("a reactor")
    }
}

#[path = "../../core/tests/conformance/mod.rs"]
mod conformance;
