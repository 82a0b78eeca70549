//! Authentication: SCRAM passwords, signed tokens, a login dialogue, and limits on guessing.
//!
//! [`Authentication`] is a [layer](super::layer). The wrapped handler receives no event of a
//! connection whose peer has not authenticated. A TLS client certificate that names a user
//! suffices. Otherwise, the peer's first message is its proof:
//!
//! | first message | answer |
//! |---|---|
//! | `{"type":"auth","token":"..."}` or `/auth TOKEN` | `{"type":"auth_ok","user":"ann"}` or `notice: you are ann` |
//! | `{"type":"auth","scram":"n,,n=ann,r=..."}` or `/auth scram n,,n=ann,r=...` | `{"type":"auth","scram":"r=...,s=...,i=..."}` or `scram r=...,s=...,i=...` |
//! | and then `{"type":"auth","scram":"c=biws,r=...,p=..."}` | `{"type":"auth_ok","user":"ann","scram":"v=..."}` or `scram v=...`, `notice: you are ann` |
//! | `{"type":"auth","user":"ann","password":"..."}`, only with TLS or on this machine | `{"type":"auth_ok","user":"ann"}` |
//! | none, for a WebSocket with a header field `Authorization: Bearer TOKEN` (RFC 6750 section 2.1) | `auth_ok` |
//! | none, for a WebSocket with `?token=TOKEN`, if [enabled](Authentication::token_in_query) | `auth_ok` |
//! | a user name, then a password, if the [dialogue](Authentication::dialogue) is enabled | `notice: you are ann` |
//! | `{"type":"register","user":"ann","password":"..."}` or `create ann PASSWORD`, if [registration](Authentication::registration) is open | as after a login |
//!
//! The client of an SSH listener proves itself before its session begins, with a public key or a password: see
//! [`Provider::public_key`]. Its attempts count as those of other peers. The listener limits their number per
//! connection.
//!
//! A plaintext password is refused where it would cross a network unencrypted, unless
//! [`allow_plaintext`](Authentication::allow_plaintext) is set. A program that can, uses SCRAM
//! instead, which does not send the password.
//!
//! While the layer checks this proof, it pauses the connection. Messages that the peer sends
//! meanwhile are handled afterwards.
//!
//! Later, a message of the type `auth` with a token renews the authentication. The token must name
//! the same user; the authentication is then valid until the new token expires. Without a renewal,
//! the connection ends as [`Reason::SessionExpired`] (close code 4401 on a WebSocket) when the old
//! token expires.
//!
//! If [tokens are issued](Authentication::issue_tokens), the answer to `{"type":"token"}` of an
//! authenticated peer is `{"type":"token","token":"...","expires_in":300}`. Over HTTP, the
//! [token endpoint](Authentication::token_path) issues them.
//!
//! The answer to a wrong proof is
//! `{"type":"error","of":"auth","code":"unauthorized","reason":"..."}`. A JSON-RPC call before the
//! login is answered with the error `RpcError::UNAUTHORIZED` and its id. The peer may try again,
//! within [`AuthenticationLimits`]. A connection that is not authenticated in time ends as
//! [`Reason::AuthenticationTimeout`].
//!
//! A refused registration is answered with
//! `{"type":"error","of":"register","code":"name_taken","reason":"..."}`. Its codes are `name_taken`,
//! `invalid_name`, `weak_password`, `invalid_password`, `too_many`, `registration_closed`,
//! `unauthorized` (the password was sent without TLS) and `refused`.
//!
//! # Keys of tokens
//!
//! A [`TokenKey`] has one algorithm (HS256, RS256, ES256 or EdDSA), and a token with another `alg`
//! is refused. The public keys of an identity provider come as a [`KeySet`] (JWKS), which the
//! application reads from a file or fetches. The core verifies HS256 and EdDSA itself. For RS256 and
//! ES256 it takes a [`SignatureVerifier`]: with the feature `tls`, that of rustls. So the core needs
//! no RSA of its own: the crate `rsa` has an advisory (RUSTSEC-2023-0071), and a server with TLS has
//! a better one already.
//!
//! The [identity](crate::Identity) of a connection has all claims of its token, such as
//! `identity.claim("tenant")`.
//!
//! # Several shards
//!
//! Each [shard](crate::Shard) has its own layer, but the limits hold for the whole server. The
//! layer on the first shard counts failures, and tracks connected users and used tokens. The others
//! [query](crate::Hub::send_to_shard) it. No two shards use the same nonce, even with the same
//! secret.
//!
//! # Several hosts
//!
//! A single-use token is valid on one host of a [cluster](crate::Cluster). Before a host accepts one, it
//! [claims](crate::Hub::claim) a hash of its identifier at the broker. Without the broker, single-use tokens are refused.
//! Each host counts failures for itself.
//!
//! # Work
//!
//! Checking SCRAM and tokens takes microseconds. A plaintext password must be hashed, which takes
//! milliseconds. That is [offloaded](crate::Hub::offload), for one connection of each address at a
//! time. An attempt with an unknown user name costs exactly as much as one with a known name.
//!
//! No `Debug` output, log or metric shows passwords, tokens or keys. A [trace](crate::trace) of
//! such a server omits notes and what peers sent, unless its [`Recorder`](crate::trace::Recorder)
//! is verbatim.

mod attempt;
mod before_session;
mod checks;
mod claims;
mod delayed;
mod der;
mod dialogue;
mod ends;
mod exchange;
mod issue;
mod key;
mod key_set;
#[cfg(all(test, feature = "tls"))]
mod key_set_tests;
mod limits;
mod logins;
mod messages;
mod nonces;
mod once;
mod proof;
mod provider;
mod public_key;
mod refusal;
mod registering;
mod registration;
mod registry;
mod scopes;
pub mod scram;
mod signature;
mod steps;
#[cfg(test)]
mod tests;
mod token;
mod turns;
mod used;
mod waiting;

pub use claims::{Audience, Claims};
pub use issue::IssuedTokens;
pub use key::{TokenKey, TokenKeyError};
pub use key_set::{KEY_SET_MAX_BYTES, KeySet, KeySetError, SkipReason, SkippedKey};
pub use limits::AuthenticationLimits;
pub(crate) use nonces::Nonces;
pub use provider::{Account, Accounts, LateAnswer, Lookup, Provider, Registration, Verdict};
pub use public_key::{PublicKey, PublicKeyError};
pub use refusal::TokenError;
pub use registration::{RegistrationRules, parse_user_name};
pub use registry::DuplicateLogin;
#[cfg(feature = "tls")]
pub use signature::RustlsSignatures;
pub use signature::SignatureVerifier;
pub use token::Tokens;
pub use used::{SingleUse, UsedTokens};

use super::layer::Layer;
use super::service::MessageError;
use crate::base::Origin;
use crate::base::{ConnId, Reason};
use crate::handler::{Event, Handler, Hub};
use crate::state::Timer;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use attempt::{Attempt, Candidate};
use core::fmt;
use delayed::Delayed;
use dialogue::Asks;
use issue::Issuer;
use proof::{Proof, proof, refuse, refuse_registration};
use registry::{Answer, Registry};
use turns::Turns;
use waiting::Waiting;

/// Name of the timer that limits the time to authenticate.
const DEADLINE: &str = "drupe::kit::auth::deadline";
/// Name of the timers of messages between hosts about logins.
const LOGINS: &str = "drupe::kit::auth::logins";
/// Topic of the messages between shards, and between hosts, about logins.
const TOPIC: &str = "drupe::kit::auth";

/// A layer that hides incoming connections from the wrapped handler until they authenticate.
///
/// Connections that the application dialled need no authentication.
pub struct Authentication<P> {
    provider: P,
    /// The secret from which nonces, and fake credentials of unknown users, are derived.
    secret: [u8; 32],
    /// The SCRAM nonces of this machine, created on first use.
    nonces: Option<Nonces>,
    limits: AuthenticationLimits,
    token_in_query: bool,
    asks: Asks,
    duplicates: DuplicateLogin,
    /// The login state of the whole server, used on the first shard only.
    registry: Registry,
    /// What the first shard asks of the cluster before it answers, on that shard only.
    delayed: Delayed,
    /// The last user whose login the other hosts were told, while they are told all of them.
    told_until: Option<String>,
    waiting: BTreeMap<ConnId, Waiting>,
    /// Attempts in progress: logins of waiting connections, and renewals.
    attempts: BTreeMap<ConnId, Attempt>,
    turns: Turns,
    /// Connections whose turn to hash a password begins after the current event.
    ready: VecDeque<ConnId>,
    /// Number of failed renewals, by authenticated connection.
    wrong: BTreeMap<ConnId, u32>,
    /// User reported to the first shard, by connection. Empty with [`DuplicateLogin::KeepBoth`].
    sessions: BTreeMap<ConnId, Arc<str>>,
    /// The function that receives failed attempts.
    on_failure: Option<OnFailure>,
    /// The rules for peers that register. `None`: registration is closed.
    registration: Option<RegistrationRules>,
    /// The issuer of tokens, if there is one.
    issuer: Option<Issuer>,
    /// The path of the HTTP endpoint that exchanges tokens, if there is one.
    token_path: Option<String>,
}

/// A function that receives the connection of a failed attempt, and why it failed.
type OnFailure = Box<dyn FnMut(ConnId, &str) + Send>;

impl<P> Authentication<P> {
    /// Creates a layer that checks proofs with this provider.
    ///
    /// `secret` is 32 unpredictable bytes, such as those of `drupe_shell::secret`. All shards need
    /// the same bytes, so that they return the same salts for users that do not exist. The same
    /// bytes and the same [seed](crate::Config::seed) replay a run.
    pub fn new(provider: P, secret: [u8; 32]) -> Self {
        Self {
            provider,
            secret,
            nonces: None,
            limits: AuthenticationLimits::default(),
            token_in_query: false,
            asks: Asks::default(),
            duplicates: DuplicateLogin::default(),
            registry: Registry::default(),
            delayed: Delayed::default(),
            told_until: None,
            waiting: BTreeMap::new(),
            attempts: BTreeMap::new(),
            turns: Turns::default(),
            ready: VecDeque::new(),
            wrong: BTreeMap::new(),
            sessions: BTreeMap::new(),
            on_failure: None,
            registration: None,
            issuer: None,
            token_path: None,
        }
    }

    /// Lets peers that are not authenticated register a user, with a name and a password.
    ///
    /// The [provider](Provider::register) stores the user, and the connection is then
    /// authenticated. A password is accepted only where one may be sent for a login.
    #[must_use]
    pub fn registration(self, rules: RegistrationRules) -> Self {
        Self { registration: Some(rules), ..self }
    }

    /// Issues tokens to authenticated peers, which the layer later accepts as proofs.
    ///
    /// A client can then connect again, or open another connection, without its password. The key
    /// of these tokens (HS256) is derived from the secret of the layer, so they are valid on every
    /// server with the same secret.
    #[must_use]
    pub fn issue_tokens(self, rules: IssuedTokens) -> Self {
        Self { issuer: Issuer::new(rules, &self.secret), ..self }
    }

    /// Sets a function that receives the connection and the reason of each failed attempt.
    ///
    /// The peer receives the same reason, such as `the token has expired`. It contains no secrets
    /// and may be logged. The function is not called for a connection that ends before it tries to
    /// authenticate.
    #[must_use]
    pub fn on_failure(self, call: impl FnMut(ConnId, &str) + Send + 'static) -> Self {
        Self { on_failure: Some(Box::new(call)), ..self }
    }

    /// Sets the limits on login attempts.
    #[must_use]
    pub fn limits(self, limits: AuthenticationLimits) -> Self {
        Self { limits, ..self }
    }

    /// Also accepts a token from the query parameter `token`. Default: off.
    ///
    /// Proxies log URLs, and browsers keep them in their history.
    #[must_use]
    pub fn token_in_query(self) -> Self {
        Self { token_in_query: true, ..self }
    }

    /// Enables prompts for a user name and a password on lines, telnet and telnet over WebSocket.
    ///
    /// The password is sent in plaintext, so the prompt appears only where it crosses no network
    /// unencrypted. That is on connections with TLS, and where the listener or the peer is on this
    /// machine (a loopback address or a Unix socket). [`allow_plaintext`](Self::allow_plaintext)
    /// lifts this restriction.
    #[must_use]
    pub fn dialogue(mut self) -> Self {
        self.asks.is_enabled = true;
        self
    }

    /// Allows password prompts, and passwords in JSON, where they cross a network in plaintext.
    #[must_use]
    pub fn allow_plaintext(mut self) -> Self {
        self.asks.allows_plaintext = true;
        self
    }

    /// Sets what happens when a connected user logs in again.
    #[must_use]
    pub fn duplicates(self, duplicates: DuplicateLogin) -> Self {
        Self { duplicates, ..self }
    }

    /// Exchanges tokens at this path of HTTP listeners, such as `/token`.
    ///
    /// A client sends `Authorization: Bearer TOKEN` with `GET` or `POST`, and gets a short-lived
    /// token that is [issued](Self::issue_tokens) here:
    /// `{"token":"...","token_type":"Bearer","expires_in":300}`. A web page can put that one into the
    /// [query](Self::token_in_query) of a WebSocket, where its own token of an identity provider
    /// would be found in logs.
    ///
    /// The response to a refused token has the status 401, and a body such as
    /// `{"error":"the token has expired"}`. If the [provider](Provider::token) answers later, the
    /// status is 503. Single-use tokens are refused.
    #[must_use]
    pub fn token_path(self, path: impl Into<String>) -> Self {
        Self { token_path: Some(path.into()), ..self }
    }

    /// Returns a mutable reference to the provider, for changes before the server runs.
    ///
    /// While the server runs, a [note](Provider::note) can change the provider's keys and
    /// passwords.
    pub fn provider_mut(&mut self) -> &mut P {
        &mut self.provider
    }
}

impl<P: Provider<H::Note>, H: Handler> Layer<H> for Authentication<P> {
    fn holds_secrets(&self) -> bool {
        true
    }

    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        let conn = event.conn();
        self.handle(hub, event, within);
        while let Some(next) = self.ready.pop_front() {
            self.take_turn(hub, next, within);
        }
        if let Some(conn) = conn {
            self.read_if_idle(hub, conn);
        }
    }
}

impl<P> Authentication<P> {
    fn handle<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        match event {
            Event::Opened { conn, peer, origin: origin @ Origin::Listener(_), request } => {
                self.opened(hub, conn, peer, origin, request, within);
            }
            Event::Note(note) => match self.provider.note(note) {
                Ok((conn, answer)) => self.noted(hub, conn, answer, within),
                Err(note) => within.on(hub, Event::Note(note)),
            },
            Event::ShardMessage { from: 0, topic: TOPIC, content } => {
                if let Ok((conn, answer)) = serde_json::from_str::<(String, Answer)>(content)
                    && let Ok(conn) = conn.parse()
                {
                    self.answered(hub, conn, answer, within);
                }
            }
            Event::ShardMessage { topic: TOPIC, content, .. } => {
                if let Ok(question) = serde_json::from_str(content) {
                    self.answer(hub, question, within);
                }
            }
            Event::Offloaded { conn, outcome } if matches!(self.attempts.get(&conn), Some(Attempt::Hashing(_))) => {
                if let Some(Attempt::Hashing(target)) = self.attempts.remove(&conn) {
                    self.hashed(hub, conn, *target, outcome, within);
                }
            }
            Event::ClusterAnswered { request, answer } if self.delayed.has_claim(request) => {
                self.token_claimed(hub, request, answer, within);
            }
            Event::Broker { is_up, why } => {
                self.link_changed(hub, is_up && why.is_none(), within);
                within.on(hub, event);
            }
            Event::HostMessage { from, topic: TOPIC, content } => self.host_said(hub, from, content, within),
            Event::Timer(Timer { name: LOGINS, key, .. }) => self.logins_due(hub, key, within),
            Event::Login { conn, listener, peer, attempt } => {
                self.log_in(hub, conn, (Origin::Listener(listener), peer), attempt, within);
            }
            Event::Request { conn, request, .. } if self.exchange(hub, conn, request) => {}
            Event::Closed { conn, .. } | Event::LoginEnded { conn, .. } => {
                self.forget(hub, conn, within);
                if self.waiting.remove(&conn).is_none() {
                    within.on(hub, event);
                }
            }
            event => match event.conn().filter(|conn| self.waiting.contains_key(conn)) {
                Some(conn) => self.before_known(hub, conn, &event, within),
                None => self.when_known(hub, event, within),
            },
        }
    }

    /// Handles an event of a connection that is not authenticated yet.
    fn before_known<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        event: &Event<'_, H::Note>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        match event {
            Event::Message { payload, .. } => return self.message(hub, conn, *payload, within),
            Event::Timer(Timer { name: DEADLINE, .. }) => return hub.end(conn, Reason::AuthenticationTimeout),
            // The peer can send no further proof.
            Event::InputEnded { .. } if !self.attempts.contains_key(&conn) => return hub.end(conn, Reason::PeerClosed),
            _ => {}
        }
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        match event {
            Event::InputEnded { .. } => waiting.input_ended = true,
            Event::Authenticated { .. } => waiting.is_authenticated = true,
            Event::Stalled { .. } => waiting.is_stalled = true,
            Event::Drained { .. } => waiting.is_stalled = false,
            _ => {}
        }
    }

    /// Handles an event of a connection that needs no further authentication, or of no connection.
    fn when_known<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        match event {
            Event::Message { conn, payload } if hub.identity(conn).is_some() => {
                match payload.as_str().and_then(proof) {
                    Some(Proof::Token(_) | Proof::Scram(_) | Proof::Password { .. })
                        if self.attempts.contains_key(&conn) =>
                    {
                        refuse(hub, conn, "authentication is in progress");
                    }
                    Some(Proof::Token(token)) => {
                        self.begin(hub, conn, Candidate::Token(token.into_owned()), within);
                    }
                    Some(Proof::Scram(_) | Proof::Password { .. }) => refuse(hub, conn, "already authenticated"),
                    Some(Proof::Registration { .. }) if self.registration.is_some() => {
                        let error = MessageError::new("refused", "already authenticated");
                        refuse_registration(hub, conn, &error);
                    }
                    Some(Proof::Issue) if self.issuer.is_some() => self.issue(hub, conn),
                    Some(Proof::Registration { .. } | Proof::Issue) | None => within.on(hub, event),
                }
            }
            Event::Authenticated { conn } => {
                self.identified(hub, conn, within);
                within.on(hub, event);
            }
            // The deadline of a connection that is authenticated by now.
            Event::Timer(Timer { name: DEADLINE, .. }) => {}
            event => within.on(hub, event),
        }
    }
}

impl<P> fmt::Debug for Authentication<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
