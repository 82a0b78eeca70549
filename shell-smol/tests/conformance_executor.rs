//! The conformance suite on smol, as a task on the application's own executor.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

mod shell {
    pub(crate) use drupe_smol::{Remote, RemoteError, Server, connect, core, shell as common, ssh};

    pub(crate) fn run<H>(server: Server<H>) -> core::Metrics
    where
        H: core::Handler + Send + 'static,
        H::Context: Send,
        H::Note: Send,
    {
        let executor = smol::Executor::new();
        let task = executor.spawn(server.run());
        smol::block_on(executor.run(task)).expect("a reactor")
    }
}

#[path = "../../core/tests/conformance/mod.rs"]
mod conformance;
