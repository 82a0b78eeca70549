//! A program of one's own: a quiz with a section in the configuration, and a lobby beside it.
//!
//! Run `quiz template` for a configuration with all keys, and `quiz check` to check one. Then:
//!
//! ```text
//! quiz --listen tcp://127.0.0.1:7000 --set quiz.question='2 + 2?' --set quiz.answer=4
//! ```
//!
//! With SIGHUP, it reads its configuration again, and peers get the new question.

use drupe_tokio::core::app::Chat;
use drupe_tokio::core::settings::Secret;
use drupe_tokio::prelude::*;
use std::process::ExitCode;

/// The question of the quiz.
#[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize, schemars::JsonSchema)]
struct Quiz {
    /// The question.
    question: String,
    /// The answer.
    answer: Secret,
    /// A file whose first line is the answer.
    #[schemars(extend("format" = "path"))]
    answer_file: String,
    /// Number of answers that a peer may give, at least 1.
    tries: u8,
}

impl Default for Quiz {
    fn default() -> Self {
        Self { question: "1 + 1?".into(), answer: Secret::default(), answer_file: String::new(), tries: 3 }
    }
}

impl Section for Quiz {
    const NAME: &'static str = "quiz";

    fn check(&self) -> Result<(), SectionError> {
        if self.answer.is_empty() {
            return Err(SectionError::new("answer", "the quiz needs an answer: set answer or answer_file"));
        }
        if self.tries == 0 {
            return Err(SectionError::new("tries", "it must be at least 1"));
        }
        Ok(())
    }
}

/// The application of the quiz. Its context counts the answers of each peer.
struct Host;

impl Handler for Host {
    type Context = u8;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, u8>, event: Event<'_, NoNote>) {
        let quiz = hub.settings::<Quiz>().unwrap_or_default();
        match event {
            Event::Opened { conn, .. } => {
                if hub.join(conn, "quiz").is_err() {
                    return hub.close_with(conn, "the quiz is full");
                }
                hub.send(conn, &quiz.question);
            }
            Event::Reconfigured => {
                hub.publish("quiz", &quiz.question);
            }
            Event::Message { conn, payload } => {
                if payload.as_str() == Some(quiz.answer.reveal()) {
                    return hub.close_with(conn, "right");
                }
                let Some(tries) = hub.context(conn) else { return };
                *tries += 1;
                match quiz.tries.saturating_sub(*tries) {
                    0 => hub.close_with(conn, "wrong; that was the last try"),
                    left => {
                        hub.send(conn, &format!("wrong; {left} left"));
                    }
                }
            }
            _ => {}
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

fn main() -> ExitCode {
    program("quiz")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A quiz, and a lobby beside it")
        .section::<Quiz>()
        .app("quiz", |_| Host)
        .app("lobby", |_| Chat::default())
        .flag("question", "quiz.question", "The question")
        .run()
}
