//! Questions to the backend. A command waits for the answer, and is then run again.

use super::codes::{Disconnect, Failed, Refusal};
use super::fields::Fields;
use super::hooks::Hooks;
use super::json::Object;
use super::service::PubSub;
use super::session::{Asking, Session};
use crate::base::ConnId;
use crate::handler::Hub;
use crate::kit::backend::Unanswered;
use alloc::string::String;

/// The result of the backend, as JSON. Empty: the backend gives no result.
pub(super) type Given = String;

impl<K: Hooks> PubSub<K> {
    /// Returns the result of the backend for a command, if its answer has arrived. Otherwise asks the backend.
    ///
    /// # Errors
    /// [`Failed::Waits`] if the backend was asked: the command is run again after the answer. Otherwise the
    /// error or the disconnection that the backend answered with, or the error 100.
    pub(super) fn ask_backend(
        &mut self,
        hub: &mut Hub<'_, Session>,
        conn: ConnId,
        hook: &str,
        body: impl FnOnce(&Session) -> Object,
    ) -> Result<Given, Failed> {
        let Some(session) = hub.context(conn) else { return Err(Refusal::INTERNAL.into()) };
        if let Some(Asking { answer: Some(answer), .. }) = session.asking.take() {
            return read(&answer);
        }
        let json = body(session).end();
        let passed = core::mem::take(&mut session.passed);
        let asked = self.backend.as_mut().and_then(|backend| backend.ask(hub, hook, &passed, &json));
        let Some(session) = hub.context(conn) else { return Err(Refusal::INTERNAL.into()) };
        session.passed = passed;
        let Some(number) = asked else { return Err(Refusal::INTERNAL.into()) };
        session.asking = Some(Asking { number, ..Asking::default() });
        self.questions.insert(number, conn);
        // The server reads no more from the client until the answer.
        hub.pause(conn);
        Err(Failed::Waits)
    }

    /// Keeps a command that waits for the backend, or one that follows it. Returns `false` if too many follow.
    pub(super) fn keep_command(&self, session: &mut Session, line: &str) -> bool {
        let Some(asking) = &mut session.asking else { return true };
        if asking.line.is_none() {
            asking.line = Some(line.into());
        } else {
            asking.later.push(line.into());
        }
        asking.later.len() <= self.options.commands_max()
    }

    /// Runs the command again that waited for this answer, and then the commands that followed it.
    pub(super) fn answered_by_backend(
        &mut self,
        hub: &mut Hub<'_, Session>,
        number: u64,
        answer: Result<alloc::vec::Vec<u8>, Unanswered>,
    ) {
        let Some(conn) = self.questions.remove(&number) else { return };
        let Some(session) = hub.context(conn) else { return };
        let Some(asking) = session.asking.as_mut().filter(|asking| asking.number == number) else { return };
        let text = answer.ok().and_then(|body| String::from_utf8(body).ok());
        asking.answer = Some(text.unwrap_or_default());
        let (line, later) = (asking.line.take(), core::mem::take(&mut asking.later));
        hub.resume(conn);
        for line in line.iter().chain(&later) {
            self.run_line(hub, conn, line);
        }
    }
}

/// Reads an answer of the backend. An empty text is the error 100.
fn read(answer: &str) -> Result<Given, Failed> {
    let fields = Fields::of(answer).ok_or(Refusal::INTERNAL)?;
    // A disconnection takes precedence over an error of the command.
    if let Some(of) = fields.object("disconnect").map_err(|_| Refusal::INTERNAL)? {
        let (code, reason) = (of.number("code"), of.text("reason"));
        let why = code.and_then(|code| Disconnect::of_backend(code.unwrap_or(0), reason?));
        return Err(why.map_err(|_| Refusal::INTERNAL)?.into());
    }
    if let Some(of) = fields.object("error").map_err(|_| Refusal::INTERNAL)? {
        let (code, message, temporary) = (of.number("code"), of.text("message"), of.flag("temporary"));
        let (Ok(Some(code)), Ok(message), Ok(temporary)) = (code, message, temporary) else {
            return Err(Refusal::INTERNAL.into());
        };
        let code = u32::try_from(code).map_err(|_| Refusal::INTERNAL)?;
        return Err(Refusal { code, message: message.into(), temporary }.into());
    }
    Ok(fields.raw("result").unwrap_or_default().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_results_errors_or_disconnections() {
        let refused = |code, message: &'static str, temporary| {
            Err(Failed::Refused(Refusal { code, message: message.into(), temporary }))
        };
        let internal = || Err(Refusal::INTERNAL.into());
        for (answer, expected) in [
            (r#"{"result":{"user":"ann"}}"#, Ok(r#"{"user":"ann"}"#.into())),
            (r#"{"result":null}"#, Ok(String::new())),
            ("{}", Ok(String::new())),
            (r#"{"error":{"code":1000,"message":"no"}}"#, refused(1000, "no", false)),
            (r#"{"error":{"code":1000,"message":"no","temporary":true},"result":{}}"#, refused(1000, "no", true)),
            (r#"{"error":{"message":"no"}}"#, internal()),
            (r#"{"error":7}"#, internal()),
            (
                r#"{"disconnect":{"code":4500,"reason":"bye"},"error":{"code":1000,"message":"no"}}"#,
                Err(Disconnect { code: 4500, reason: "bye".into() }.into()),
            ),
            (r#"{"disconnect":{"code":1000,"reason":"bye"}}"#, internal()),
            ("", internal()),
            ("[]", internal()),
            ("null", internal()),
        ] {
            assert_eq!(read(answer), expected, "{answer}");
        }
    }
}
