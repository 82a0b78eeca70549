//! Running the server, which the program does if no command is given.

use crate::arguments::{Layers, SourceArguments};
use crate::failure::Failure;
use crate::flight::Flight;
use crate::handler::{Crypto, Parts, Stack};
use crate::keys::{self, Refresher};
use crate::logs::{Logs, refuse_to_start};
use crate::pages::pages;
use crate::reload::{Reload, listened_at};
use crate::shared_keys::{self, Keys, SectionKeys};
use crate::start::AppMakers;
use crate::tunnels::Tunnels;
use crate::{concerns, descriptors, flight_watch, process, systemd, users};
use drupe_core::settings::{Catalog, Resolved};
use drupe_core::{Address, Config, Machine, Metrics};
use drupe_shell::{OsListener, Runtime, Server};
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;
use tracing::Level;

/// The server command: the program's name, arguments, configuration catalog and applications.
pub(crate) struct Serve<'a> {
    pub(crate) program: &'static str,
    /// The version of the program; empty if it has none.
    pub(crate) version: &'static str,
    pub(crate) arguments: &'a SourceArguments,
    pub(crate) catalog: &'a Arc<Catalog>,
    pub(crate) makers: &'a AppMakers,
}

impl Serve<'_> {
    /// Serves until the drain has finished. Prints an error in the format of the log.
    pub(crate) fn run<R: Runtime + 'static>(&self) -> ExitCode {
        let started = SystemTime::now();
        let layers = self.arguments.read(self.catalog);
        match self.begin::<R>(&layers, started) {
            Ok(()) => ExitCode::SUCCESS,
            Err(failure) => {
                refuse_to_start(self.program, layers.log_format(), &failure);
                ExitCode::FAILURE
            }
        }
    }

    fn begin<R: Runtime + 'static>(&self, layers: &Layers, started: SystemTime) -> Result<(), Failure> {
        let resolved = layers.resolve()?;
        let (logs, writers) = Logs::begin(self.program, &resolved.plan.log)?;
        logs.starting(if self.version.is_empty() { "-" } else { self.version }, &resolved);
        let served = self.serve::<R>(resolved, &logs, started);
        logs.end(writers, &served?);
        Ok(())
    }

    fn serve<R: Runtime + 'static>(
        &self,
        resolved: Resolved,
        logs: &Logs,
        started: SystemTime,
    ) -> Result<Metrics, Failure> {
        descriptors::raise_limit(logs);
        let (makers, catalog) = (self.makers.clone(), Arc::clone(self.catalog));
        let (sender, wanted) = shared_keys::queue();
        let (keys, queues) = SectionKeys::new(&catalog);
        let users = users::open(&resolved, logs)?;
        let flight = Flight::of(&resolved, (self.program, self.version), logs);
        let parts = Parts::new(&resolved.plan, makers, catalog, logs.clone(), Crypto::new(), (sender, keys), users)?;
        let parts = parts.with_flight(flight.clone());
        let config = parts.load(&resolved)?;
        flight.iter().for_each(Flight::save_after_panics);
        concerns::log(&resolved, logs);
        let workers = resolved.plan.workers;
        let make = {
            let parts = parts.clone();
            move |remote| parts.handler(&remote)
        };
        let inherited = systemd::listeners()?;
        warn_of_unused(&config, &inherited, logs);
        let prepare = {
            let flight = flight.clone();
            move |machine: &mut Machine<Stack>| flight.iter().for_each(|flight| flight.record(machine))
        };
        let server = Server::<_, R>::bind_prepared(config.clone(), workers, make, inherited, prepare)?;
        let server = server.drain_on_signals()?;
        let of_accounts: Box<dyn Keys> = Box::new(parts.accounts.clone());
        let mut keys = vec![(keys::OF_ACCOUNTS.to_owned(), of_accounts, wanted)];
        for (tokens, wanted) in queues {
            if let Some((_, set)) = parts.keys.iter().find(|(key, _)| *key == tokens) {
                keys.push((tokens, Box::new(set.clone()), wanted));
            }
        }
        for (tokens, keys, wanted) in keys {
            let (url, provider) = (keys::url(&resolved.plan, &tokens), Arc::clone(&parts.crypto().provider));
            let (logs, remote) = (logs.clone(), server.remote());
            Refresher { tokens, url, provider, keys, logs, wanted, remote }.start()?;
        }
        let tunnels = Tunnels::default();
        let recorder = flight.as_ref().map(|flight| flight.recorder.clone());
        let mut reload =
            Reload::new(self.arguments.clone(), resolved, parts, tunnels.clone(), server.remote(), recorder);
        let mut server = server.on_hangup(move || reload.run())?;
        if let Some(flight) = flight.clone() {
            flight_watch::watch(flight.clone(), server.remote())?;
            server = server.on_user_signal(move || flight.save("SIGUSR1"))?;
        }
        descriptors::check(&config, logs)?;
        announce(&listened_at(server.addresses()), &pages(&config, server.addresses()), logs);
        tunnels.start_for(&config, &server.remote())?;
        logs.clone().report_losses(server.remote())?;
        process::report(started, server.remote())?;
        systemd::report_life(server.remote())?;
        systemd::ready();
        let metrics = server.run_blocking();
        flight.iter().for_each(Flight::finish);
        let metrics = metrics?;
        // Each tunnel closes within its `close_timeout`.
        if !tunnels.join() {
            logs.operation(Level::ERROR, "the thread of the tunnels panicked");
        }
        Ok(metrics)
    }
}

/// Prints the addresses and the pages on the standard output. If that fails, logs the addresses with a warning.
fn announce(addresses: &[&str], pages: &[String], logs: &Logs) {
    let mut output = io::stdout().lock();
    let listening = addresses.iter().map(|address| format!("listening on {address}\n"));
    let lines: String = listening.chain(pages.iter().map(|page| format!("{page}\n"))).collect();
    // In one piece: a reader that wants only the first lines may close the pipe.
    let said = output.write_all(lines.as_bytes()).and_then(|()| output.flush());
    if let Err(error) = said {
        let addresses = addresses.join(", ");
        let words = format!("can't write to the standard output: {error}; listening on {addresses}");
        logs.operation(Level::WARN, &words);
    }
}

/// Warns of inherited sockets that no listener uses: to their peers, the server would seem to hang.
fn warn_of_unused(config: &Config, inherited: &[(String, OsListener)], logs: &Logs) {
    let is_used = |name: &String| {
        let mut addresses = config.listeners.iter().map(|listen| &listen.address);
        addresses.any(|address| *address == Address::Inherited(name.clone()))
    };
    for (name, _) in inherited.iter().filter(|(name, _)| !is_used(name)) {
        logs.operation(Level::WARN, &format!("no listener has the address inherited:{name}: that socket is closed"));
    }
}
