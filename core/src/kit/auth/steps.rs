//! The steps of a login attempt, divided between its own shard and the first shard.
//!
//! The first shard permits the check, this shard checks the proof, and the first shard accepts or
//! rejects the outcome.

use super::attempt::{Accepted, Attempt, Candidate, Outcome};
use super::dialogue::Dialogue;
use super::proof::{Response, refuse, respond};
use super::provider::{LateAnswer, Provider, Verdict};
use super::registry::{Answer, Claim, DuplicateLogin, Question, Rules};
use super::used::SingleUse;
use super::waiting::{Stage, Waiting};
use super::{Authentication, DEADLINE, TOPIC};
use crate::base::{ConnId, Identity, Peer, Reason};
use crate::handler::{Event, Handler, Hub};
use crate::kit::MessageError;
use crate::state::Timer;
use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};

impl<P> Authentication<P> {
    /// Starts an attempt. A password waits while another from the same address is checked.
    pub(super) fn begin<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        candidate: Candidate,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let key = hub.peer(conn).and_then(Peer::key);
        if let Some(key) = key.filter(|_| candidate.is_hashed())
            && !self.turns.enter(conn, key)
        {
            self.attempts.insert(conn, Attempt::Queued(candidate));
            return;
        }
        self.ask(hub, conn, candidate, within);
    }

    fn ask<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, candidate: Candidate, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let claim = claim(hub, conn, candidate.user());
        let question = match candidate {
            Candidate::Registration { .. } => Question::MayRegister { claim },
            _ => Question::May(claim),
        };
        self.attempts.insert(conn, Attempt::Asked(candidate));
        self.consult(hub, question, within);
    }

    /// Sends a question to the first shard, which may be this one.
    pub(super) fn consult<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, question: Question, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        if hub.shard().number() > 0 {
            let text = serde_json::to_string(&question).unwrap_or_default();
            hub.send_to_shard(0, TOPIC, &text);
        } else {
            self.answer(hub, question, within);
        }
    }

    /// Answers a question from any shard. Runs on the first shard only.
    pub(super) fn answer<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, question: Question, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        match question {
            Question::Left { conn } => self.delayed.forget(conn),
            Question::Linked => return self.begin_telling_logins(hub),
            _ => {}
        }
        if let Some(question) = self.ask_hosts(hub, question) {
            self.answer_next(hub, question, within);
        }
    }

    /// Answers a question to which other hosts have no objection.
    pub(super) fn answer_next<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, question: Question, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let rules = self.rules(hub);
        if let Some(question) = self.claim_token(hub, rules, question) {
            self.answer_here(hub, question, within);
        }
    }

    /// Answers a question by what this host knows. Runs on the first shard only.
    pub(super) fn answer_here<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, question: Question, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let rules = self.rules(hub);
        let user = question.enters().map(|(_, user)| String::from(user));
        let (answer, replaced) = self.registry.answer(rules, question);
        if let (Some(user), Some((_, Answer::Right))) = (user, &answer) {
            self.tell_login(hub, &user);
        }
        let replaced = replaced.into_iter().map(|conn| (conn, Answer::Replaced));
        for answer in replaced.chain(answer) {
            self.pass_on(hub, answer, within);
        }
    }

    /// Passes an answer on to the shard of its connection.
    pub(super) fn pass_on<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        (conn, answer): (ConnId, Answer),
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if conn.shard() == hub.shard().number() {
            self.answered(hub, conn, answer, within);
        } else {
            let text = serde_json::to_string(&(conn.to_string(), answer)).unwrap_or_default();
            hub.send_to_shard(conn.shard(), TOPIC, &text);
        }
    }

    /// Returns what the answers of the first shard depend on.
    pub(super) fn rules<C>(&self, hub: &Hub<'_, C>) -> Rules {
        let (now, unix) = (hub.now(), hub.unix_time());
        let registrations = self.registration.map(|rules| rules.per_address);
        Rules { now, unix, limits: self.limits, duplicates: self.duplicates, registrations }
    }

    /// Handles an answer from the first shard.
    pub(super) fn answered<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        answer: Answer,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if answer == Answer::Replaced {
            return hub.end(conn, Reason::Replaced);
        }
        // The attempt may have ended meanwhile.
        let Some(attempt) = self.attempts.remove(&conn) else { return };
        match (answer, attempt) {
            (Answer::May, Attempt::Asked(candidate)) => self.look_at(hub, conn, candidate, within),
            (Answer::Right, Attempt::Settling(Outcome::Right(accepted))) => {
                self.proved(hub, conn, &accepted);
                if self.waiting.contains_key(&conn) {
                    self.accept(hub, conn, accepted, within);
                } else {
                    self.renew(hub, conn, accepted.identity);
                }
            }
            (Answer::Wrong(reason), Attempt::Settling(outcome)) => {
                let reason = match (reason, outcome) {
                    (Some(reason), _) => reason.into(),
                    (None, Outcome::Wrong(reason)) => reason,
                    (None, Outcome::Right(_)) => "authentication failed".into(),
                };
                self.wrong(hub, conn, &reason);
            }
            (Answer::Connected, _) => {
                self.refuse(hub, conn, "this user is already connected");
                hub.end(conn, Reason::Forbidden);
            }
            (Answer::WaitToRegister(seconds), Attempt::Asked(Candidate::Registration { .. })) => {
                let words = format!("too many users were registered from your address; try again in {seconds} s");
                self.registration_failed(hub, conn, &MessageError::new("too_many", words));
            }
            (Answer::Wait(seconds), _) => {
                let words = format!("too many failures; try again in {seconds} s");
                self.refuse(hub, conn, &words);
                if self.waiting.contains_key(&conn) {
                    hub.state.metrics.authentication_failures += 1;
                    hub.end(conn, Reason::Unauthorized);
                }
            }
            // The answer does not belong to this attempt.
            (_, attempt) => drop(self.attempts.insert(conn, attempt)),
        }
        self.end_attempt(hub, conn);
    }

    /// Passes the turn on and reads again, unless the attempt of a connection goes on.
    fn end_attempt<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if !self.attempts.contains_key(&conn) {
            self.end_turn(conn);
        }
        self.read_if_idle(hub, conn);
    }

    /// Removes and returns the attempt of a connection, if it is of this kind.
    fn take_attempt(&mut self, conn: ConnId, is_wanted: impl FnOnce(&Attempt) -> bool) -> Option<Attempt> {
        if self.attempts.get(&conn).is_some_and(is_wanted) { self.attempts.remove(&conn) } else { None }
    }

    /// Removes a connection from its password queue. If it had the turn, the next one gets it.
    pub(super) fn end_turn(&mut self, conn: ConnId) {
        self.ready.extend(self.turns.leave(conn));
    }

    /// Continues an attempt that was queued for its turn.
    pub(super) fn take_turn<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        if let Some(Attempt::Queued(candidate)) = self.attempts.remove(&conn) {
            self.ask(hub, conn, candidate, within);
        }
    }

    /// Handles an answer of the provider that arrived in a note.
    pub(super) fn noted<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        answer: LateAnswer,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        match answer {
            LateAnswer::Verdict(verdict) => return self.verdict_noted(hub, conn, verdict, within),
            LateAnswer::Account(lookup) => {
                if let Some(Attempt::LookingUp(candidate)) =
                    self.take_attempt(conn, |attempt| matches!(attempt, Attempt::LookingUp(_)))
                {
                    self.looked_up(hub, conn, candidate, lookup, within);
                }
            }
            LateAnswer::Registration(registration) => {
                if let Some(Attempt::Registering(user)) =
                    self.take_attempt(conn, |attempt| matches!(attempt, Attempt::Registering(_)))
                {
                    self.registered(hub, conn, user, registration, within);
                }
            }
        }
        self.end_attempt(hub, conn);
    }

    /// Handles a verdict that arrived in a note, whether awaited or unsolicited.
    fn verdict_noted<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        verdict: Verdict,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let is_known = hub.is_open(conn) && hub.identity(conn).is_some();
        match self.attempts.get(&conn) {
            Some(Attempt::Provider) => drop(self.attempts.remove(&conn)),
            Some(Attempt::Offer) => {
                self.attempts.remove(&conn);
                return self.decide_offer(hub, conn, verdict);
            }
            // Nobody has asked.
            None if self.is_before_session(conn) => return,
            None if self.waiting.contains_key(&conn) || is_known && verdict != Verdict::Pending => {}
            // The attempt has ended, or another one is in progress.
            _ => return,
        }
        self.decide(hub, conn, verdict, within);
        self.read_if_idle(hub, conn);
    }

    /// Accepts a client certificate as the login, at once or after a query to the first shard.
    pub(super) fn enter<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        identity: Identity,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        if self.duplicates == DuplicateLogin::KeepBoth {
            let accepted = Accepted::of(identity);
            self.proved(hub, conn, &accepted);
            return self.accept(hub, conn, accepted, within);
        }
        self.sessions.insert(conn, identity.user.clone());
        let user = identity.user.to_string();
        self.attempts.insert(conn, Attempt::Settling(Outcome::Right(Accepted::of(identity))));
        self.consult(hub, Question::Identified { conn, user, enters: true }, within);
    }

    /// Reports a changed user to the first shard, unless duplicate logins are allowed.
    pub(super) fn identified<H: Handler>(&mut self, hub: &mut Hub<'_, H::Context>, conn: ConnId, within: &mut H)
    where
        P: Provider<H::Note>,
    {
        let Some(user) = hub.identity(conn).map(|identity| identity.user.clone()) else { return };
        if self.duplicates == DuplicateLogin::KeepBoth || self.sessions.get(&conn) == Some(&user) {
            return;
        }
        self.sessions.insert(conn, user.clone());
        self.consult(hub, Question::Identified { conn, user: user.to_string(), enters: false }, within);
    }

    /// Handles the provider's verdict on a token.
    pub(super) fn decide<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        verdict: Verdict,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let (outcome, single_use) = match verdict {
            Verdict::Accepted(identity) => (Outcome::Right(Accepted::of(identity)), None),
            Verdict::AcceptedOnce(identity, single_use) => (Outcome::Right(Accepted::of(identity)), Some(single_use)),
            Verdict::Refused(reason) => (Outcome::Wrong(reason), None),
            Verdict::Pending => return drop(self.attempts.insert(conn, Attempt::Provider)),
        };
        self.settle(hub, conn, None, outcome, single_use, within);
    }

    /// Reports an outcome to the first shard. Refuses a renewal for another user without a report.
    pub(super) fn settle<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: Option<&str>,
        outcome: Outcome,
        single_use: Option<SingleUse>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let is_renewal = !self.waiting.contains_key(&conn);
        let right = match &outcome {
            Outcome::Right(Accepted { identity, .. }) if is_renewal && !is_of(hub, conn, identity) => {
                // Not reported to the first shard, so that a single-use token stays unused.
                return self.refuse_renewal(hub, conn);
            }
            Outcome::Right(Accepted { identity, .. }) => Some(identity.user.to_string()),
            Outcome::Wrong(_) => None,
        };
        if let Some(user) = right.clone().filter(|_| !is_renewal && self.duplicates != DuplicateLogin::KeepBoth) {
            self.sessions.insert(conn, user.as_str().into());
        }
        let claim = claim(hub, conn, user);
        self.attempts.insert(conn, Attempt::Settling(outcome));
        self.consult(hub, Question::Tried { claim, right, single_use, is_renewal }, within);
    }

    /// Completes the renewal of an authentication.
    fn renew<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, identity: Identity) {
        if !is_of(hub, conn, &identity) {
            return self.refuse_renewal(hub, conn);
        }
        respond(hub, conn, &Response { user: Some(&identity.user), ..Response::of("auth_ok") });
        hub.identify(conn, identity);
    }

    /// Refuses a renewal for another user. The proof was right, so it is not one of the tries.
    fn refuse_renewal<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        self.attempts.remove(&conn);
        hub.state.metrics.authentication_failures += 1;
        self.refuse(hub, conn, "a renewal must be for the same user");
    }

    /// Completes a successful login, and passes the connection to the wrapped handler.
    pub(super) fn accept<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        accepted: Accepted,
        within: &mut H,
    ) {
        let Some(mut waiting) = self.waiting.remove(&conn) else { return };
        if waiting.is_before_session() {
            hub.answer_login(conn, Some(accepted.identity.clone()));
            waiting.stage = Stage::LoggedIn(Box::new(accepted));
            self.waiting.insert(conn, waiting);
            return;
        }
        let Accepted { identity, scram, .. } = accepted;
        hub.cancel(Timer::of(conn, DEADLINE));
        respond(
            hub,
            conn,
            &Response { user: Some(&identity.user), scram: scram.as_deref(), ..Response::of("auth_ok") },
        );
        hub.identify(conn, identity);
        if !hub.is_open(conn) {
            // It has ended meanwhile. The wrapped handler must not receive its `Closed` event.
            self.waiting.insert(conn, waiting);
            return;
        }
        if waiting.is_paused {
            hub.resume(conn);
        }
        within.on(
            hub,
            Event::Opened { conn, peer: waiting.peer, origin: waiting.origin, request: waiting.request.as_deref() },
        );
        if waiting.is_authenticated && hub.is_open(conn) {
            within.on(hub, Event::Authenticated { conn });
        }
        if waiting.is_stalled && hub.is_open(conn) {
            within.on(hub, Event::Stalled { conn, queued: hub.pending(conn) });
        }
        if waiting.input_ended && hub.is_open(conn) {
            within.on(hub, Event::InputEnded { conn });
        }
    }

    /// Sends the reason of a failed attempt to the peer, and calls `on_failure` with the reason.
    pub(super) fn refuse<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        if self.is_before_session(conn) {
            hub.answer_login(conn, None);
        } else {
            refuse(hub, conn, reason);
        }
        self.failed(conn, reason);
    }

    /// Calls `on_failure` with the reason of a failed attempt.
    pub(super) fn failed(&mut self, conn: ConnId, reason: &str) {
        if let Some(call) = &mut self.on_failure {
            call(conn, reason);
        }
    }

    /// Handles a wrong proof. Ends the connection if there were too many.
    fn wrong<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        if self.waiting.contains_key(&conn) {
            return self.count_failure(hub, conn, reason);
        }
        // A failed renewal.
        if !hub.is_open(conn) {
            return;
        }
        hub.state.metrics.authentication_failures += 1;
        self.refuse(hub, conn, reason);
        let wrong = self.wrong.entry(conn).or_default();
        *wrong += 1;
        if *wrong >= self.limits.tries {
            hub.end(conn, Reason::Unauthorized);
        }
    }

    pub(super) fn count_failure<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, reason: &str) {
        self.refuse(hub, conn, reason);
        hub.state.metrics.authentication_failures += 1;
        self.count_try(hub, conn);
    }

    /// Prompts for a user name if the login dialogue may run on the connection.
    pub(super) fn begin_dialogue<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if self.asks.may_ask(hub, conn) {
            self.set_stage(conn, Stage::Dialogue(Dialogue::default()));
            Dialogue::begin(hub, conn, self.registration);
        }
    }

    pub(super) fn set_stage(&mut self, conn: ConnId, stage: Stage) {
        if let Some(waiting) = self.waiting.get_mut(&conn) {
            waiting.stage = stage;
        }
    }

    /// Pauses reading from a waiting connection if an attempt is in progress, or else resumes it.
    pub(super) fn read_if_idle<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        let is_busy = self.attempts.contains_key(&conn);
        let changes = |waiting: &&mut Waiting| waiting.is_paused != is_busy && !waiting.is_before_session();
        let Some(waiting) = self.waiting.get_mut(&conn).filter(changes) else { return };
        waiting.is_paused = is_busy;
        if is_busy { hub.pause(conn) } else { hub.resume(conn) }
    }
}

fn claim<C>(hub: &Hub<'_, C>, conn: ConnId, user: Option<&str>) -> Claim {
    Claim { conn, peer: hub.peer(conn).unwrap_or(Peer::Local), user: user.map(Into::into) }
}

fn is_of<C>(hub: &Hub<'_, C>, conn: ConnId, identity: &Identity) -> bool {
    hub.identity(conn).is_some_and(|known| known.user == identity.user)
}
