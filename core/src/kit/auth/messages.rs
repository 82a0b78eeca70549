//! Messages of peers that are not authenticated yet.

use super::attempt::{Candidate, Outcome, scram_first};
use super::dialogue::Step;
use super::proof::{Proof, proof, refuse, refused_call};
use super::provider::Provider;
use super::registration::CREATE;
use super::waiting::Stage;
use super::{Authentication, scram};
use crate::base::{ConnId, Payload, Representation};
use crate::handler::{Handler, Hub};
use alloc::string::String;

/// The answer to a message that is no proof.
const REQUIRED: &str = "authentication required";

impl<P> Authentication<P> {
    pub(super) fn message<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        payload: Payload<'_>,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let Some(text) = payload.as_str() else {
            return self.count_failure(hub, conn, "a proof must be text");
        };
        if self.attempts.contains_key(&conn) {
            const IN_PROGRESS: &str = "authentication is in progress";
            let Some(answer) = refused_call(text, IN_PROGRESS) else { return refuse(hub, conn, IN_PROGRESS) };
            hub.send(conn, &answer);
            return;
        }
        if let Some(answer) = refused_call(text, REQUIRED) {
            return self.refuse_call(hub, conn, &answer);
        }
        let Some(waiting) = self.waiting.get_mut(&conn) else { return };
        let stage = core::mem::replace(&mut waiting.stage, Stage::Idle);
        let is_json = text.trim_start().starts_with('{');
        let proof = match &stage {
            // A line is the password here, even if it begins with `/auth`. A JSON proof is not.
            Stage::Dialogue(dialogue) if dialogue.wants_password() => proof(text).filter(|_| is_json),
            _ => proof(text).or_else(|| self.registration.and_then(|_| creation(text))),
        };
        let in_dialogue = matches!(stage, Stage::Dialogue(_));
        if in_dialogue && is_json && proof.is_some() {
            // Ends the line of the prompt.
            hub.write(conn, "\n");
        }
        if proof.is_some() || !in_dialogue {
            hub.set_representation(conn, if is_json { Representation::Json } else { Representation::Text });
        }
        match (proof, stage) {
            (Some(Proof::Token(token)), _) => self.begin(hub, conn, Candidate::Token(token.into_owned()), within),
            (Some(Proof::Scram(last)), Stage::Scram(server, target)) => {
                self.scram_last(hub, conn, *server, *target, &last, within);
            }
            (Some(Proof::Scram(first)), _) => match scram_first(&first) {
                Ok(candidate) => self.begin(hub, conn, candidate, within),
                Err(reason) => self.settle(hub, conn, None, Outcome::Wrong(reason), None, within),
            },
            (Some(Proof::Password { .. }), _) if !self.asks.may_send_password(hub, conn) => {
                // The password is known to the network now, so it is not even checked.
                self.count_failure(hub, conn, "a password needs TLS here; use TLS or scram");
            }
            (Some(Proof::Password { user, password }), _) => {
                self.begin_password(hub, conn, &user, password.into_owned(), within);
            }
            (Some(Proof::Registration { user, password }), _) => {
                self.begin_registration(hub, conn, &user, password.into_owned(), within);
            }
            (None, Stage::Dialogue(dialogue)) if is_json && !dialogue.wants_password() => {
                // A program has sent it, and no user is called so.
                self.count_failure(hub, conn, REQUIRED);
            }
            (None, Stage::Dialogue(dialogue)) => match dialogue.next(hub, conn, text, self.registration) {
                Step::More(dialogue) => self.set_stage(conn, Stage::Dialogue(dialogue)),
                Step::Password { user, password } => self.begin_password(hub, conn, &user, password, within),
                Step::BadName(error) => self.registration_failed(hub, conn, &error),
                Step::Registration { user, password } => self.begin_registration(hub, conn, &user, password, within),
            },
            (Some(Proof::Issue) | None, _) => self.count_failure(hub, conn, REQUIRED),
        }
    }

    /// Answers a JSON-RPC call before the login. It counts as a failure, as any other message does.
    fn refuse_call<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, answer: &str) {
        if let Some(waiting) = self.waiting.get_mut(&conn)
            && matches!(core::mem::replace(&mut waiting.stage, Stage::Idle), Stage::Dialogue(_))
        {
            // Ends the line of the prompt.
            hub.write(conn, "\n");
        }
        hub.set_representation(conn, Representation::Json);
        hub.send(conn, answer);
        self.failed(conn, REQUIRED);
        hub.state.metrics.authentication_failures += 1;
        self.count_try(hub, conn);
    }

    fn begin_password<H: Handler>(
        &mut self,
        hub: &mut Hub<'_, H::Context>,
        conn: ConnId,
        user: &str,
        password: String,
        within: &mut H,
    ) where
        P: Provider<H::Note>,
    {
        let user = scram::prepared_name(user).unwrap_or_default();
        self.begin(hub, conn, Candidate::Password { user, password }, within);
    }
}

/// Parses the line `create NAME PASSWORD`. The password is what follows one space, to the end.
fn creation(text: &str) -> Option<Proof<'_>> {
    let rest = text.trim_start().strip_prefix(CREATE)?.strip_prefix(' ')?.trim_start();
    let (user, password) = rest.split_once(' ')?;
    Some(Proof::Registration { user: user.into(), password: password.into() })
}
