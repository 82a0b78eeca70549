//! The output of `drupe client`: messages in the selected form, and events of the connection.

use super::json::pretty;
use super::outcome::Outcome;
use super::terminal::say;
use super::tls::explain;
use super::wire::{has_binary, has_messages, refuse};
use clap::Args;
use drupe_core::telnet::ClientMode;
use drupe_core::text::neutralize;
use drupe_core::{Dial, Payload};
use drupe_shell::block_on;
use drupe_shell::client::{Client, Incoming};
use std::io::{self, IsTerminal};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// The flags of `drupe client` for messages.
#[derive(Args)]
#[command(next_help_heading = "Messages")]
pub(crate) struct OutputArguments {
    /// Send each chunk of the input (at most 16 KiB, as it is read) as a binary message, and write received bytes without
    /// line feeds
    #[arg(long, conflicts_with = "json")]
    binary: bool,
    /// Print messages that are JSON on several lines, and others as they are
    #[arg(long)]
    json: bool,
    /// Exit after receiving N messages; the end of the input does not end the connection
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// Exit with code 4 if the messages of --count have not arrived after this time, such as 2.5
    #[arg(long, value_name = "SECONDS", requires = "count", value_parser = seconds)]
    timeout: Option<Duration>,
}

impl OutputArguments {
    /// Checks that the wire of the address supports the flags.
    pub(crate) fn check(&self, dial: &Dial) -> Result<(), clap::Error> {
        if self.binary && !has_binary(dial) {
            return Err(refuse("--binary", dial, "its messages are text; ws://, length:// and raw:// carry any bytes"));
        }
        for (is_used, option) in [(self.count.is_some(), "--count"), (self.json, "--json")] {
            if is_used && !has_messages(dial) {
                return Err(refuse(option, dial, "a stream of bytes has no messages"));
            }
        }
        Ok(())
    }

    pub(crate) const fn is_binary(&self) -> bool {
        self.binary
    }

    /// Returns `true` if there are flags that need messages with boundaries.
    pub(crate) const fn has_messages_only(&self) -> bool {
        self.count.is_some() || self.json
    }

    pub(crate) const fn is_counted(&self) -> bool {
        self.count.is_some()
    }

    pub(crate) const fn timeout(&self) -> Option<Duration> {
        self.timeout
    }
}

/// The form of the output, and the number of messages so far.
pub(crate) struct Output {
    is_binary: bool,
    is_json: bool,
    /// Whether messages are pieces of a telnet stream, which contains its own line endings.
    is_stream: bool,
    is_terminal: bool,
    mode: ClientMode,
    count: Option<NonZeroU64>,
    received: u64,
    /// Set once the outcome is certain, so that the time limit no longer applies.
    is_over: Arc<AtomicBool>,
}

impl Output {
    pub(crate) fn new(arguments: &OutputArguments, is_stream: bool, is_over: Arc<AtomicBool>) -> Self {
        Self {
            is_binary: arguments.binary,
            is_json: arguments.json,
            is_stream,
            is_terminal: io::stdout().is_terminal(),
            mode: ClientMode::Line,
            count: arguments.count,
            received: 0,
            is_over,
        }
    }

    /// Returns `true` if the messages of `--count` have arrived.
    pub(crate) fn is_complete(&self) -> bool {
        self.count.is_some_and(|count| self.received >= count.get())
    }

    /// Writes messages and prints events until the client has ended. Returns the outcome.
    ///
    /// `set_mode` is called when a telnet server wants the input in another mode.
    pub(crate) fn listen(
        &mut self,
        mut client: Client,
        mut write: impl FnMut(&[u8]) -> io::Result<()>,
        mut set_mode: impl FnMut(ClientMode),
    ) -> Outcome {
        let (mut outcome, mut is_lost) = (Outcome::Failed, false);
        while let Some(incoming) = block_on(client.receive()) {
            match incoming {
                Incoming::Connected(peer) => {
                    outcome = Outcome::Ended;
                    // A new connection begins in line mode.
                    self.mode = ClientMode::Line;
                    set_mode(self.mode);
                    say(&format!("connected to {peer}"));
                }
                Incoming::Subprotocol(name) => say(&format!("the server chose the subprotocol {name}")),
                Incoming::ClientMode(mode) => {
                    self.mode = mode;
                    set_mode(mode);
                }
                Incoming::Message(_) | Incoming::Prompt(_) if self.is_complete() => {}
                Incoming::Message(ref message) | Incoming::Prompt(ref message) => {
                    match write(&self.render(message.as_payload())) {
                        Ok(()) => {}
                        // The output was closed.
                        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return self.settle(outcome),
                        Err(error) => {
                            say(&format!("can't write to the standard output: {error}"));
                            return self.settle(Outcome::Failed);
                        }
                    }
                    self.received += u64::from(matches!(incoming, Incoming::Message(_)));
                    if self.is_complete() {
                        // From now on, the time limit must not end the program.
                        self.is_over.store(true, Ordering::SeqCst);
                        client.close();
                    }
                }
                Incoming::Unsent => is_lost = true,
                Incoming::Disconnected(reason) => {
                    // The reason of a failed login was already printed.
                    if outcome != Outcome::Failed {
                        outcome = Outcome::of(reason);
                    }
                    say(&format!("disconnected: {reason}"));
                }
                Incoming::DialFailed(failure, again) => {
                    let again =
                        again.map_or(String::new(), |again| format!("; retrying in {:.1} s", again.as_secs_f64()));
                    say(&format!("can't connect: {}{again}", explain(failure)));
                }
                Incoming::LoginFailed(why) => {
                    outcome = Outcome::Failed;
                    say(&format!("can't log in: {why}"));
                }
                _ => {}
            }
        }
        if self.is_complete() {
            return Outcome::Ended;
        }
        if is_lost && outcome == Outcome::Ended {
            say("input was not sent");
            outcome = Outcome::Broken;
        }
        self.settle(outcome)
    }

    /// Returns the final outcome, depending on how many messages of `--count` have arrived.
    fn settle(&self, outcome: Outcome) -> Outcome {
        self.is_over.store(true, Ordering::SeqCst);
        match self.count {
            Some(count) if outcome == Outcome::Ended && !self.is_complete() => {
                say(&format!("the connection ended after {} of {count} messages", self.received));
                Outcome::Broken
            }
            _ => outcome,
        }
    }

    /// Returns the bytes to write for a message.
    ///
    /// On a terminal, control characters are removed, unless a telnet server has asked for single
    /// keys: then it controls the screen.
    fn render(&self, message: Payload<'_>) -> Vec<u8> {
        let bytes = message.as_bytes();
        let is_controlled = self.is_stream && self.mode == ClientMode::Character;
        if self.is_binary || self.is_stream && (is_controlled || !self.is_terminal) {
            return bytes.to_vec();
        }
        let json = if self.is_json { message.as_str().and_then(pretty) } else { None };
        let keeps_lines = json.is_some() || self.is_stream;
        let mut shown = json.map_or_else(|| bytes.to_vec(), String::into_bytes);
        if self.is_terminal {
            shown = sanitize(&String::from_utf8_lossy(&shown), keeps_lines).into_bytes();
        }
        if !self.is_stream {
            shown.push(b'\n');
        }
        shown
    }
}

/// Removes control characters, except line feeds if `keeps_lines`.
fn sanitize(text: &str, keeps_lines: bool) -> String {
    if !keeps_lines {
        return neutralize(text).into_owned();
    }
    let lines: Vec<_> = text.split('\n').map(neutralize).collect();
    lines.join("\n")
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.ok_or_else(|| "a time is a number of seconds, such as 5 or 0.5".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(change: impl FnOnce(&mut Output)) -> Output {
        let arguments = OutputArguments { binary: false, json: false, count: None, timeout: None };
        let mut output = Output::new(&arguments, false, Arc::default());
        output.is_terminal = false;
        change(&mut output);
        output
    }

    #[test]
    fn control_characters_pass_only_where_the_server_controls_the_screen() {
        let (red, removed) = ("a\u{1b}[31m\r\nb\u{7}", &b"a[31m\nb"[..]);
        let shown = |change: fn(&mut Output)| output(change).render(Payload::Text(red));
        assert_eq!(shown(|_| {}), [red.as_bytes(), b"\n"].concat());
        assert_eq!(shown(|output| output.is_terminal = true), b"a[31mb\n");
        let on_terminal = |output: &mut Output| (output.is_stream, output.is_terminal) = (true, true);
        assert_eq!(output(on_terminal).render(Payload::Text(red)), removed);
        let mut output = output(on_terminal);
        output.mode = ClientMode::Hidden;
        assert_eq!(output.render(Payload::Text(red)), removed);
        output.mode = ClientMode::Character;
        assert_eq!(output.render(Payload::Text(red)), red.as_bytes());
    }

    #[test]
    fn messages_are_printed_as_json_as_lines_or_as_bytes() {
        let json = output(|output| output.is_json = true);
        assert_eq!(json.render(Payload::Text("{\"a\":[1]}")), b"{\n  \"a\": [\n    1\n  ]\n}\n");
        assert_eq!(json.render(Payload::Text("{a}")), b"{a}\n");
        let terminal = output(|output| (output.is_json, output.is_terminal) = (true, true));
        assert_eq!(terminal.render(Payload::Text("[\"\u{202e}x\"]")), b"[\n  \"x\"\n]\n");
        let bytes = output(|output| output.is_binary = true);
        assert_eq!(bytes.render(Payload::Binary(b"\xff\n")), b"\xff\n");
    }

    #[test]
    fn time_limit_is_a_finite_number_of_seconds() {
        assert_eq!((seconds("2.5"), seconds("0")), (Ok(Duration::from_millis(2_500)), Ok(Duration::ZERO)));
        assert!(["", "-1", "inf", "NaN", "1e30", "5s"].iter().all(|text| seconds(text).is_err()));
    }
}
