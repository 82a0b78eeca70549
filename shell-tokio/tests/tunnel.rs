//! Reverse SSH tunnels on tokio, and what is the same on every shell.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::unreachable,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]

mod shell {
    pub(crate) use drupe_tokio::{Remote, Server, core};

    pub(crate) fn run<H: core::Handler>(server: Server<H>) -> core::Metrics
    where
        H::Note: Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let tunnels = tokio::spawn(drupe_tokio::tunnel::serve(&server.remote()));
            let metrics = server.run().await.expect("a reactor");
            tunnels.await.expect("no panic");
            metrics
        })
    }
}

mod ssh;
mod tunnelled;
