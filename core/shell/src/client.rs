//! A handle to a [client](drupe_core::kit::client) that runs on a shell.
//!
//! It works in async and in blocking code.
//!
//! ```no_run
//! # use drupe_shell::client::{Client, Incoming};
//! # use drupe_shell::block_on;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # fn connect(options: drupe_core::kit::client::ClientOptions) -> std::io::Result<Client> { unimplemented!() }
//! use drupe_core::kit::client::ClientOptions;
//! use std::time::Duration;
//!
//! let options = ClientOptions::new("ws://127.0.0.1:8025/".parse()?);
//! let mut client = connect(options)?; // of a shell: `drupe_tokio::connect`, ...
//! block_on(async {
//!     client.send("hello").await?;
//!     let sum: i64 = client.call("add", &[1, 2], Duration::from_secs(5)).await?;
//!     while let Some(incoming) = client.receive().await {
//!         if let Incoming::Message(message) = incoming {
//!             println!("{sum} {message:?}");
//!         }
//!     }
//!     Ok(())
//! })
//! # }
//! ```
//!
//! Addresses may ask for TLS, such as `wss://example.org:443/`. With the feature `client-tls`, the
//! client then trusts what the operating system trusts. To trust something else, or to show a
//! client certificate, set [`Dial::tls`](drupe_core::Dial::tls).

use super::stream::{Disconnected, Link, Weight};
use super::{Remote, Runtime, Server, StartError};
use drupe_core::kit::client::{Client as Machine, ClientCommand, ClientEvent, ClientOptions};
use drupe_core::kit::rpc::CallError;
use drupe_core::telnet::{ClientMode, Signal};
use drupe_core::tls::ClientTls;
#[cfg(feature = "client-tls")]
use drupe_core::tls::ClientTlsFiles;
use drupe_core::{Dial, Event, Failure, Handler, Hub, OutgoingBuf, PayloadBuf, Peer, Reason};

use std::collections::BTreeMap;

use core::fmt;
use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Poll, Waker};
use core::time::Duration;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io;
use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// A handle to a [client](drupe_core::kit::client) that runs on a shell.
///
/// Clones refer to the same client, which closes its connection when the last handle is dropped.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

/// A message or an event that a client receives.
///
/// While more than 64 KiB or 256 of these are queued, the client does not read from the server, and
/// drops events about the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Incoming {
    /// The client is connected and, if it logs in, authenticated.
    Connected(Peer),
    /// The server of a WebSocket chose this subprotocol. [`Connected`](Self::Connected) follows.
    Subprotocol(String),
    /// The server sent a message.
    Message(PayloadBuf),
    /// A telnet server sent a [prompt](drupe_core::telnet::Signal::Prompt).
    Prompt(PayloadBuf),
    /// A telnet server changed where the input is edited and echoed. This item is never dropped.
    ClientMode(ClientMode),
    /// A telnet server sent a message of the Generic MUD Communication Protocol (GMCP).
    #[non_exhaustive]
    Gmcp {
        /// The names of the package and message, such as `Core.Hello`.
        package: String,
        /// The message's JSON, not validated; empty if the message has none.
        data: String,
    },
    /// A message to the server was lost, because the connection ended before the client sent it.
    Unsent,
    /// The connection ended for this reason.
    Disconnected(Reason),
    /// A connection attempt failed. The next attempt, if any, starts after this time.
    DialFailed(Failure, Option<Duration>),
    /// The login failed: the server rejected it, or could not prove its identity.
    ///
    /// The client does not reconnect.
    LoginFailed(String),
}

/// The handler of a client that a [`Client`] handle controls.
pub struct Handled {
    client: Machine<Tell>,
    link: Arc<Path>,
}

/// A note from a [`Client`] to its handler that commands are queued or that reading may resume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_structs, reason = "it has no fields")]
pub struct Wanted;

type Tell = Box<dyn FnMut(ClientEvent<'_>) -> bool + Send>;
type Path = Link<Incoming, ClientCommand>;

struct Shared {
    link: Arc<Path>,
    remote: Remote<Wanted>,
    answers: Arc<Mutex<Answers>>,
    finished: AtomicBool,
}

/// The number of calls made so far, and the outstanding calls by number.
#[derive(Default)]
struct Answers {
    made: u64,
    waiting: BTreeMap<u64, Answer>,
}

enum Answer {
    Awaited(Option<Waker>),
    There(Result<String, CallError>),
}

impl Weight for Incoming {
    fn bytes(&self) -> usize {
        match self {
            Self::Message(message) | Self::Prompt(message) => message.as_payload().as_bytes().len(),
            Self::Gmcp { package, data } => package.len() + data.len(),
            _ => 0,
        }
    }
}

impl Weight for ClientCommand {
    fn bytes(&self) -> usize {
        match self {
            Self::Send(message) | Self::Subscribe(_, message) => message.as_outgoing().len(),
            Self::Write(text) => text.as_payload().as_bytes().len(),
            Self::Call { params, .. } => params.len(),
            _ => 0,
        }
    }
}

impl Client {
    /// Creates a client and the server that drives it, to run on a task or thread of your own.
    ///
    /// `secret` is 32 unpredictable bytes, as from [`secret`](super::secret).
    ///
    /// If the TLS settings of the dial are [pending](drupe_core::tls::ClientTls::pending), as those
    /// of a parsed `wss://` address, the client trusts what the operating system trusts.
    ///
    /// # Errors
    /// If TLS settings are pending and the feature `client-tls` is off, or the system has no
    /// certificates. If TLS over a Unix socket has no server name. If the configuration has a
    /// listener that cannot be bound; the default configuration has none.
    pub fn with_driver<R: Runtime>(
        mut options: ClientOptions,
        secret: [u8; 32],
    ) -> Result<(Self, Server<Handled, R>), StartError> {
        options.dial.fill_tls(load_tls).and_then(|()| check_name(&options.dial)).map_err(StartError::Tls)?;
        let (link, answers) = (Path::new(), Arc::new(Mutex::new(Answers::default())));
        // Nothing can be sent before the client is connected.
        link.set_stalled(true);
        let (inbox, settle) = (Arc::clone(&link), Arc::clone(&answers));
        let mut last = Reason::NetworkError;
        let tell = move |event: ClientEvent<'_>| {
            match event {
                ClientEvent::Connected(peer) => {
                    inbox.set_stalled(false);
                    inbox.mention(Incoming::Connected(peer));
                }
                ClientEvent::Subprotocol(chosen) => inbox.mention(Incoming::Subprotocol(chosen.into())),
                ClientEvent::Signal(signal) => {
                    let incoming = match signal {
                        Signal::Prompt(text) => Incoming::Prompt(text.to_owned()),
                        Signal::ClientMode(mode) => Incoming::ClientMode(mode),
                        Signal::Gmcp { package, data, .. } => {
                            Incoming::Gmcp { package: package.into(), data: data.into() }
                        }
                        _ => return true,
                    };
                    return !inbox.deliver(incoming);
                }
                ClientEvent::Message(payload) => return !inbox.deliver(Incoming::Message(payload.to_owned())),
                ClientEvent::Answered { number, result } => {
                    let waker = lock(&settle).settle(number, result);
                    waker.into_iter().for_each(Waker::wake);
                }
                ClientEvent::Unsent => inbox.mention(Incoming::Unsent),
                ClientEvent::Disconnected(reason) => {
                    inbox.set_stalled(true);
                    last = reason;
                    inbox.mention(Incoming::Disconnected(reason));
                }
                ClientEvent::DialFailed(failure, again) => {
                    last = failure.reason();
                    inbox.mention(Incoming::DialFailed(failure, again));
                }
                ClientEvent::LoginFailed(why) => inbox.mention(Incoming::LoginFailed(why)),
                ClientEvent::Ended => inbox.end(last),
                _ => {}
            }
            true
        };
        let config = options.config.clone();
        let client = Machine::new(options, secret, Box::new(tell) as Tell);
        let server = Server::bind(config, Handled { client, link: Arc::clone(&link) })?;
        let shared = Arc::new(Shared { link, remote: server.remote(), answers, finished: AtomicBool::new(false) });
        Ok((Self { shared }, server))
    }

    /// Creates a client that runs on its own thread.
    ///
    /// TLS settings are as for [`with_driver`](Self::with_driver).
    ///
    /// # Errors
    /// If the system has no random bytes, or cannot start a thread. Those of
    /// [`with_driver`](Self::with_driver).
    pub fn connect<R: Runtime + 'static>(options: ClientOptions) -> io::Result<Self> {
        let (client, server) = Self::with_driver::<R>(options, super::secret()?).map_err(|error| match error {
            StartError::Bind(error) => error.source,
            StartError::Tls(error) | StartError::Thread(error) => error,
        })?;
        thread::Builder::new().name("drupe-client".into()).spawn(move || server.run_blocking())?;
        Ok(client)
    }

    /// Receives the next message or event. Returns `None` after the client has ended.
    ///
    /// If several clones receive, each event goes to one of them.
    pub async fn receive(&mut self) -> Option<Incoming> {
        poll_fn(|cx| self.shared.link.poll_receive(cx, || self.shared.call())).await
    }

    /// Sends a message. Waits while the client is not connected or the server does not keep up.
    ///
    /// # Errors
    /// If the client has ended or was asked to finish.
    pub async fn send(&self, message: impl Into<OutgoingBuf>) -> Result<(), Disconnected> {
        self.put_when_ready(ClientCommand::Send(message.into())).await
    }

    /// Sends text without a line ending, such as keys, on lines, telnet and raw bytes.
    ///
    /// Waits as [`send`](Self::send) does. On other wires, the text is lost:
    /// [`Incoming::Unsent`] follows.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub async fn write(&self, text: impl Into<PayloadBuf>) -> Result<(), Disconnected> {
        self.put_when_ready(ClientCommand::Write(text.into())).await
    }

    /// Sets the size of the window that a telnet server sees (NAWS), on this and each new connection.
    ///
    /// # Errors
    /// If the client has ended.
    pub fn set_window_size(&self, columns: u16, rows: u16) -> Result<(), Disconnected> {
        self.shared.put(ClientCommand::Resize(columns, rows))
    }

    /// Sends a message now, if the client is connected, and on each later connection.
    ///
    /// This ends when another message replaces it under the same key, or when
    /// [`unsubscribe`](Self::unsubscribe) removes it.
    ///
    /// # Errors
    /// If the client has ended.
    pub fn subscribe(&self, key: impl Into<String>, message: impl Into<OutgoingBuf>) -> Result<(), Disconnected> {
        self.shared.put(ClientCommand::Subscribe(key.into(), message.into()))
    }

    /// Removes the subscription with this key.
    ///
    /// # Errors
    /// If the client has ended.
    pub fn unsubscribe(&self, key: impl Into<String>) -> Result<(), Disconnected> {
        self.shared.put(ClientCommand::Unsubscribe(key.into()))
    }

    /// Calls a JSON-RPC 2.0 method of the server, and returns its result.
    ///
    /// `deadline` includes the time until the client is connected.
    ///
    /// # Errors
    /// If the server returns an error, if no response arrives within `deadline`, or if the
    /// connection ends first.
    pub async fn call<R: DeserializeOwned>(
        &self,
        method: &str,
        params: &impl Serialize,
        deadline: Duration,
    ) -> Result<R, CallError> {
        let unexpected = |error: serde_json::Error| CallError::Unexpected(error.to_string());
        let params = serde_json::to_string(params).map_err(unexpected)?;
        let awaited = Awaited::new(&self.shared.answers);
        let call = ClientCommand::Call { number: awaited.number, method: method.to_string(), params, deadline };
        self.shared.put(call).map_err(|_| CallError::Closed)?;
        let result = poll_fn(|cx| {
            // Nothing is answered after the client has ended.
            let is_over = self.shared.link.poll_done(cx).is_some();
            awaited.poll(cx.waker(), is_over)
        });
        serde_json::from_str(&result.await?).map_err(unexpected)
    }

    /// Closes the sending half of the connection, or the whole WebSocket. Disables reconnection.
    ///
    /// The client receives until the server closes the connection.
    pub fn finish(&self) {
        self.shared.finished.store(true, Ordering::Relaxed);
        let _ = self.shared.put(ClientCommand::Finish);
    }

    /// Closes the connection after all queued messages were sent. Disables reconnection.
    pub fn close(&self) {
        let _ = self.shared.put(ClientCommand::Close);
    }

    async fn put_when_ready(&self, command: ClientCommand) -> Result<(), Disconnected> {
        poll_fn(|cx| self.shared.link.poll_ready(cx)).await.map_err(Disconnected)?;
        if self.shared.finished.load(Ordering::Relaxed) {
            return Err(Disconnected(Reason::Application));
        }
        self.shared.put(command)
    }
}

/// Loads TLS settings that trust what the operating system trusts.
#[cfg(feature = "client-tls")]
fn load_tls() -> io::Result<ClientTls> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let loaded = super::platform_roots(&provider).and_then(|roots| ClientTlsFiles::new(roots).load(&provider));
    loaded.map_err(io::Error::other)
}

/// Returns the error of a build that cannot load TLS settings.
#[cfg(not(feature = "client-tls"))]
fn load_tls() -> io::Result<ClientTls> {
    let words = "TLS has no roots: enable the feature client-tls for those of the system, or set Dial::tls";
    Err(io::Error::new(io::ErrorKind::Unsupported, words))
}

/// Refuses TLS over a Unix socket without a server name: a certificate cannot name a path.
fn check_name(dial: &Dial) -> io::Result<()> {
    let mut addresses = core::iter::once(&dial.address).chain(&dial.others);
    let is_unnamed = dial.tls.as_ref().is_some_and(|tls| tls.server_name.is_none());
    match addresses.find(|address| is_unnamed && Dial::socket_path(address).is_some()) {
        Some(address) => {
            let words = format!("{address} names no host: set ClientTls::server_name for the certificate");
            Err(io::Error::new(io::ErrorKind::InvalidInput, words))
        }
        None => Ok(()),
    }
}

impl Shared {
    fn put(&self, command: ClientCommand) -> Result<(), Disconnected> {
        self.link.put(command, || self.call()).map_err(Disconnected)
    }

    fn call(&self) {
        // At most one note is queued.
        self.remote.note_in_any_case(Wanted);
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let _ = self.put(ClientCommand::Close);
    }
}

/// An outstanding call whose result a task awaits.
struct Awaited<'a> {
    answers: &'a Mutex<Answers>,
    number: u64,
}

impl<'a> Awaited<'a> {
    fn new(answers: &'a Mutex<Answers>) -> Self {
        let mut all = lock(answers);
        all.made += 1;
        let number = all.made;
        all.waiting.insert(number, Answer::Awaited(None));
        Self { answers, number }
    }

    fn poll(&self, waker: &Waker, is_over: bool) -> Poll<Result<String, CallError>> {
        let mut answers = lock(self.answers);
        match answers.waiting.get_mut(&self.number) {
            Some(Answer::There(_)) => match answers.waiting.remove(&self.number) {
                Some(Answer::There(result)) => Poll::Ready(result),
                _ => Poll::Ready(Err(CallError::Closed)),
            },
            Some(Answer::Awaited(place)) if !is_over => {
                *place = Some(waker.clone());
                Poll::Pending
            }
            _ => Poll::Ready(Err(CallError::Closed)),
        }
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        lock(self.answers).waiting.remove(&self.number);
    }
}

impl Answers {
    /// Stores the result of an outstanding call. Returns the waker of the waiting task, if any.
    fn settle(&mut self, number: u64, result: Result<String, CallError>) -> Option<Waker> {
        match core::mem::replace(self.waiting.get_mut(&number)?, Answer::There(result)) {
            Answer::Awaited(waker) => waker,
            Answer::There(_) => None,
        }
    }
}

fn lock(answers: &Mutex<Answers>) -> MutexGuard<'_, Answers> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Handler for Handled {
    type Context = ();
    type Note = Wanted;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Wanted>) {
        if let Ok(event) = event.with_other_notes() {
            match event {
                Event::Stalled { .. } => self.link.set_stalled(true),
                Event::Drained { .. } => self.link.set_stalled(false),
                _ => {}
            }
            return self.client.on(hub, event);
        }
        let (commands, resumes) = self.link.take_actions();
        for command in commands {
            self.client.command(hub, command);
        }
        if resumes {
            self.client.command(hub, ClientCommand::Resume);
        }
        self.link.done();
    }
}

/// Reports the end of the client to its handles when the driver is dropped.
impl Drop for Handled {
    fn drop(&mut self) {
        self.link.end(Reason::Shutdown);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl fmt::Debug for Handled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handled").field("client", &self.client).finish_non_exhaustive()
    }
}
