//! Servers and their tunnels on one runtime of tokio.

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
