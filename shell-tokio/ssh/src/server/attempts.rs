//! Attempts to log in about which the application decides.

use super::input::Input;
use super::key_text::is_user;
use drupe_core::wire::ssh::{LoginAttempt, LoginProof, SshFrame};
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// The answer to the attempt of a connection. A connection has one attempt at a time.
#[derive(Debug, Default)]
pub(super) struct Attempts(Mutex<Option<oneshot::Sender<bool>>>);

impl Attempts {
    /// Asks the application about a proof of a user, and waits for its answer.
    ///
    /// What is too long for it is refused at once. The machine limits the time: it ends the connection.
    pub(super) async fn ask(&self, input: &Input, user: &str, proof: LoginProof) -> bool {
        if !is_short(user, &proof) {
            return false;
        }
        let (sender, answer) = oneshot::channel();
        *self.lock() = Some(sender);
        input.push(SshFrame::Attempt(&LoginAttempt::new(user, proof)));
        answer.await.unwrap_or(false)
    }

    /// Takes what the machine sends before the session: its answers.
    pub(super) fn answer(&self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(sender) = self.lock().take() {
                // Nobody waits for it if the connection has ended.
                let _ = sender.send(*byte == LoginAttempt::ACCEPTED);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<oneshot::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if the application may see an attempt.
fn is_short(user: &str, proof: &LoginProof) -> bool {
    let fits = match proof {
        LoginProof::Offer(key) | LoginProof::Key(key) => key.len() <= LoginAttempt::KEY_MAX_BYTES,
        LoginProof::Password(password) => password.len() <= LoginAttempt::PASSWORD_MAX_BYTES,
        _ => false,
    };
    fits && is_user(user)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    #[test]
    fn only_the_accepting_byte_accepts_and_long_proofs_are_not_asked_about() {
        let cx = &mut Context::from_waker(Waker::noop());
        for byte in 0..=u8::MAX {
            let (attempts, input) = (Attempts::default(), Input::default());
            let mut asked = pin!(attempts.ask(&input, "ann", LoginProof::Key("ssh-ed25519 x".into())));
            assert!(asked.as_mut().poll(cx).is_pending());
            attempts.answer(&[byte]);
            assert_eq!(asked.as_mut().poll(cx), Poll::Ready(byte == LoginAttempt::ACCEPTED), "{byte}");
        }
        let long = |bytes: usize| "x".repeat(bytes);
        for (user, proof) in [
            ("ann", LoginProof::Offer(long(LoginAttempt::KEY_MAX_BYTES + 1))),
            ("ann", LoginProof::Password(long(LoginAttempt::PASSWORD_MAX_BYTES + 1))),
            ("", LoginProof::Password("x".into())),
            ("a\nb", LoginProof::Password("x".into())),
            (&long(65), LoginProof::Password("x".into())),
        ] {
            let (attempts, input) = (Attempts::default(), Input::default());
            assert_eq!(pin!(attempts.ask(&input, user, proof)).as_mut().poll(cx), Poll::Ready(false), "{user}");
            assert!(input.poll_read(cx, &mut [0; 8]).is_pending(), "nothing reaches the machine");
        }
    }
}
