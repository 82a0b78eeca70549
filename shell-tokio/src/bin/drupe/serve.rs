//! The command `drupe` itself: serves until the drain has finished.

use crate::failure::Failure;
use crate::logs::{Logs, refuse_to_start};
use crate::reload::{Reload, listened_at};
use crate::sources::{Layers, SourceArguments};
use crate::stack::{Crypto, Parts};
use crate::{concerns, descriptors, systemd};
use drupe_tokio::core::settings::Resolved;
use drupe_tokio::core::{Address, Config, Metrics};
use drupe_tokio::shell::OsListener;
use drupe_tokio::{Server, tunnel};
use std::io::{self, Write};
use std::process::ExitCode;
use tracing::Level;

/// Serves until the drain has finished. Prints errors on stderr, in the format of the log.
pub(crate) fn run(arguments: &SourceArguments) -> ExitCode {
    let layers = arguments.read();
    match begin(arguments, &layers) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            refuse_to_start(layers.log_format(), &failure);
            ExitCode::FAILURE
        }
    }
}

fn begin(arguments: &SourceArguments, layers: &Layers) -> Result<(), Failure> {
    let resolved = layers.resolve()?;
    let (logs, guard) = Logs::begin(&resolved.plan.log)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let served = runtime.block_on(serve(arguments, resolved, &logs));
    // Does not wait for name lookups in progress.
    runtime.shutdown_background();
    logs.end(guard, &served?);
    Ok(())
}

async fn serve(arguments: &SourceArguments, resolved: Resolved, logs: &Logs) -> Result<Metrics, Failure> {
    descriptors::raise_limit(logs);
    let parts = Parts::new(&resolved.plan, logs.clone(), Crypto::new())?;
    let config = parts.crypto().load(&resolved)?;
    concerns::log(&resolved, logs);
    let workers = resolved.plan.workers;
    let make = {
        let parts = parts.clone();
        move |_| parts.handler()
    };
    let inherited = systemd::listeners()?;
    warn_of_unused(&config, &inherited, logs);
    let server = Server::bind_inheriting(config.clone(), workers, make, inherited)?.drain_on_signals()?;
    let mut reload = Reload::new(arguments.clone(), resolved, parts, server.remote());
    let server = server.on_hangup(move || reload.run())?;
    descriptors::check(&config, logs)?;
    announce(&listened_at(server.addresses()), logs);
    let tunnels = tokio::spawn(tunnel::serve(&server.remote()));
    tokio::spawn(logs.clone().report_losses(server.remote()));
    tokio::spawn(systemd::report_life(server.remote()));
    systemd::ready();
    let metrics = server.run().await?;
    // Each tunnel closes within its `close_timeout`.
    tunnels.await?;
    Ok(metrics)
}

/// Prints the addresses on the standard output. Serves even if that fails.
fn announce(addresses: &[&str], logs: &Logs) {
    let mut output = io::stdout().lock();
    let mut lines = addresses.iter();
    let said = lines.try_for_each(|address| writeln!(output, "listening on {address}")).and_then(|()| output.flush());
    if let Err(error) = said {
        let addresses = addresses.join(", ");
        let words = format!("can't write to the standard output: {error}; listening on {addresses}");
        logs.operation(Level::WARN, &words);
    }
}

/// Warns of inherited sockets that no listener uses, because their peers get no response.
fn warn_of_unused(config: &Config, inherited: &[(String, OsListener)], logs: &Logs) {
    let is_used = |name: &String| {
        let mut addresses = config.listeners.iter().map(|listen| &listen.address);
        addresses.any(|address| *address == Address::Inherited(name.clone()))
    };
    for (name, _) in inherited.iter().filter(|(name, _)| !is_used(name)) {
        logs.operation(Level::WARN, &format!("no listener has the address inherited:{name}: that socket is closed"));
    }
}
