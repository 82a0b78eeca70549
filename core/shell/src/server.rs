use super::signals::OnSignals;
use super::{Mailbox, OsListener, Remote, entropy};
use drupe_core::telnet::InputMode;
use drupe_core::trace::Recorder;
use drupe_core::{Address, Config, Handler, Listen, Machine, Metrics, Shard};

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU8;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use std::io;
use std::thread;

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

    /// Runs a server, or a shard of one, and takes the thread until it has ended.
    ///
    /// # Errors
    /// If the runtime can't.
    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics>;
}

/// A server of several shards could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Somewhere could not be listened at.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// A thread could not be started.
    #[error("can't start a worker thread: {0}")]
    Thread(io::Error),
}

/// What a [`Driver`](super::Driver) is made of.
pub struct Setup<H: Handler> {
    pub(super) machine: Machine<H>,
    /// `None` where another machine listens.
    pub(super) listeners: Vec<Option<OsListener>>,
    pub(super) mailbox: Mailbox<H::Note>,
    pub(super) signals: Option<OnSignals>,
    pub(super) hangup: Option<OnSignals>,
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
    /// The first address that can't be listened at, or that the handler [can't serve](Handler::reads_keys); none is listened
    /// at then.
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
        let (listeners, addresses) = listen(&config, Vec::new())?;
        let mailbox = Mailbox::new();
        let handler = handler(mailbox.remote());
        check_served(&config, &handler)?;
        let machine = Machine::new(config, handler);
        let setup = Setup { machine, listeners, mailbox, signals: None, hangup: None };
        Ok(Self { setup, addresses, runtime: PhantomData })
    }

    /// As [`bind_with`](Self::bind_with), on several threads: `workers` [shards](drupe_core::Shard), one of them where the server
    /// runs and each other on a thread of its own, which begins at once. `handler` is called once for each, with a handle that
    /// notes that handler: for the first here, for the others on their threads. If one of them panics the server drains, and
    /// running it gives an error.
    ///
    /// Connections are handed to the shard that has the fewest. What is published to a room reaches its members on every
    /// shard; limits, metrics and [`Remote`] are those of the whole. Everything else that a handler knows is of its own shard.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), or if a thread can't be started.
    pub fn bind_sharded(
        config: Config,
        workers: NonZeroU8,
        handler: impl Fn(Remote<H::Note>) -> H + Clone + Send + 'static,
    ) -> Result<Self, StartError>
    where
        H: 'static,
        H::Note: Send,
    {
        Self::bind_inheriting(config, workers, handler, Vec::new())
    }

    /// As [`bind_sharded`](Self::bind_sharded), with listeners that the process was given, by name: for those of the
    /// configuration that are [inherited](Address::Inherited). What nobody wants is closed.
    ///
    /// # Errors
    /// As [`bind_sharded`](Self::bind_sharded), or if one is wanted that was not given, or given several times.
    pub fn bind_inheriting(
        mut config: Config,
        workers: NonZeroU8,
        handler: impl Fn(Remote<H::Note>) -> H + Clone + Send + 'static,
        inherited: Vec<(String, OsListener)>,
    ) -> Result<Self, StartError>
    where
        H: 'static,
        H::Note: Send,
    {
        config.seed.get_or_insert_with(entropy);
        let (listeners, addresses) = listen(&config, inherited)?;
        let mut machines = Vec::new();
        for (number, mailbox) in (0..).zip(Mailbox::of_shards(workers.get())) {
            let Ok(shard) = Shard::new(number, workers.get()) else { break };
            let (config, handler) = (config.clone(), handler.clone());
            machines.push((mailbox, move |remote| Machine::shard(config, handler(remote), shard)));
        }
        let mut machines = machines.into_iter();
        let Some((mailbox, first)) = machines.next() else {
            return Err(StartError::Thread(io::ErrorKind::InvalidInput.into()));
        };
        let first = first(mailbox.remote());
        check_served(first.config(), first.handler())?;
        for (mailbox, make) in machines {
            let run = move || {
                let machine = make(mailbox.remote());
                // What it counted, or that it did not end as it should, is told through the mailbox.
                let _ = R::run_here(Setup { machine, listeners: Vec::new(), mailbox, signals: None, hangup: None });
            };
            thread::Builder::new().name("drupe-worker".into()).spawn(run).map_err(StartError::Thread)?;
        }
        let setup = Setup { machine: first, listeners, mailbox, signals: None, hangup: None };
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
        let remote = self.remote();
        let drain = move || {
            // A server that has ended needs no drain, and one that does not keep up hears of the next signal.
            let _ = remote.drain();
        };
        self.setup.signals = Some(OnSignals::new(&[SIGINT, SIGTERM], drain)?);
        Ok(self)
    }

    /// Has SIGHUP call `reload`, on a thread of its own, until the server has ended.
    ///
    /// # Errors
    /// If the signal can't be listened for.
    pub fn on_hangup(mut self, reload: impl FnMut() + Send + 'static) -> io::Result<Self> {
        self.setup.hangup = Some(OnSignals::new(&[SIGHUP], reload)?);
        Ok(self)
    }

    /// Has every fact recorded; see [`trace`](drupe_core::trace). Of several shards, those of the first.
    #[must_use]
    pub fn record(mut self, recorder: Recorder<H::Note>) -> Self {
        self.setup.machine.record(recorder);
        self
    }

    /// Serves until drained, on a runtime of its own where it needs one, and takes the thread for it; then says what was
    /// counted.
    ///
    /// # Errors
    /// If the runtime can't be had or can't watch the listeners, or if a worker panicked. What fails later is told to the
    /// application or counted.
    pub fn run_blocking(self) -> io::Result<Metrics> {
        R::run_here(self.setup)
    }

    /// Serves until drained; then says what was counted. What is given back is the runtime's, and says more.
    pub fn run(self) -> R::Run<H> {
        R::run(self.setup)
    }
}

/// Refuses a configuration that says what nobody applies.
pub(super) fn check_applied(config: &Config) -> Result<(), BindError> {
    for listen in &config.listeners {
        let has_no_tls = listen.tls.as_ref().is_some_and(|tls| !tls.is_spoken_here());
        let words = if has_no_tls {
            "its TLS is configured, and its certificates are not loaded: see Plan::load_tls".into()
        } else if !config.unapplied.is_empty() {
            let what = &config.unapplied;
            std::format!(
                "this is configured, and nothing applies it: {what}; see Plan::take_authentication and Plan::applies"
            )
        } else {
            continue;
        };
        let source = io::Error::new(io::ErrorKind::InvalidInput, words);
        return Err(BindError { address: listen.bound(&listen.address), source });
    }
    Ok(())
}

/// Refuses listeners that the handler can't serve.
pub(super) fn check_served(config: &Config, handler: &impl Handler) -> Result<(), BindError> {
    const WHY: &str = "mode=keys sends single keys, and this application reads lines: use mode=line or mode=character";
    let unserved = |listen: &&Listen| listen.protocol.input_mode() == Some(InputMode::Keys);
    match config.listeners.iter().find(unserved).filter(|_| !handler.reads_keys()) {
        Some(listen) => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, WHY);
            Err(BindError { address: listen.bound(&listen.address), source })
        }
        None => Ok(()),
    }
}

/// Listens at every address of a configuration, and says where that is.
fn listen(
    config: &Config,
    mut inherited: Vec<(String, OsListener)>,
) -> Result<(Vec<Option<OsListener>>, Vec<String>), BindError> {
    check_applied(config)?;
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for listen in &config.listeners {
        let blame = |source| BindError { address: listen.bound(&listen.address), source };
        if listen.address.forward().is_some() {
            addresses.push(listen.bound(&listen.address));
            listeners.push(None);
            continue;
        }
        let is_meant = |(name, _): &&(String, OsListener)| listen.address == Address::Inherited(name.clone());
        let count = inherited.iter().filter(is_meant).count();
        if count > 1 {
            let words = std::format!(
                "the process was given {count} of this name: each needs a socket unit of its own with another \
                 FileDescriptorName="
            );
            return Err(blame(io::Error::new(io::ErrorKind::InvalidInput, words)));
        }
        let given = inherited.iter().position(|given| is_meant(&given));
        let listener = match given {
            Some(place) => Ok(inherited.swap_remove(place).1),
            None => OsListener::bind(listen),
        };
        let listener = listener.map_err(blame)?;
        addresses.push(listen.bound(&listener.address().map_err(blame)?));
        listeners.push(Some(listener));
    }
    Ok((listeners, addresses))
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

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_core::ConnId;
    use drupe_core::Hub;
    use drupe_core::app::{AppName, Echo, Envelope, Relay, Several};
    use drupe_core::http::Http;
    use drupe_core::kit::layer::{Greeting, Within};
    use drupe_core::kit::{on_keys, on_lines};
    use drupe_core::telnet::Telnet;
    use drupe_core::wire::Protocol;
    use std::net::TcpListener;

    #[test]
    fn key_mode_is_refused_for_handlers_that_read_lines() {
        let telnet = Some(Telnet::default().mode(InputMode::Keys));
        let mut in_websocket: Listen = "ws://127.0.0.1:0".parse().expect("well formed");
        in_websocket.protocol = Protocol::Http(Http::default().telnet(telnet).into());
        let [plain, detected] = ["telnet://127.0.0.1:0?mode=keys", "auto://127.0.0.1:0?mode=keys"]
            .map(|address| address.parse::<Listen>().expect("well formed"));
        for listen in [plain, detected, in_websocket] {
            let config = Config::listening([listen]);
            let outcomes = [
                check_served(&config, &Echo),
                check_served(&config, &Relay::default().within(Greeting)),
                check_served(&config, &Several::new(Envelope::default())),
                check_served(&config, &AppName::Chat.make(Envelope::default())),
                check_served(&config, &on_lines(|_: &mut Hub<'_, ()>, _: ConnId, _: &str| {})),
            ];
            for outcome in outcomes {
                let error = std::string::ToString::to_string(&outcome.expect_err("it reads lines"));
                assert!(error.contains("127.0.0.1:0") && error.contains("mode=keys"), "{error}");
            }
            check_served(&config, &on_keys(|_: &mut Hub<'_, ()>, _: ConnId, _| {})).expect("it reads keys");
        }
        let config = Config::listening(["telnet://127.0.0.1:0?mode=character".parse::<Listen>().expect("well formed")]);
        check_served(&config, &Echo).expect("those are lines");
    }

    #[test]
    fn listeners_of_one_name_are_refused_where_it_is_wanted() {
        let given = |name: &str| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            (String::from(name), OsListener::inherited_tcp(listener).expect("it listens"))
        };
        let address = Address::Inherited("sock".into());
        let config = Config::listening([Listen::lines(([127, 0, 0, 1], 0).into()).address(address)]);
        let error = listen(&config, [given("sock"), given("sock")].into()).expect_err("which is meant?").to_string();
        assert!(error.contains("inherited/sock") && error.contains("given 2 of this name"), "{error}");
        let (listeners, _) = listen(&config, [given("x"), given("sock"), given("x")].into()).expect("the others rest");
        assert!(matches!(listeners[..], [Some(_)]));
    }
}
