//! The client for scripts: sends the input, and writes messages to the output.

use super::outcome::Outcome;
use super::output::Output;
use super::terminal::say;
use drupe_core::PayloadBuf;
use drupe_shell::block_on;
use drupe_shell::client::Client;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::{self, BufRead, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// How the input becomes messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// Each line is a message: text if it is UTF-8, otherwise binary.
    Lines,
    /// Each chunk, as it is read, is a binary message of at most [`CHUNK_MAX_BYTES`].
    Chunks,
}

/// Largest binary message that is sent, in bytes: less than what servers accept by default.
const CHUNK_MAX_BYTES: usize = 16 << 10;

/// Sends the input and writes messages to the output, until the connection ends.
pub(crate) fn pipe(
    client: Client,
    input: Input,
    mut output: Output,
    end: impl Fn(&Client) + Send + 'static,
) -> Outcome {
    let sender = client.clone();
    let feed = Arc::new(Feed::default());
    thread::spawn({
        let feed = Arc::clone(&feed);
        move || {
            let mut messages = Messages { input, from: io::stdin().lock() };
            while let Some(message) = messages.next() {
                feed.set(Feeding::Sending);
                if block_on(sender.send(message)).is_err() {
                    return feed.set(Feeding::Lost);
                }
                feed.set(Feeding::Reading);
            }
            feed.set(Feeding::Done);
            end(&sender);
        }
    });
    let write = |bytes: &[u8]| {
        let mut to = io::stdout().lock();
        to.write_all(bytes)?;
        to.flush()
    };
    let outcome = output.listen(client, write, |_| {});
    // Without a connection, its error was already printed. After --count messages, no more is sent.
    if outcome == Outcome::Ended && !output.is_complete() && feed.has_lost() {
        say("input was not sent");
        return Outcome::Broken;
    }
    outcome
}

/// The messages in the input.
struct Messages<R> {
    input: Input,
    from: R,
}

impl<R: BufRead> Messages<R> {
    /// Reads the next message. `None` at the end of the input, or if it can't be read.
    fn next(&mut self) -> Option<PayloadBuf> {
        let mut bytes = Vec::new();
        match self.input {
            Input::Lines => {
                self.from.read_until(b'\n', &mut bytes).ok().filter(|&count| count > 0)?;
                if bytes.ends_with(b"\n") {
                    bytes.truncate(bytes.len() - if bytes.ends_with(b"\r\n") { 2 } else { 1 });
                } else if bytes.ends_with(b"\r") {
                    bytes.pop();
                }
                Some(payload(bytes))
            }
            Input::Chunks => {
                bytes.resize(CHUNK_MAX_BYTES, 0);
                loop {
                    match self.from.read(&mut bytes) {
                        Ok(0) => return None,
                        Ok(count) => {
                            bytes.truncate(count);
                            return Some(PayloadBuf::Binary(bytes.into()));
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(_) => return None,
                    }
                }
            }
        }
    }
}

/// Returns bytes as text if they are UTF-8.
pub(crate) fn payload(bytes: Vec<u8>) -> PayloadBuf {
    String::from_utf8(bytes).map_or_else(|error| PayloadBuf::Binary(error.into_bytes().into()), PayloadBuf::from)
}

/// The state of the input, which the reading thread updates.
#[derive(Default)]
struct Feed {
    state: Mutex<Feeding>,
    changed: Condvar,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Feeding {
    #[default]
    Reading,
    Sending,
    Done,
    /// A message was read but not sent.
    Lost,
}

impl Feed {
    fn set(&self, state: Feeding) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Returns `true` if input was lost. Call it once nothing more can be sent.
    ///
    /// An input without pending data has lost nothing.
    fn has_lost(&self) -> bool {
        let mut state = self.lock();
        loop {
            match *state {
                Feeding::Done => return false,
                Feeding::Lost => return true,
                Feeding::Reading if !is_input_ready() => return false,
                // The other thread is about to read the message, or to fail to send it.
                Feeding::Reading | Feeding::Sending => {
                    let waited = self.changed.wait_timeout(state, Duration::from_millis(10));
                    state = waited.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Feeding> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns `true` if the input can be read without blocking, or has ended.
fn is_input_ready() -> bool {
    let input = io::stdin();
    let mut ready = [PollFd::new(&input, PollFlags::IN)];
    poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(input: Input, from: &[u8]) -> Vec<PayloadBuf> {
        let mut messages = Messages { input, from };
        std::iter::from_fn(|| messages.next()).collect()
    }

    #[test]
    fn input_is_split_into_lines_or_chunks() {
        let text = |text: &str| PayloadBuf::from(text);
        let lines = messages(Input::Lines, b"one\r\n\ntwo\xff\ndo\rze\r");
        let binary = |bytes: &[u8]| PayloadBuf::Binary(bytes.to_vec().into());
        assert_eq!(lines, [text("one"), text(""), binary(b"two\xff"), text("do\rze")]);
        let chunks = messages(Input::Chunks, &vec![b'\n'; CHUNK_MAX_BYTES + 1]);
        assert_eq!(chunks, [binary(&[b'\n'; CHUNK_MAX_BYTES]), binary(b"\n")]);
        assert!(messages(Input::Chunks, b"").is_empty() && messages(Input::Lines, b"").is_empty());
    }
}
