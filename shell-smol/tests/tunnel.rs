//! Reverse SSH tunnels on smol: the tests that all shells share.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "tokio's own tests use the rest of what they share")]

mod shell {
    pub(crate) use drupe_smol::{Remote, Server, core};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics
    where
        H::Note: Send + 'static,
    {
        let tunnels = drupe_smol::tunnel::spawn_thread(&server.remote()).expect("a thread");
        let metrics = smol::block_on(server.run()).expect("a reactor");
        tunnels.join().expect("no panic");
        metrics
    }
}

#[path = "../../shell-tokio/tests/support/skipped.rs"]
mod skipped;
#[path = "../../shell-tokio/tests/ssh/mod.rs"]
mod ssh;
#[path = "../../shell-tokio/tests/tunnelled/mod.rs"]
mod tunnelled;

use skipped::skip;
