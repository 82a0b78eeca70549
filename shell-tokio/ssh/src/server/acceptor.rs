//! The SSH server of one listener, and the course of its connections.

use super::channel::{Link, Session};
use super::course::{Cause, Course, End};
use super::handler::{SessionError, SessionHandler};
use super::rules::Rules;
use super::startups::{Startup, Startups};
use super::throttle::Throttled;
use super::worker::Worker;
use crate::line::{Cut, Line};
use crate::stream::{Flow, SshStream};
use drupe_core::wire::ssh::SshFault;
use drupe_core::{Failure, Peer};
use drupe_shell::{Channel, OsStream, SshAccept, entropy};
use russh::keys::PrivateKey;
use russh::server::{Config, RunningSession, run_stream};
use russh::{Disconnect, Error, MethodKind, MethodSet, SshId};
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::timeout;

/// Time that each refused attempt to authenticate takes, whatever its reason.
const REJECTION: Duration = Duration::from_millis(300);
/// Time without input after which the client is asked whether it is alive. Three questions are asked.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// Limit on what is kept for a client that does not read, beyond the output of its session, in bytes.
const TAKEN_MAX_BYTES: usize = 2 << 20;
/// Size of a channel's window, in bytes.
const WINDOW_BYTES: u32 = 128 << 10;
/// Maximum time for sent data to arrive, and for the client to close the connection, after its session has ended.
const GOODBYE_MAX: Duration = Duration::from_secs(5);
/// Time for a client to close the connection by itself. A client that shares it among sessions does not.
const CLOSES_WITHIN: Duration = Duration::from_secs(2);

/// The SSH server of one listener.
pub(super) struct Acceptor {
    rules: Arc<Rules>,
    config: Arc<Config>,
    startups: Arc<Startups>,
    worker: Arc<Worker>,
}

/// The [`Acceptor`] as a driver sees it.
pub(super) struct Accept(pub(super) Arc<Acceptor>);

impl Acceptor {
    pub(super) fn new(rules: Rules, host_key: PrivateKey, worker: Arc<Worker>) -> Arc<Self> {
        let server = &rules.server;
        let mut methods = MethodSet::empty();
        if server.authorized_keys_path.is_some() || server.takes_keys {
            methods.push(MethodKind::PublicKey);
        }
        if server.takes_passwords {
            methods.push(MethodKind::Password);
        }
        if server.is_open {
            methods.push(MethodKind::None);
        }
        let config = Config {
            server_id: SshId::Standard(concat!("SSH-2.0-drupe_", env!("CARGO_PKG_VERSION")).into()),
            methods,
            keys: vec![host_key],
            auth_rejection_time: REJECTION,
            auth_rejection_time_initial: Some(Duration::ZERO),
            // The first question, which methods there are, counts as an attempt.
            max_auth_attempts: usize::try_from(server.attempts_max).unwrap_or(usize::MAX).saturating_add(1),
            window_size: WINDOW_BYTES,
            // The machine limits the time up to the login, and the silence of a session.
            inactivity_timeout: None,
            keepalive_interval: Some(KEEP_ALIVE),
            ..Config::default()
        };
        let startups = Startups::new(server.startups_max);
        Arc::new(Self { rules: Arc::new(rules), config: Arc::new(config), startups, worker })
    }
}

impl SshAccept for Accept {
    fn accept(&self, stream: OsStream, peer: Peer) -> Box<dyn Channel> {
        let link = Arc::new(Link::default());
        match self.0.startups.admit(peer, entropy()) {
            None => link.input.end_with(SshFault::Busy),
            Some(startup) => {
                let connection = Connection { acceptor: Arc::clone(&self.0), peer, link: Arc::clone(&link) };
                self.0.worker.spawn(connection.run(stream, startup));
            }
        }
        Box::new(Session::new(link))
    }
}

/// One SSH connection.
struct Connection {
    acceptor: Arc<Acceptor>,
    peer: Peer,
    link: Arc<Link>,
}

impl Connection {
    /// Runs the connection until it has ended, or the machine has dropped it.
    async fn run(self, stream: OsStream, startup: Startup) {
        let course = Arc::new(Mutex::new(Course::new(self.acceptor.rules.server.attempts_max)));
        let cut = Cut::default();
        let result = tokio::select! {
            biased;
            () = self.link.dropped.notified() => {
                cut.cut();
                return self.link.input.end();
            }
            begun = self.begin(stream, startup, cut.clone(), Arc::clone(&course)) => match begun {
                Ok(session) => self.serve(session, &cut).await,
                Err(error) => Err(error),
            },
        };
        self.end(&result, &course.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Exchanges the versions, which precede the key exchange.
    async fn begin(
        &self,
        stream: OsStream,
        startup: Startup,
        cut: Cut,
        course: Arc<Mutex<Course>>,
    ) -> Result<RunningSession<SessionHandler>, SessionError> {
        let (rules, link) = (Arc::clone(&self.acceptor.rules), Arc::clone(&self.link));
        let socket = Throttled::new(stream, Arc::clone(&link.input)).map_err(Error::from)?;
        let flow = Flow { outgoing: link.outgoing.clone(), ..Flow::default() };
        let handler = SessionHandler::new(rules, self.peer, link, course, startup);
        let config = Arc::clone(&self.acceptor.config);
        run_stream(config, SshStream::new(Line::new(socket, cut), flow).taken_max(TAKEN_MAX_BYTES), handler).await
    }

    /// Waits until the client has closed the connection. Once the machine drops it, the client has a moment for that.
    async fn serve(&self, mut session: RunningSession<SessionHandler>, cut: &Cut) -> Result<(), SessionError> {
        tokio::select! {
            result = &mut session => return result,
            () = self.link.dropped.notified() => {}
        }
        let handle = session.handle();
        let goodbye = async {
            if let Some(rest) = self.link.take_rest() {
                let _ = rest.await;
                if let Ok(result) = timeout(CLOSES_WITHIN, &mut session).await {
                    return result;
                }
            }
            let _ = handle.disconnect(Disconnect::ByApplication, "the connection is closed".into(), "en".into()).await;
            session.await
        };
        let result = timeout(GOODBYE_MAX, goodbye).await;
        cut.cut();
        result.unwrap_or(Ok(()))
    }

    /// Reports to the machine how the connection ended.
    fn end(&self, result: &Result<(), SessionError>, course: &Course) {
        let input = &self.link.input;
        let cause = result.as_ref().err().map_or(Cause::Done, cause_of);
        match course.end(cause) {
            End::Input => input.end(),
            End::TimedOut => input.fail(Failure::TimedOut),
            End::Fault(fault) => input.end_with(fault),
            End::Broken => input.fail(match result {
                Err(SessionError::Ssh(Error::IO(error))) => Failure::from(error),
                _ => Failure::Reset,
            }),
        }
    }
}

fn cause_of(error: &SessionError) -> Cause {
    match error {
        SessionError::Fault(fault) => Cause::Limit(*fault),
        SessionError::Ssh(error) => match error {
            Error::HUP | Error::Disconnect => Cause::HungUp,
            Error::IO(error) if error.kind() == ErrorKind::UnexpectedEof => Cause::HungUp,
            Error::IO(_) => Cause::Socket,
            Error::KeepaliveTimeout => Cause::Silent,
            Error::Version => Cause::Version,
            Error::KexInit | Error::UnknownAlgo | Error::NoCommonAlgo { .. } | Error::Kex => Cause::KeyExchange,
            _ => Cause::Protocol,
        },
    }
}
