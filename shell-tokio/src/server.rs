use crate::driver::Driver;
use crate::listener::Listener;
use drupe_core::shell::{Mailbox, Remote, entropy};
use drupe_core::trace::Recorder;
use drupe_core::{Config, Handler, Machine, Metrics};
use std::fmt;
use std::io;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// A server that listens and is about to run.
pub struct Server<H: Handler> {
    machine: Machine<H>,
    listeners: Vec<Listener>,
    addresses: Vec<String>,
    mailbox: Mailbox<H::Note>,
    signals: Vec<Signal>,
}

/// Somewhere could not be listened at.
#[derive(Debug, thiserror::Error)]
#[error("can't listen at {address}: {source}")]
pub struct BindError {
    /// Where.
    pub address: String,
    /// Why.
    pub source: io::Error,
}

impl<H: Handler> Server<H> {
    /// Listens at every address of the configuration. Peers can connect from now on and are served once
    /// the server runs.
    ///
    /// # Errors
    /// The first address that can't be listened at; none is listened at then.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time enabled.
    pub fn bind(config: Config, handler: H) -> Result<Self, BindError> {
        Self::bind_with(config, |_| handler)
    }

    /// As [`bind`](Self::bind), for a handler that gives work away and is told of it later: it is made with a
    /// handle to its own server.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    /// As [`bind`](Self::bind).
    pub fn bind_with(mut config: Config, handler: impl FnOnce(Remote<H::Note>) -> H) -> Result<Self, BindError> {
        config.seed.get_or_insert_with(entropy);
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for listen in &config.listeners {
            let blame = |source| BindError { address: listen.bound(&listen.address), source };
            let listener = Listener::bind(&listen.address).map_err(blame)?;
            addresses.push(listen.bound(&listener.address().map_err(blame)?));
            listeners.push(listener);
        }
        let mailbox = Mailbox::new();
        let machine = Machine::new(config, handler(mailbox.remote()));
        Ok(Self { machine, listeners, addresses, mailbox, signals: Vec::new() })
    }

    /// Where it listens, as in the configuration but with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// A handle to speak to the server from anywhere.
    #[must_use]
    pub fn remote(&self) -> Remote<H::Note> {
        self.mailbox.remote()
    }

    /// Has SIGINT and SIGTERM drain the server, and a second one hurry it. The process does not end by these
    /// signals any more from then on, not even after the server has.
    ///
    /// # Errors
    /// If the signals can't be listened for.
    pub fn drain_on_signals(mut self) -> io::Result<Self> {
        self.signals = vec![signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?];
        Ok(self)
    }

    /// Has every fact recorded; see [`trace`](drupe_core::trace).
    #[must_use]
    pub fn record(mut self, recorder: Recorder<H::Note>) -> Self {
        self.machine.record(recorder);
        self
    }

    /// Serves until drained; then says what was counted. Dropping the future ends everything at once.
    pub fn run(self) -> impl Future<Output = Metrics> {
        let Self { machine, listeners, mailbox, signals, .. } = self;
        Driver::new(machine, listeners, mailbox, signals).run()
    }
}

impl<H: Handler> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
