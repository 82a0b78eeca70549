//! `drupe` itself: serves until it is drained.

use crate::logs::Logs;
use crate::reload::Reload;
use crate::sources::SourceArguments;
use crate::stack::{Crypto, Parts};
use crate::{Failure, concerns, say, systemd};
use drupe_tokio::core::Metrics;
use drupe_tokio::{Server, tunnel};
use std::io::{self, Write};
use std::process::ExitCode;
use tracing::Level;

pub(crate) fn run(arguments: &SourceArguments) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(serve(arguments));
    // A name that is being looked up is not waited for.
    runtime.shutdown_background();
    served.map(|()| ExitCode::SUCCESS)
}

async fn serve(arguments: &SourceArguments) -> Result<(), Failure> {
    let resolved = arguments.resolve()?;
    let (logs, guard) = Logs::begin(&resolved.plan.log)?;
    // A connection is a descriptor, and the usual limit is far below what the system allows.
    if let Err(error) = rlimit::increase_nofile_limit(u64::MAX) {
        logs.operation(Level::WARN, &format!("the limit on open files stays as it is: {error}"));
    }
    let parts = Parts::new(&resolved.plan, logs.clone(), Crypto::new())?;
    let config = parts.crypto().load(&resolved)?;
    concerns::log(&resolved, &logs);
    let workers = resolved.plan.workers;
    let make = {
        let parts = parts.clone();
        move |_| parts.handler()
    };
    let server = Server::bind_inheriting(config, workers, make, systemd::listeners()?)?.drain_on_signals()?;
    let mut output = io::stdout().lock();
    for address in listened_at(server.addresses()) {
        writeln!(output, "listening on {address}")?;
    }
    drop(output);
    let mut reload = Reload::new(arguments.clone(), resolved, parts, server.remote());
    let server = server.on_hangup(move || reload.run())?;
    let tunnels = tokio::spawn(tunnel::serve(&server.remote()));
    systemd::ready();
    let metrics = server.run().await?;
    systemd::stopping();
    // The server waited for their goodbyes, as long as each may take.
    tunnels.await?;
    let Metrics { opened, messages_in, messages_out, .. } = metrics;
    drop(guard);
    say(format_args!("drupe: {opened} connections served, {messages_in} messages in, {messages_out} out"));
    Ok(())
}

/// Without what is on the other side of a tunnel: it is not listened at yet, and the log says when it is, and where.
pub(crate) fn listened_at(addresses: &[String]) -> Vec<&str> {
    addresses.iter().map(String::as_str).filter(|address| !address.contains("?tunnel=")).collect()
}
