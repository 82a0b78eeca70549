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
//! Later a message of the type `auth` with a token renews it: the same user, until the new token expires. Without that the
//! connection ends as [`Reason::SessionExpired`], which a WebSocket sees as 4401.
//!
//! A peer that is wrong is told `{"type":"error","of":"auth","code":"unauthorized","reason":"..."}`, and may try again up to
//! [`AuthenticationLimits`]. What is not right in time ends as [`Reason::AuthenticationTimeout`].
//!
//! Of passwords, tokens and keys nothing is shown by any `Debug`, and none is in a log or a metric. A
//! [trace](crate::trace) of such a server does not have what peers sent, unless its
//! [`Recorder`](crate::trace::Recorder) is made to be verbatim.

mod dialogue;
mod limits;
mod provider;
pub mod scram;
mod token;

pub use limits::AuthenticationLimits;
pub use provider::{Accounts, Provider, Verdict};
pub use token::{Audience, Claims, TokenError, TokenKey, TokenKeyError, Tokens};

use super::layer::Layer;
use super::service::MessageError;
use crate::http::Request;
use crate::id::Origin;
use crate::{ConnId, Event, Handler, Hub, Identity, Outgoing, Payload, Peer, Reason, Representation, Timer};
use alloc::borrow::{Cow, ToOwned};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use dialogue::{Dialogue, Said};
use limits::Failures;
use scram::{ClientFirst, Credentials};
use serde::{Deserialize, Serialize};

const DEADLINE: &str = "drupe::kit::auth::deadline";

/// The layer that lets nobody in who has not proven who they are. Connections that the application dialled itself are let pass.
pub struct Authentication<P> {
    provider: P,
    /// What nonces are made of, and the salts of users who do not exist.
    secret: [u8; 32],
    nonces: u64,
    limits: AuthenticationLimits,
    failures: Failures,
    token_in_query: bool,
    dialogue: bool,
    duplicates: DuplicateLogin,
    waiting: BTreeMap<ConnId, Waiting>,
    /// How often who is known has been wrong since.
    wrong: BTreeMap<ConnId, u32>,
    /// Who is known, and looked up again.
    renewing: BTreeSet<ConnId>,
}

/// What happens when a user is connected already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// What the handler within is to be told once it knows of the connection.
    input_ended: bool,
    stalled: bool,
}

enum Stage {
    /// Anything may come.
    Idle,
    /// The last message of SCRAM should come.
    Scram(Box<scram::Server>, String),
    /// The provider has not decided yet.
    Pending,
    /// Lines are what is asked for.
    Dialogue(Dialogue),
}

/// A proof, as it came.
enum Proof<'a> {
    Token(Cow<'a, str>),
    Scram(Cow<'a, str>),
}

impl<P> Authentication<P> {
    /// A layer in which this provider decides.
    ///
    /// `secret` is 32 bytes that nobody can guess, such as those of `shell::secret`. With the same bytes, a run can be replayed.
    pub fn new(provider: P, secret: [u8; 32]) -> Self {
        let limits = AuthenticationLimits::default();
        Self {
            provider,
            secret,
            nonces: 0,
            limits,
            failures: Failures::default(),
            token_in_query: false,
            dialogue: false,
            duplicates: DuplicateLogin::default(),
            waiting: BTreeMap::new(),
            wrong: BTreeMap::new(),
            renewing: BTreeSet::new(),
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

    /// Asks people on wires of lines for name and password. They send the password as it is, so this is for telnet over TLS, and
    /// for networks of one's own.
    #[must_use]
    pub fn dialogue(self) -> Self {
        Self { dialogue: true, ..self }
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
        match event {
            Event::Opened { conn, peer, origin: origin @ Origin::Listener(_), request } => {
                self.opened(hub, conn, peer, origin, request, within);
            }
            Event::Note(note) => match self.provider.note(note) {
                Ok((conn, verdict)) if self.waiting.contains_key(&conn) => self.decide(hub, conn, verdict, within),
                Ok((conn, Verdict::Accepted(identity))) => {
                    self.renewing.remove(&conn);
                    renew(hub, conn, identity);
                }
                Ok((conn, Verdict::Refused(reason))) => self.renewal_refused(hub, conn, &reason),
                Ok((_, Verdict::Pending)) => {}
                Err(note) => within.on(hub, Event::Note(note)),
            },
            Event::Message { conn, payload } if self.waiting.contains_key(&conn) => {
                self.message(hub, conn, payload, within);
            }
            Event::Message { conn, payload } if hub.identity(conn).is_some() => {
                match payload.as_str().and_then(proof) {
                    Some(Proof::Token(token)) => self.renewed(hub, conn, &token),
                    Some(Proof::Scram(_)) => refuse(hub, conn, "you are known already"),
                    None => within.on(hub, event),
                }
            }
            Event::Timer(Timer { conn: Some(conn), name: DEADLINE, .. }) => {
                if self.waiting.contains_key(&conn) {
                    hub.end(conn, Reason::AuthenticationTimeout);
                }
            }
            Event::Closed { conn, .. } if self.waiting.remove(&conn).is_some() => {}
            Event::InputEnded { conn } if self.waiting.contains_key(&conn) => self.input_ended(hub, conn),
            Event::Stalled { conn, .. } | Event::Drained { conn } if self.waiting.contains_key(&conn) => {
                if let Some(waiting) = self.waiting.get_mut(&conn) {
                    waiting.stalled = matches!(event, Event::Stalled { .. });
                }
            }
            event if event.conn().is_some_and(|conn| self.waiting.contains_key(&conn)) => {}
            event => {
                if let Event::Closed { conn, .. } = event {
                    self.wrong.remove(&conn);
                    self.renewing.remove(&conn);
                }
                within.on(hub, event);
            }
        }
    }
}

impl<P> Authentication<P> {
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
            input_ended: false,
            stalled: false,
        };
        self.waiting.insert(conn, waiting);
        if let Some(identity) = hub.identity(conn).cloned() {
            // TLS has shown it, by a certificate.
            return self.accept(hub, conn, identity, None, within);
        }
        hub.wake(Timer::of(conn, DEADLINE), self.limits.deadline);
        match token {
            Some(token) => self.token(hub, conn, &token, within),
            None => self.begin_dialogue(hub, conn),
        }
    }

    /// Asks a person, where that is wanted.
    fn begin_dialogue<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if self.dialogue && hub.is_open(conn) && hub.representation(conn) == Representation::Text {
            self.set_stage(conn, Stage::Dialogue(Dialogue::default()));
            Dialogue::begin(hub, conn);
        }
    }

    /// Who sends nothing more can prove nothing more, but what it sent may still be looked at.
    fn input_ended<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        waiting.input_ended = true;
        if !matches!(waiting.stage, Stage::Pending) {
            hub.end(conn, Reason::PeerClosed);
        }
    }

    fn set_stage(&mut self, conn: ConnId, stage: Stage) {
        if let Some(waiting) = self.waiting.get_mut(&conn) {
            waiting.stage = stage;
        }
    }

    fn message<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, payload: Payload<'_>, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let Some(text) = payload.as_str() else {
            return self.one_try_less(hub, conn, "binary is no proof");
        };
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        let stage = core::mem::replace(&mut waiting.stage, Stage::Idle);
        if matches!(stage, Stage::Pending) {
            waiting.stage = Stage::Pending;
            return refuse(hub, conn, "you are being looked up");
        }
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
            (Some(Proof::Token(token)), _) => self.token(hub, conn, &token, within),
            (Some(Proof::Scram(last)), Stage::Scram(server, user)) => {
                // Others of this address or user may have been wrong meanwhile.
                if let Err(wait) = self.failures.check(hub, conn, Some(&user), &self.limits) {
                    return fail_for_good(hub, conn, &wait);
                }
                match server.finish(&last) {
                    Ok(signature) => {
                        let identity = self.provider.identity(&user);
                        self.accept(hub, conn, identity, Some(&signature), within);
                    }
                    Err(error) => self.fail(hub, conn, Some(&user), &format!("{error}")),
                }
            }
            (Some(Proof::Scram(first)), _) => self.scram(hub, conn, &first),
            (None, Stage::Dialogue(dialogue)) => match dialogue.said(hub, conn, text) {
                Said::More(dialogue) => self.set_stage(conn, Stage::Dialogue(dialogue)),
                Said::Password { user, password } => self.password(hub, conn, &user, &password, within),
            },
            (None, _) => self.one_try_less(hub, conn, "prove who you are first"),
        }
    }

    fn token<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, token: &str, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        if let Err(wait) = self.failures.check(hub, conn, None, &self.limits) {
            return fail_for_good(hub, conn, &wait);
        }
        let verdict = self.provider.token(conn, token, hub.unix_time());
        self.decide(hub, conn, verdict, within);
    }

    fn decide<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, verdict: Verdict, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        match verdict {
            Verdict::Accepted(identity) => self.accept(hub, conn, identity, None, within),
            Verdict::Refused(reason) => {
                self.set_stage(conn, Stage::Idle);
                self.fail(hub, conn, None, &reason);
            }
            Verdict::Pending => self.set_stage(conn, Stage::Pending),
        }
    }

    fn scram<C: Default, N>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, first: &str)
    where
        P: Provider<N>,
    {
        let first = match ClientFirst::parse(first) {
            Ok(first) => first,
            Err(error) => return self.fail(hub, conn, None, &format!("{error}")),
        };
        let Ok(user) = provider::prepared(&first.user) else {
            return self.fail(hub, conn, None, "this is no name");
        };
        if let Err(wait) = self.failures.check(hub, conn, Some(&user), &self.limits) {
            return fail_for_good(hub, conn, &wait);
        }
        let credentials = self.credentials(&user);
        self.nonces += 1;
        let server = first.answer(&credentials, &scram::nonce(&self.secret, self.nonces));
        tell(hub, conn, &Told { scram: Some(server.first()), ..Told::of("auth") });
        self.set_stage(conn, Stage::Scram(Box::new(server), user));
    }

    fn password<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: &str,
        password: &str,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let user = provider::prepared(user).unwrap_or_default();
        if let Err(wait) = self.failures.check(hub, conn, Some(&user), &self.limits) {
            return fail_for_good(hub, conn, &wait);
        }
        // As much work for who does not exist as for who does.
        if self.credentials(&user).verify(password) && !user.is_empty() {
            let identity = self.provider.identity(&user);
            return self.accept(hub, conn, identity, None, within);
        }
        self.fail(hub, conn, Some(&user), "that is not right");
    }

    fn credentials<N>(&mut self, user: &str) -> Credentials
    where
        P: Provider<N>,
    {
        let nobody = Credentials::of_nobody(&self.secret, user, self.limits.iterations_of_nobody);
        self.provider.credentials(user).unwrap_or(nobody)
    }

    fn accept<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        identity: Identity,
        scram: Option<&str>,
        within: &mut H,
    ) {
        let others = hub.connections_of(&identity.user).iter().copied();
        let others: Vec<_> = others.filter(|other| *other != conn).collect();
        if !others.is_empty() && self.duplicates == DuplicateLogin::RefuseNew {
            refuse(hub, conn, "you are connected already");
            return hub.end(conn, Reason::Forbidden);
        }
        let Some(waiting) = self.waiting.remove(&conn) else { return };
        hub.cancel(Timer::of(conn, DEADLINE));
        tell(hub, conn, &Told { user: Some(&identity.user), scram, ..Told::of("auth_ok") });
        hub.identify(conn, identity);
        if !hub.is_open(conn) {
            // It has ended meanwhile, and the handler within has not heard of it.
            self.waiting.insert(conn, waiting);
            return;
        }
        if self.duplicates == DuplicateLogin::ReplaceOld {
            others.into_iter().for_each(|old| hub.end(old, Reason::Replaced));
        }
        let Waiting { peer, origin, request, input_ended, stalled, .. } = waiting;
        within.on(hub, Event::Opened { conn, peer, origin, request: request.as_deref() });
        if stalled && hub.is_open(conn) {
            within.on(hub, Event::Stalled { conn, queued: hub.pending(conn) });
        }
        if input_ended && hub.is_open(conn) {
            within.on(hub, Event::InputEnded { conn });
        }
    }

    /// A token of somebody who is known already.
    fn renewed<C: Default, N>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, token: &str)
    where
        P: Provider<N>,
    {
        if let Err(wait) = self.failures.check(hub, conn, None, &self.limits) {
            return refuse(hub, conn, &wait);
        }
        if self.renewing.contains(&conn) {
            return refuse(hub, conn, "you are being looked up");
        }
        match self.provider.token(conn, token, hub.unix_time()) {
            Verdict::Accepted(identity) => renew(hub, conn, identity),
            Verdict::Refused(reason) => self.renewal_refused(hub, conn, &reason),
            Verdict::Pending => drop(self.renewing.insert(conn)),
        }
    }

    fn renewal_refused<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        self.renewing.remove(&conn);
        if !hub.is_open(conn) {
            return;
        }
        hub.state.metrics.authentication_failures += 1;
        self.failures.charge(hub, conn, None, &self.limits);
        refuse(hub, conn, reason);
        let wrong = self.wrong.entry(conn).or_default();
        *wrong += 1;
        if *wrong >= self.limits.tries {
            hub.end(conn, Reason::Unauthorized);
        }
    }

    /// A proof was wrong. Who was wrong too often may not try again.
    fn fail<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, user: Option<&str>, reason: &str) {
        self.failures.charge(hub, conn, user, &self.limits);
        self.one_try_less(hub, conn, reason);
    }

    fn one_try_less<C: Default>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        refuse(hub, conn, reason);
        hub.state.metrics.authentication_failures += 1;
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        waiting.tries += 1;
        if waiting.tries >= self.limits.tries || waiting.by_request {
            return hub.end(conn, Reason::Unauthorized);
        }
        if waiting.input_ended {
            return hub.end(conn, Reason::PeerClosed);
        }
        self.begin_dialogue(hub, conn);
    }
}

/// Somebody who is known has proven it again.
fn renew<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, identity: Identity) {
    if hub.identity(conn).is_none_or(|known| known.user != identity.user) {
        return refuse(hub, conn, "this is somebody else's");
    }
    tell(hub, conn, &Told { user: Some(&identity.user), ..Told::of("auth_ok") });
    hub.identify(conn, identity);
}

fn fail_for_good<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
    hub.state.metrics.authentication_failures += 1;
    refuse(hub, conn, reason);
    hub.end(conn, Reason::Unauthorized);
}

/// What a message proves something with, if it is of that kind.
fn proof(text: &str) -> Option<Proof<'_>> {
    #[derive(Deserialize)]
    struct Auth<'a> {
        #[serde(rename = "type", borrow)]
        kind: Cow<'a, str>,
        #[serde(borrow, default)]
        token: Option<Cow<'a, str>>,
        #[serde(borrow, default)]
        scram: Option<Cow<'a, str>>,
    }
    let text = text.trim();
    if let Some(words) = text.strip_prefix("/auth ") {
        let words = words.trim();
        return Some(match words.strip_prefix("scram ") {
            Some(message) => Proof::Scram(message.trim().into()),
            None => Proof::Token(words.into()),
        });
    }
    // Most messages of who is known are something else, and longer.
    if !text.starts_with('{') || !text.contains("\"auth\"") {
        return None;
    }
    match serde_json::from_str(text).ok()? {
        Auth { kind, token: Some(token), scram: None } if kind == "auth" => Some(Proof::Token(token)),
        Auth { kind, token: None, scram: Some(scram) } if kind == "auth" => Some(Proof::Scram(scram)),
        _ => None,
    }
}

/// What a peer is told.
#[derive(Serialize)]
struct Told<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scram: Option<&'a str>,
}

impl<'a> Told<'a> {
    fn of(kind: &'a str) -> Self {
        Self { kind, user: None, scram: None }
    }
}

fn tell<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, told: &Told<'_>) {
    let json = serde_json::to_string(told).unwrap_or_default();
    let lines = told.scram.map(|scram| format!("scram {scram}")).into_iter();
    let user = told.user.map(|user| format!("notice: you are {}", crate::text::neutralize(user)));
    for (number, text) in lines.chain(user).enumerate() {
        // The program gets one message, the person a line for each.
        if number == 0 || hub.representation(conn) == Representation::Text {
            hub.send(conn, Outgoing::Negotiated { json: &json, text: &text });
        }
    }
}

fn refuse<C: Default>(hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
    MessageError::new("unauthorized", reason).tell(Some("auth"), |message| hub.send(conn, message));
}

impl<P> fmt::Debug for Authentication<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authentication").field("waiting", &self.waiting.len()).finish_non_exhaustive()
    }
}
