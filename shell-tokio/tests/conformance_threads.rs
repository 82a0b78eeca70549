//! The conformance suite on tokio, as a task of a runtime with two threads.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

mod shell {
    pub(crate) use drupe_tokio::{Remote, RemoteError, Server, connect, core, shell as common, ssh};

    pub(crate) fn run<H>(server: Server<H>) -> core::Metrics
    where
        H: core::Handler + Send + 'static,
        H::Context: Send,
        H::Note: Send,
    {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.expect("a runtime");
        let running = runtime.spawn(server.run());
        runtime.block_on(running).expect("no panic").expect("a reactor")
    }
}

#[path = "../../core/tests/conformance/mod.rs"]
mod conformance;
