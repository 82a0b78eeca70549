//! Who is at the other end: passwords that are never sent, signed tokens, a login dialogue, and what keeps them from being
//! guessed.
//!
//! [`Authentication`] is a [layer](super::layer): the handler within hears of nobody who has not proven who they are. The first
//! message of a peer is the proof:
//!
//! | first message | answer |
//! |---|---|
//! | `{"type":"auth","token":"..."}` or `/auth TOKEN` | `{"type":"auth_ok","user":"ann"}` or `notice: you are ann` |
//! | `{"type":"auth","scram":"n,,n=ann,r=..."}` or `/auth scram n,,n=ann,r=...` | `{"type":"auth","scram":"r=...,s=...,i=..."}` or `scram r=...,s=...,i=...` |
//! | and then `{"type":"auth","scram":"c=biws,r=...,p=..."}` | `{"type":"auth_ok","user":"ann","scram":"v=..."}` or `scram v=...`, `notice: you are ann` |
//! | none, for a WebSocket with a header field `Authorization: Bearer TOKEN` (RFC 6750 section 2.1) | `auth_ok` |
//! | none, for a WebSocket with `?token=TOKEN`, if that is [turned on](Authentication::token_in_query) | `auth_ok` |
//! | a name, and then a password, if the [dialogue](Authentication::dialogue) is turned on, over lines and telnet | `notice: you are ann` |
//!
//! While it is looked at, nothing more is read of that peer: what it has sent already is served afterwards.
//!
//! Later a message of the type `auth` with a token renews it: the same user, until the new token expires. Without that the
//! connection ends as [`Reason::SessionExpired`], which a WebSocket sees as 4401.
//!
//! A peer that is wrong is told `{"type":"error","of":"auth","code":"unauthorized","reason":"..."}`, and may try again up to
//! [`AuthenticationLimits`]. What is not right in time ends as [`Reason::AuthenticationTimeout`].
//!
//! # Several shards
//!
//! Each [shard](crate::Shard) has a layer of its own, and the limits are those of the whole server: the layer on the first shard
//! counts failures, knows who is connected and which tokens were used, and the others [ask](crate::Hub::send_to_shard) it. No two
//! shards say the same nonce, whatever secret they are given.
//!
//! # Work
//!
//! To check SCRAM and tokens takes microseconds. A password that is sent as it is must be hashed, which takes milliseconds: that is
//! [offloaded](crate::Hub::offload), for one connection of each address at a time. Users who do not exist cost exactly what others do.
//!
//! Of passwords, tokens and keys nothing is shown by any `Debug`, and none is in a log or a metric. A
//! [trace](crate::trace) of such a server does not have what peers sent, unless its
//! [`Recorder`](crate::trace::Recorder) is made to be verbatim.

mod attempt;
mod claims;
mod dialogue;
mod key;
mod limits;
mod nonces;
mod proof;
mod provider;
mod registry;
pub mod scram;
#[cfg(test)]
mod tests;
mod token;
mod turns;
mod used;

pub use claims::{Audience, Claims};
pub use key::{TokenKey, TokenKeyError};
pub use limits::AuthenticationLimits;
pub(crate) use nonces::Nonces;
pub use provider::{Accounts, Provider, Verdict};
pub use token::{TokenError, Tokens};
pub use used::{SingleUse, UsedTokens};

use super::layer::Layer;
use super::service::MessageError;
use crate::base::Origin;
use crate::base::{ConnId, Payload, Peer, Reason, Representation};
use crate::handler::{Event, Handler, Hub};
use crate::state::Timer;
use crate::wire::http::Request;
use alloc::borrow::ToOwned;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::sync::Arc;
use attempt::{Attempt, Candidate, Outcome, scram_first};
use core::fmt;
use dialogue::{Asks, Dialogue, Said};
use proof::{Proof, proof, refuse};
use registry::{Answer, Question, Registry};
use turns::Turns;

const DEADLINE: &str = "drupe::kit::auth::deadline";
/// What shards say to each other about.
const TOPIC: &str = "drupe::kit::auth";

/// The layer that lets nobody in who has not proven who they are. Connections that the application dialled itself are let pass.
pub struct Authentication<P> {
    provider: P,
    /// What nonces are made of, and the salts of users who do not exist.
    secret: [u8; 32],
    /// Made with the first of them, of what tells this machine from others.
    nonces: Option<Nonces>,
    limits: AuthenticationLimits,
    token_in_query: bool,
    asks: Asks,
    duplicates: DuplicateLogin,
    /// Asked on the first shard only.
    registry: Registry,
    waiting: BTreeMap<ConnId, Waiting>,
    /// What is in progress, for who waits and for renewals.
    attempts: BTreeMap<ConnId, Attempt>,
    turns: Turns,
    /// Whose turn it is to have a password hashed, once this event is over.
    ready: VecDeque<ConnId>,
    /// How often who is known has been wrong since.
    wrong: BTreeMap<ConnId, u32>,
    /// Whom the first shard takes connections of this one to be of, where that matters.
    sessions: BTreeMap<ConnId, Arc<str>>,
}

/// What happens when a user is connected already, on any shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DuplicateLogin {
    /// Both stay.
    #[default]
    KeepBoth,
    /// The new connection is refused.
    RefuseNew,
    /// The old connections end as [`Reason::Replaced`].
    ReplaceOld,
}

/// Somebody who has not proven who they are.
struct Waiting {
    peer: Peer,
    origin: Origin,
    request: Option<Box<Request>>,
    tries: u32,
    stage: Stage,
    /// The token came with the request: there is nobody who could try again.
    by_request: bool,
    /// It is not read, because something is in progress.
    is_paused: bool,
    /// What the handler within is to be told once it knows of the connection.
    is_authenticated: bool,
    input_ended: bool,
    is_stalled: bool,
}

enum Stage {
    /// Anything may come.
    Idle,
    /// The last message of SCRAM should come.
    Scram(Box<scram::Server>, String),
    /// Lines are what is asked for.
    Dialogue(Dialogue),
}

impl<P> Authentication<P> {
    /// A layer in which this provider decides.
    ///
    /// `secret` is 32 unpredictable bytes, such as those of `drupe_shell::secret`. All shards
    /// need the same bytes, so that they answer the same for users that do not exist. The same bytes and the same
    /// [seed](crate::Config::seed) replay a run.
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
            waiting: BTreeMap::new(),
            attempts: BTreeMap::new(),
            turns: Turns::default(),
            ready: VecDeque::new(),
            wrong: BTreeMap::new(),
            sessions: BTreeMap::new(),
        }
    }

    /// With other limits.
    #[must_use]
    pub fn limits(self, limits: AuthenticationLimits) -> Self {
        Self { limits, ..self }
    }

    /// Takes a token from the parameter `token` of the query as well. Off unless turned on: addresses end up in logs of proxies
    /// and in histories of browsers.
    #[must_use]
    pub fn token_in_query(self) -> Self {
        Self { token_in_query: true, ..self }
    }

    /// Asks people for name and password, on lines and telnet. They send the password as it is, so nobody is asked where it would
    /// cross a network in the clear: the connection has TLS, or its listener or its peer is on this machine (a loopback address or a
    /// Unix socket), unless [`allow_plaintext`](Self::allow_plaintext) says otherwise.
    #[must_use]
    pub fn dialogue(mut self) -> Self {
        self.asks.is_enabled = true;
        self
    }

    /// Asks people for passwords also where they cross a network in the clear.
    #[must_use]
    pub fn allow_plaintext(mut self) -> Self {
        self.asks.allows_plaintext = true;
        self
    }

    /// What happens when a user is connected already.
    #[must_use]
    pub fn duplicates(self, duplicates: DuplicateLogin) -> Self {
        Self { duplicates, ..self }
    }

    /// The provider, to be changed before the server runs. While it does, keys and passwords are exchanged by a
    /// [note](Provider::note).
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
                Ok((conn, verdict)) => self.noted(hub, conn, verdict, within),
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
            Event::Offloaded { conn, outcome } if matches!(self.attempts.get(&conn), Some(Attempt::Hashing(..))) => {
                if let Some(Attempt::Hashing(user, stored)) = self.attempts.remove(&conn) {
                    self.hashed(hub, conn, &user, &stored, outcome, within);
                }
            }
            Event::Closed { conn, .. } => {
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

    /// Something happened to a connection of which the handler within has not heard.
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
            // Who sends nothing more can prove nothing more.
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

    /// Something happened that the handler within may hear of.
    fn when_known<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        match event {
            Event::Message { conn, payload } if hub.identity(conn).is_some() => {
                match payload.as_str().and_then(proof) {
                    Some(_) if self.attempts.contains_key(&conn) => refuse(hub, conn, "you are being looked up"),
                    Some(Proof::Token(token)) => {
                        self.begin(hub, conn, Candidate::Token(token.into_owned()), within);
                    }
                    Some(Proof::Scram(_)) => refuse(hub, conn, "you are known already"),
                    None => within.on(hub, event),
                }
            }
            Event::Authenticated { conn } => {
                self.identified(hub, conn, within);
                within.on(hub, event);
            }
            // It was set for who is known by now.
            Event::Timer(Timer { name: DEADLINE, .. }) => {}
            event => within.on(hub, event),
        }
    }

    fn opened<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        peer: Peer,
        origin: Origin,
        request: Option<&Request>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let field = request.and_then(|request| request.field("authorization"));
        let bearer = field.and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
        });
        let query = request.filter(|_| self.token_in_query).and_then(|request| request.query("token"));
        let token = bearer.or_else(|| query.map(ToOwned::to_owned));
        let waiting = Waiting {
            peer,
            origin,
            request: request.cloned().map(Box::new),
            tries: 0,
            stage: Stage::Idle,
            by_request: token.is_some(),
            is_paused: false,
            is_authenticated: false,
            input_ended: false,
            is_stalled: false,
        };
        self.waiting.insert(conn, waiting);
        hub.wake(Timer::of(conn, DEADLINE), self.limits.deadline);
        if let Some(identity) = hub.identity(conn).cloned() {
            // TLS has shown it, by a certificate.
            return self.enter(hub, conn, identity, within);
        }
        match token {
            Some(token) => self.begin(hub, conn, Candidate::Token(token), within),
            None => self.begin_dialogue(hub, conn),
        }
    }

    fn message<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, payload: Payload<'_>, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let Some(text) = payload.as_str() else {
            return self.count_failure(hub, conn, "binary is no proof");
        };
        if self.attempts.contains_key(&conn) {
            return refuse(hub, conn, "you are being looked up");
        }
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        let stage = core::mem::replace(&mut waiting.stage, Stage::Idle);
        let is_json = text.trim_start().starts_with('{');
        let proof = match &stage {
            // Whatever a person types there is the password, but for what only a program would.
            Stage::Dialogue(dialogue) if dialogue.wants_password() => proof(text).filter(|_| is_json),
            _ => proof(text),
        };
        let in_dialogue = matches!(stage, Stage::Dialogue(_));
        if in_dialogue && is_json && proof.is_some() {
            // What was asked for stands on a line of its own.
            hub.write(conn, "\n");
        }
        if proof.is_some() || !in_dialogue {
            hub.set_representation(conn, if is_json { Representation::Json } else { Representation::Text });
        }
        match (proof, stage) {
            (Some(Proof::Token(token)), _) => self.begin(hub, conn, Candidate::Token(token.into_owned()), within),
            (Some(Proof::Scram(last)), Stage::Scram(server, user)) => {
                self.scram_last(hub, conn, *server, &user, &last, within);
            }
            (Some(Proof::Scram(first)), _) => match scram_first(&first) {
                Ok(candidate) => self.begin(hub, conn, candidate, within),
                Err(reason) => self.settle(hub, conn, None, Outcome::Wrong(reason), None, within),
            },
            (None, Stage::Dialogue(dialogue)) => match dialogue.said(hub, conn, text) {
                Said::More(dialogue) => self.set_write_buffer(conn, Stage::Dialogue(dialogue)),
                Said::Password { user, password } => {
                    let user = provider::prepared(&user).unwrap_or_default();
                    self.begin(hub, conn, Candidate::Password { user, password }, within);
                }
            },
            (None, _) => self.count_failure(hub, conn, "prove who you are first"),
        }
    }

    /// A connection is over.
    fn forget<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        self.wrong.remove(&conn);
        self.attempts.remove(&conn);
        self.end_turn(conn);
        if self.sessions.remove(&conn).is_some() {
            self.consult(hub, Question::Left { conn }, within);
        }
    }
}

impl<P> fmt::Debug for Authentication<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
