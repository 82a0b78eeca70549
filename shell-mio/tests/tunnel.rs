//! Reverse SSH tunnels on mio: the tests that all shells share.

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
    pub(crate) use drupe_mio::{Remote, Server, core};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics
    where
        H::Note: Send + 'static,
    {
        let tunnels = drupe_mio::tunnel::spawn_thread(&server.remote()).expect("a thread");
        let metrics = server.run().expect("an event queue");
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
