use super::signals::OnSignals;
use super::{BindError, Mailbox, Names, OsListener, Remote, SshAcceptor, entropy};
use drupe_core::telnet::InputMode;
use drupe_core::trace::Recorder;
use drupe_core::wire::Protocol;
use drupe_core::{Address, Config, Handler, Listen, Machine, Metrics, Shard};

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZeroU8;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use std::io;
use std::net::SocketAddr;
use std::thread;

/// A server that listens and is ready to run. Each shell re-exports it with its own runtime.
pub struct Server<H: Handler, R: Runtime> {
    setup: Setup<H>,
    addresses: Vec<String>,
    runtime: PhantomData<fn() -> R>,
}

/// A runtime that runs servers. Each shell implements one.
pub trait Runtime {
    /// The return type of [`Server::run`]: the final metrics, or a future of them.
    type Run<H: Handler>;

    /// Runs a server, or returns a future that runs it.
    fn run<H: Handler>(setup: Setup<H>) -> Self::Run<H>;

    /// Runs a server, or one shard of it, on this thread until it has ended.
    ///
    /// # Errors
    /// If the runtime fails.
    fn run_here<H: Handler>(setup: Setup<H>) -> io::Result<Metrics>;
}

/// The error of a server or a client that could not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener could not be bound, or its configuration is refused.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The TLS settings of a client could not be loaded.
    #[error("can't set up TLS: {0}")]
    Tls(io::Error),
    /// A thread could not be started.
    #[error("can't start a worker thread: {0}")]
    Thread(io::Error),
}

/// The parts of a server from which a [`Driver`](super::Driver) is created.
pub struct Setup<H: Handler> {
    pub(super) machine: Machine<H>,
    /// The bound listeners. `None` for mounts and listeners on the other side of a tunnel.
    pub(super) listeners: Vec<Option<OsListener>>,
    pub(super) mailbox: Mailbox<H::Note>,
    pub(super) signals: Vec<OnSignals>,
    pub(super) names: Names,
}

impl<H: Handler> Setup<H> {
    /// Returns the name resolution of the server, which all its workers share.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names.clone()
    }
}

impl<H: Handler, R: Runtime> Server<H, R> {
    /// Binds every listener of the configuration, and returns a server that is ready to run.
    ///
    /// Peers can connect from now on, and are served once the server runs.
    ///
    /// # Errors
    /// The first listener that cannot be bound, or that the handler [cannot
    /// serve](Handler::reads_keys). All others are closed. Or the configuration has both a
    /// [cluster](Config::cluster) and a [seed](Config::seed).
    pub fn bind(config: Config, handler: H) -> Result<Self, BindError> {
        Self::bind_with(config, |_| handler)
    }

    /// Binds every listener, for a handler that needs a handle to its own server.
    ///
    /// For example, a handler that offloads work and receives the result as a note.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with(mut config: Config, handler: impl FnOnce(Remote<H::Note>) -> H) -> Result<Self, BindError> {
        check_seed(&config)?;
        complete(&mut config);
        let (listeners, addresses) = listen(&config, Vec::new())?;
        let mailbox = Mailbox::new();
        let handler = handler(mailbox.remote());
        check_served(&config, &handler)?;
        let machine = Machine::new(config, handler);
        let setup = Setup { machine, listeners, mailbox, signals: Vec::new(), names: Names::default() };
        Ok(Self { setup, addresses, runtime: PhantomData })
    }

    /// Binds a server that runs on several threads.
    ///
    /// The server has `workers` [shards](drupe_core::Shard). The first runs where the server runs.
    /// Each other shard has its own thread, which starts at once. If a shard panics, the server
    /// drains, and running it returns an error.
    ///
    /// `handler` is called once per shard: on this thread for the first shard, on their own threads
    /// for the others. Its argument is a handle whose notes go to that handler.
    ///
    /// Each connection goes to the shard with the fewest connections. A message to a room reaches
    /// its members on every shard. Limits, metrics and [`Remote`] cover the whole server. All other
    /// state of a handler belongs to its shard.
    ///
    /// # Errors
    /// As [`bind`](Self::bind), or if a thread cannot be started.
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

    /// Binds a server that runs on several threads, with listeners that the process inherited.
    ///
    /// `inherited` pairs names with sockets, which serve the [inherited](Address::Inherited)
    /// listeners of the configuration. Unused ones are closed. Everything else is as for
    /// [`bind_sharded`](Self::bind_sharded).
    ///
    /// # Errors
    /// As [`bind_sharded`](Self::bind_sharded), or if the configuration names a listener that was
    /// not inherited, or inherited several times.
    pub fn bind_inheriting(
        config: Config,
        workers: NonZeroU8,
        handler: impl Fn(Remote<H::Note>) -> H + Clone + Send + 'static,
        inherited: Vec<(String, OsListener)>,
    ) -> Result<Self, StartError>
    where
        H: 'static,
        H::Note: Send,
    {
        Self::bind_prepared(config, workers, handler, inherited, |_| ())
    }

    /// Binds a server as [`bind_inheriting`](Self::bind_inheriting) does, and calls `prepare` with the machine of each
    /// shard before its first fact: for example, to [record](Machine::record) all shards.
    ///
    /// # Errors
    /// As [`bind_inheriting`](Self::bind_inheriting).
    pub fn bind_prepared(
        mut config: Config,
        workers: NonZeroU8,
        handler: impl Fn(Remote<H::Note>) -> H + Clone + Send + 'static,
        inherited: Vec<(String, OsListener)>,
        prepare: impl Fn(&mut Machine<H>) + Clone + Send + 'static,
    ) -> Result<Self, StartError>
    where
        H: 'static,
        H::Note: Send,
    {
        check_seed(&config)?;
        complete(&mut config);
        let (listeners, addresses) = listen(&config, inherited)?;
        let mut machines = Vec::new();
        for (number, mailbox) in (0..).zip(Mailbox::of_shards(workers.get())) {
            let Ok(shard) = Shard::new(number, workers.get()) else { break };
            let (config, handler, prepare) = (config.clone(), handler.clone(), prepare.clone());
            machines.push((mailbox, move |remote| {
                let mut machine = Machine::shard(config, handler(remote), shard);
                prepare(&mut machine);
                machine
            }));
        }
        let mut machines = machines.into_iter();
        let names = Names::default();
        let Some((mailbox, first)) = machines.next() else {
            return Err(StartError::Thread(io::ErrorKind::InvalidInput.into()));
        };
        let first = first(mailbox.remote());
        check_served(first.config(), first.handler())?;
        for (mailbox, make) in machines {
            let names = names.clone();
            let run = move || {
                let (machine, listeners) = (make(mailbox.remote()), Vec::new());
                // The first shard gets its metrics or its panic through the mailbox.
                let _ = R::run_here(Setup { machine, listeners, mailbox, signals: Vec::new(), names });
            };
            thread::Builder::new().name("drupe-worker".into()).spawn(run).map_err(StartError::Thread)?;
        }
        let setup = Setup { machine: first, listeners, mailbox, signals: Vec::new(), names };
        Ok(Self { setup, addresses, runtime: PhantomData })
    }

    /// Returns the addresses of the listeners, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// Returns a handle to the server, for any thread.
    #[must_use]
    pub fn remote(&self) -> Remote<H::Note> {
        self.setup.mailbox.remote()
    }

    /// Resolves the hosts of dials with `look_up` instead of the system's resolver.
    ///
    /// It receives the host of an address `HOST:PORT`, and runs on a thread, where it may block. An
    /// address with port 0 gets the port of the dial. A dial tries at most
    /// [`ADDRESSES_MAX`](super::ADDRESSES_MAX) addresses. A second call has no effect.
    #[must_use]
    pub fn resolve_with(self, look_up: impl Fn(&str) -> io::Result<Vec<SocketAddr>> + Send + Sync + 'static) -> Self {
        self.setup.names.resolve_with(look_up);
        self
    }

    /// Drains the server on SIGINT and SIGTERM. A second signal speeds the drain up.
    ///
    /// From then on these signals do not end the process, not even after the server has ended.
    ///
    /// # Errors
    /// If the signal handlers cannot be installed.
    pub fn drain_on_signals(mut self) -> io::Result<Self>
    where
        H::Note: Send + 'static,
    {
        let remote = self.remote();
        let drain = move || {
            // Fails only if the server has ended.
            let _ = remote.drain();
        };
        self.setup.signals.push(OnSignals::new(&[SIGINT, SIGTERM], drain)?);
        Ok(self)
    }

    /// Calls `reload` on SIGHUP, on its own thread, until the server has ended.
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub fn on_hangup(mut self, reload: impl FnMut() + Send + 'static) -> io::Result<Self> {
        self.setup.signals.push(OnSignals::new(&[SIGHUP], reload)?);
        Ok(self)
    }

    /// Calls `act` on SIGUSR1, on its own thread, until the server has ended.
    ///
    /// # Errors
    /// If the signal handler cannot be installed.
    pub fn on_user_signal(mut self, act: impl FnMut() + Send + 'static) -> io::Result<Self> {
        self.setup.signals.push(OnSignals::new(&[SIGUSR1], act)?);
        Ok(self)
    }

    /// Records every fact that the machine receives: see [`trace`](drupe_core::trace).
    ///
    /// With several shards, only the first records; see [`bind_prepared`](Self::bind_prepared).
    #[must_use]
    pub fn record(mut self, recorder: Recorder<H::Note>) -> Self {
        self.setup.machine.record(recorder);
        self
    }

    /// Serves until the server has drained, and returns its metrics. Blocks this thread.
    ///
    /// Uses a runtime of its own if it needs one.
    ///
    /// # Errors
    /// If the runtime cannot be created or cannot register the listeners, or if a worker panicked.
    /// Later failures are reported to the handler or counted.
    pub fn run_blocking(self) -> io::Result<Metrics> {
        R::run_here(self.setup)
    }

    /// Serves until the server has drained. The return type depends on the runtime.
    pub fn run(self) -> R::Run<H> {
        R::run(self.setup)
    }
}

/// Refuses a configuration with unusable files or TLS, duplicate mounts or unapplied settings.
pub(super) fn check_applied(config: &Config) -> Result<(), BindError> {
    let refuse = |listen: Option<&Listen>, words: String| {
        let address = listen.map_or_else(|| "no address".into(), |listen| listen.bound(&listen.address));
        Err(BindError { address, source: io::Error::new(io::ErrorKind::InvalidInput, words) })
    };
    for (index, listen) in config.listeners.iter().enumerate() {
        if let Some(words) = unservable_files(listen, config) {
            return refuse(Some(listen), words);
        }
        let is_mount = matches!(listen.address, Address::Mounted(_));
        if is_mount && config.listeners.iter().skip(index + 1).any(|other| other.address == listen.address) {
            return refuse(Some(listen), "two listeners have this name of a mount: give each its own".into());
        }
    }
    for listen in &config.listeners {
        if let Some(words) = unservable_ssh(listen) {
            return refuse(Some(listen), words);
        }
    }
    let has_no_tls = |listen: &&Listen| listen.tls.as_ref().is_some_and(|tls| !tls.is_spoken_here());
    if let Some(listen) = config.listeners.iter().find(has_no_tls) {
        let words = "its TLS is configured, but its certificates are not loaded: see Plan::load_tls";
        return refuse(Some(listen), words.into());
    }
    if !config.unapplied.is_empty() {
        let what = &config.unapplied;
        let words = format!(
            "this is configured, but nothing applies it: {what}; see Plan::take_authentication and Plan::applies"
        );
        return refuse(config.listeners.first(), words);
    }
    Ok(())
}

/// Returns why the files of a listener can't be served, if they can't.
fn unservable_files(listen: &Listen, config: &Config) -> Option<String> {
    let Protocol::Http(http) = &listen.protocol else { return None };
    let files = http.files.as_ref()?;
    if !files.is_loaded() {
        return Some(std::format!("the files of {:?} are not loaded: see Plan::load_files", files.folder));
    }
    let max = config.outbound.marks.max();
    let is_too_long = files.largest_bytes() > max.saturating_sub(RESPONSE_HEAD_BYTES);
    is_too_long.then(|| std::format!("the largest of its files does not fit into an output queue of {max} bytes"))
}

/// Returns why an SSH listener can't be served, if it can't.
fn unservable_ssh(listen: &Listen) -> Option<String> {
    let Protocol::Ssh(server) = &listen.protocol else { return None };
    if let Err(error) = server.check() {
        return Some(error.to_string());
    }
    if listen.tls.is_some() || listen.proxies.is_some() || !listen.address.needs_socket() {
        return Some("SSH needs a socket of its own, without TLS, PROXY protocol, tunnel or mount".into());
    }
    let is_missing = SshAcceptor::of(server).is_none();
    is_missing.then(|| "its SSH server is not loaded: see drupe_ssh::server::load".into())
}

/// Maximum size of the head of a response with a file, in bytes.
const RESPONSE_HEAD_BYTES: usize = 4 << 10;

/// Refuses a listener in key mode if the handler does not read keys.
pub(super) fn check_served(config: &Config, handler: &impl Handler) -> Result<(), BindError> {
    const WHY: &str = "mode=keys sends single keys, but this application reads lines: use mode=line or mode=character";
    let unserved = |listen: &&Listen| listen.protocol.input_mode() == Some(InputMode::Keys);
    match config.listeners.iter().find(unserved).filter(|_| !handler.reads_keys()) {
        Some(listen) => {
            let source = io::Error::new(io::ErrorKind::InvalidInput, WHY);
            Err(BindError { address: listen.bound(&listen.address), source })
        }
        None => Ok(()),
    }
}

/// Maximum length of the name of a host, in bytes.
const NAME_MAX_BYTES: usize = 64;

/// Refuses a seed for a host of a cluster: with the same seed, two hosts would have the same number and the same marks.
fn check_seed(config: &Config) -> Result<(), BindError> {
    const WHY: &str =
        "the configuration has a cluster and a seed: remove the seed, because each host needs another one";
    if config.cluster.is_none() || config.seed.is_none() {
        return Ok(());
    }
    let address = config.listeners.first().map(|listen| listen.bound(&listen.address));
    let source = io::Error::new(io::ErrorKind::InvalidInput, WHY);
    Err(BindError { address: address.unwrap_or_else(|| "no address".into()), source })
}

/// Completes a configuration with a seed, and a host of a cluster without a name with that of the computer.
fn complete(config: &mut Config) {
    config.seed.get_or_insert_with(entropy);
    if let Some(cluster) = config.cluster.as_mut().filter(|cluster| cluster.name.is_empty()) {
        let system = rustix::system::uname();
        // A name that is longer, or is not UTF-8, is left out: operators could not read it.
        let name = system.nodename().to_str().unwrap_or_default();
        cluster.name = if name.len() <= NAME_MAX_BYTES { name.into() } else { "".into() };
    }
}

/// Binds or inherits the listeners of a configuration. Returns the listeners and their addresses.
fn listen(
    config: &Config,
    mut inherited: Vec<(String, OsListener)>,
) -> Result<(Vec<Option<OsListener>>, Vec<String>), BindError> {
    check_applied(config)?;
    #[cfg(target_os = "linux")]
    crate::descriptors::make_room(config.connections.total);
    let (mut listeners, mut addresses) = (Vec::new(), Vec::new());
    for listen in &config.listeners {
        let blame = |source| BindError { address: listen.bound(&listen.address), source };
        if !listen.address.needs_socket() {
            addresses.push(listen.bound(&listen.address));
            listeners.push(None);
            continue;
        }
        let is_meant = |(name, _): &&(String, OsListener)| listen.address == Address::Inherited(name.clone());
        let count = inherited.iter().filter(is_meant).count();
        if count > 1 {
            let words = std::format!(
                "the process was given {count} of this name: each needs its own socket unit with a different \
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
    use drupe_core::app::{AppName, Apps, Chat, Echo, Envelope, Relay};
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
                check_served(&config, &Apps::new().with("chat", Chat::default()).with("echo", Echo)),
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
        check_served(&config, &Echo).expect("character mode delivers lines");
    }

    #[test]
    fn ambiguous_inherited_socket_name_is_refused() {
        let given = |name: &str| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            (String::from(name), OsListener::inherited_tcp(listener).expect("it listens"))
        };
        let address = Address::Inherited("sock".into());
        let config = Config::listening([Listen::lines(([127, 0, 0, 1], 0).into()).address(address)]);
        let error =
            listen(&config, [given("sock"), given("sock")].into()).expect_err("the name is ambiguous").to_string();
        assert!(error.contains("inherited/sock") && error.contains("given 2 of this name"), "{error}");
        let (listeners, _) =
            listen(&config, [given("x"), given("sock"), given("x")].into()).expect("the others are unused");
        assert!(matches!(listeners[..], [Some(_)]));
    }
}
