use super::signals::DrainOnSignals;
use super::{Mailbox, OsListener, Remote, entropy};
use crate::trace::Recorder;
use crate::{Config, Handler, Machine};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;
use std::io;

/// A server that listens and is about to run on a runtime: each shell has its own under this name.
pub struct Server<H: Handler, R: Runtime> {
    setup: Setup<H>,
    addresses: Vec<String>,
    runtime: PhantomData<fn() -> R>,
}

/// What runs a server.
pub trait Runtime {
    /// What [`Server::run`] gives: the counters when the server has ended, or a future of them.
    type Run<H: Handler>;

    /// Runs a server.
    fn run<H: Handler>(setup: Setup<H>) -> Self::Run<H>;
}

/// What a [`Driver`](super::Driver) is made of.
pub struct Setup<H: Handler> {
    pub(super) machine: Machine<H>,
    pub(super) listeners: Vec<OsListener>,
    pub(super) mailbox: Mailbox<H::Note>,
    pub(super) signals: Option<DrainOnSignals>,
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

impl<H: Handler, R: Runtime> Server<H, R> {
    /// Listens at every address of the configuration. Peers can connect from now on and are served once the server runs.
    ///
    /// # Errors
    /// The first address that can't be listened at; none is listened at then.
    pub fn bind(config: Config, handler: H) -> Result<Self, BindError> {
        Self::bind_with(config, |_| handler)
    }

    /// As [`bind`](Self::bind), for a handler that gives work away and is told of it later: it is made with a handle to its
    /// own server.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with(mut config: Config, handler: impl FnOnce(Remote<H::Note>) -> H) -> Result<Self, BindError> {
        config.seed.get_or_insert_with(entropy);
        let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
        for listen in &config.listeners {
            let blame = |source| BindError { address: listen.bound(&listen.address), source };
            let listener = OsListener::bind(&listen.address).map_err(blame)?;
            addresses.push(listen.bound(&listener.address().map_err(blame)?));
            listeners.push(listener);
        }
        let mailbox = Mailbox::new();
        let machine = Machine::new(config, handler(mailbox.remote()));
        let setup = Setup { machine, listeners, mailbox, signals: None };
        Ok(Self { setup, addresses, runtime: PhantomData })
    }

    /// Where it listens, as in the configuration but with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// A handle to speak to the server from anywhere.
    #[must_use]
    pub fn remote(&self) -> Remote<H::Note> {
        self.setup.mailbox.remote()
    }

    /// Has SIGINT and SIGTERM drain the server, and a second one hurry it. The process does not end by these signals any more
    /// from then on, not even after the server has.
    ///
    /// # Errors
    /// If the signals can't be listened for.
    pub fn drain_on_signals(mut self) -> io::Result<Self>
    where
        H::Note: Send + 'static,
    {
        self.setup.signals = Some(DrainOnSignals::new(self.remote())?);
        Ok(self)
    }

    /// Has every fact recorded; see [`trace`](crate::trace).
    #[must_use]
    pub fn record(mut self, recorder: Recorder<H::Note>) -> Self {
        self.setup.machine.record(recorder);
        self
    }

    /// Serves until drained; then says what was counted. What is given back is the runtime's, and says more.
    pub fn run(self) -> R::Run<H> {
        R::run(self.setup)
    }
}

impl<H: Handler> fmt::Debug for Setup<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("machine", &self.machine).finish_non_exhaustive()
    }
}

impl<H: Handler, R: Runtime> fmt::Debug for Server<H, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("addresses", &self.addresses).finish_non_exhaustive()
    }
}
