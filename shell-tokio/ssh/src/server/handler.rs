//! Callbacks for messages of an SSH client.

use super::channel::Link;
use super::course::{Course, Refusal};
use super::key_text::{is_user, text_of};
use super::rules::Rules;
use super::startups::Startup;
use drupe_core::Peer;
use drupe_core::wire::ssh::{LoginProof, SshFault, SshFrame, SshLogin, SshTerminal};
use russh::keys::PublicKey;
use russh::server::{Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelOpenFailure, ChannelWriteHalf, Pty, Sig};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The longest command, in bytes.
const COMMAND_MAX_BYTES: usize = 16 << 10;
/// The byte that a terminal sends for its interrupt key.
const INTERRUPT: u8 = 3;

/// The error of a connection.
#[derive(Debug)]
pub(super) enum SessionError {
    Ssh(russh::Error),
    /// The peer has failed too often, or has asked for too much.
    Fault(SshFault),
}

impl From<russh::Error> for SessionError {
    fn from(error: russh::Error) -> Self {
        Self::Ssh(error)
    }
}

/// The handler of one SSH connection.
pub(super) struct SessionHandler {
    rules: Arc<Rules>,
    peer: Peer,
    link: Arc<Link>,
    course: Arc<Mutex<Course>>,
    /// The place among the connections that have not logged in, until the session begins.
    startup: Option<Startup>,
    login: SshLogin,
    /// The sending half of the session's channel, until the session begins.
    half: Option<ChannelWriteHalf<Msg>>,
    /// Whether the session has a terminal.
    has_terminal: bool,
}

impl SessionHandler {
    pub(super) fn new(
        rules: Arc<Rules>,
        peer: Peer,
        link: Arc<Link>,
        course: Arc<Mutex<Course>>,
        startup: Startup,
    ) -> Self {
        Self {
            rules,
            peer,
            link,
            course,
            startup: Some(startup),
            login: SshLogin::default(),
            half: None,
            has_terminal: false,
        }
    }

    fn admit(&mut self, user: &str, is_authenticated: bool) -> Auth {
        let login = SshLogin::user(user);
        self.login = if is_authenticated { login.authenticated() } else { login };
        self.course().admit();
        Auth::Accept
    }

    /// Returns `true` if a key is in the files, or the application accepts it.
    async fn may_log_in(&self, user: &str, key: &PublicKey, proof: impl FnOnce(String) -> LoginProof) -> bool {
        if self.rules.keys.has(user, key) {
            return true;
        }
        if !self.rules.server.takes_keys {
            return false;
        }
        let Some(text) = text_of(key) else { return false };
        self.ask(user, proof(text)).await
    }

    async fn ask(&self, user: &str, proof: LoginProof) -> bool {
        self.link.attempts.ask(&self.link.input, user, proof).await
    }

    /// Counts a failed attempt to authenticate.
    fn fail(&self) -> Result<Auth, SessionError> {
        self.course().fail().map_err(SessionError::Fault)?;
        Ok(Auth::reject())
    }

    /// Logs a request that is refused. Ends a connection with too many of them.
    fn refuse(&self, what: &str) -> Result<(), SessionError> {
        let end = match self.course().refuse() {
            Refusal::Log => "",
            Refusal::LogLast => "; no more are logged",
            Refusal::Ignore => return Ok(()),
            Refusal::End(fault) => return Err(SessionError::Fault(fault)),
        };
        (self.rules.log)(&format!("ssh: {what} of {:?} from {} is refused{end}", self.login.user, self.peer));
        Ok(())
    }

    /// Begins the session. Without a `command`, the client's input follows.
    fn begin(&mut self, channel: ChannelId, command: Option<&[u8]>, session: &mut Session) -> Result<(), SessionError> {
        let may_begin = self.course().begin(channel.into());
        let Some(half) = self.half.take_if(|_| may_begin) else {
            self.refuse("a second session in a channel")?;
            return Ok(session.channel_failure(channel)?);
        };
        if command.is_some() {
            // There is nothing to edit, but the client's terminal needs a CR in front of each LF.
            self.login.has_crlf = self.login.terminal.take().is_some();
        }
        self.has_terminal = self.login.terminal.is_some();
        session.channel_success(channel)?;
        let _ = self.link.half.set(Arc::new(half));
        self.startup = None;
        self.link.input.push(SshFrame::Login(&self.login));
        if let Some(command) = command {
            self.link.input.push(SshFrame::Data(&[command, b"\n"].concat()));
            self.link.input.end();
        }
        Ok(())
    }

    /// Returns `true` for the channel of the session, once it has begun.
    fn is_session(&self, channel: ChannelId) -> bool {
        self.course().is_session(channel.into())
    }

    fn course(&self) -> MutexGuard<'_, Course> {
        self.course.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for SessionHandler {
    type Error = SessionError;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, SessionError> {
        if self.rules.server.is_open && is_user(user) {
            return Ok(self.admit(user, false));
        }
        // Clients ask like this which methods there are.
        Ok(Auth::reject())
    }

    async fn auth_publickey_offered(&mut self, user: &str, offer: PublicKeyOffer<'_>) -> Result<Auth, SessionError> {
        if self.may_log_in(user, offer.public_key, LoginProof::Offer).await { Ok(Auth::Accept) } else { self.fail() }
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, SessionError> {
        let may = self.may_log_in(user, key.public_key, LoginProof::Key).await;
        if may { Ok(self.admit(user, true)) } else { self.fail() }
    }

    async fn auth_password(&mut self, user: &str, password: &str) -> Result<Auth, SessionError> {
        let proof = LoginProof::Password(password.to_owned());
        let is_right = self.rules.server.takes_passwords && self.ask(user, proof).await;
        if is_right { Ok(self.admit(user, true)) } else { self.fail() }
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        if !self.course().open(channel.id().into()) {
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return self.refuse("a second session");
        }
        // The reading half is dropped: the handler gets what the client sends.
        let (_, half) = channel.split();
        self.half = Some(half);
        reply.accept().await;
        Ok(())
    }

    // No other channels exist. Dropping the reply refuses the channel.

    async fn channel_open_x11(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse("an X11 channel")
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        _: Channel<Msg>,
        host: &str,
        port: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse(&format!("forwarding to {host:?} port {port}"))
    }

    async fn channel_open_forwarded_tcpip(
        &mut self,
        _: Channel<Msg>,
        _: &str,
        _: u32,
        _: &str,
        _: u32,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse("a forwarded connection")
    }

    async fn channel_open_direct_streamlocal(
        &mut self,
        _: Channel<Msg>,
        path: &str,
        _: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse(&format!("forwarding to the socket {path:?}"))
    }

    async fn pty_request(
        &mut self,
        channel: ChannelId,
        term: &str,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &[(Pty, u32)],
        session: &mut Session,
    ) -> Result<(), SessionError> {
        if !self.course().is_own(channel.into()) {
            return Ok(session.channel_failure(channel)?);
        }
        let name: String = term.chars().take(SshLogin::USER_MAX_BYTES).collect();
        self.login.terminal = Some(SshTerminal::new(&name, columns, rows));
        Ok(session.channel_success(channel)?)
    }

    async fn env_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        value: &str,
        session: &mut Session,
    ) -> Result<(), SessionError> {
        if self.course().is_own(channel.into()) && self.login.add_variable(name, value) {
            return Ok(session.channel_success(channel)?);
        }
        self.refuse("an environment variable beyond the limits")?;
        Ok(session.channel_failure(channel)?)
    }

    async fn shell_request(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), SessionError> {
        self.begin(channel, None, session)
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        command: &[u8],
        session: &mut Session,
    ) -> Result<(), SessionError> {
        let is_line = command.len() <= COMMAND_MAX_BYTES && !command.iter().any(u8::is_ascii_control);
        if is_line {
            return self.begin(channel, Some(command), session);
        }
        self.refuse("a command that is not one short line")?;
        Ok(session.channel_failure(channel)?)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse(&format!("the subsystem {name:?}"))?;
        Ok(session.channel_failure(channel)?)
    }

    async fn x11_request(
        &mut self,
        channel: ChannelId,
        _: bool,
        _: &str,
        _: &str,
        _: u32,
        session: &mut Session,
    ) -> Result<(), SessionError> {
        self.refuse("X11 forwarding")?;
        Ok(session.channel_failure(channel)?)
    }

    async fn agent_request(&mut self, _: ChannelId, _: &mut Session) -> Result<bool, SessionError> {
        self.refuse("agent forwarding")?;
        Ok(false)
    }

    async fn tcpip_forward(&mut self, host: &str, port: &mut u32, _: &mut Session) -> Result<bool, SessionError> {
        self.refuse(&format!("forwarding from {host:?} port {port}"))?;
        Ok(false)
    }

    async fn streamlocal_forward(&mut self, path: &str, _: &mut Session) -> Result<bool, SessionError> {
        self.refuse(&format!("forwarding from the socket {path:?}"))?;
        Ok(false)
    }

    async fn window_change_request(
        &mut self,
        channel: ChannelId,
        columns: u32,
        rows: u32,
        _: u32,
        _: u32,
        _: &mut Session,
    ) -> Result<(), SessionError> {
        if self.is_session(channel) {
            self.link.input.push(SshFrame::resized(columns, rows));
        }
        Ok(())
    }

    async fn signal(&mut self, channel: ChannelId, signal: Sig, _: &mut Session) -> Result<(), SessionError> {
        if self.is_session(channel) && self.has_terminal && matches!(signal, Sig::INT) {
            self.link.input.push(SshFrame::Data(&[INTERRUPT]));
        }
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], _: &mut Session) -> Result<(), SessionError> {
        if self.is_session(channel) {
            self.link.input.push(SshFrame::Data(data));
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, _: &mut Session) -> Result<(), SessionError> {
        if self.is_session(channel) {
            self.link.input.end();
        }
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), SessionError> {
        self.channel_eof(channel, session).await
    }
}
