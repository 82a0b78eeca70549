//! The telnet client on a terminal: the server decides where the input is edited and echoed.

use super::outcome::Outcome;
use super::output::Output;
use super::pipe::payload;
use super::terminal::{ESCAPE, leave, remember, restore, say, set_mode};
use crate::failure::Failure;
use drupe_core::telnet::{ClientMode, Delivery, TelnetClient, TerminalTypes};
use drupe_core::wire::Wire;
use drupe_core::{Dial, DialProtocol};
use drupe_shell::block_on;
use drupe_shell::client::Client;
use rustix::termios::tcgetwinsize;
use signal_hook::consts::{SIGCONT, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGWINCH};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::io::{self, Read, Write};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{env, thread};

/// Sets the terminal's type and size for the server, unless the address sets them.
pub(crate) fn describe(dial: &mut Dial) {
    let DialProtocol::Spoken(Wire::TelnetClient(telnet)) = &mut dial.protocol else { return };
    *telnet = described(*telnet, env::var("TERM").ok().as_deref(), size());
}

fn described(telnet: TelnetClient, name: Option<&str>, size: Option<(u16, u16)>) -> TelnetClient {
    let types: Option<TerminalTypes> = name.and_then(|name| name.to_ascii_uppercase().parse().ok());
    let is_described = telnet.types.names().next().is_some();
    let types = if is_described { telnet.types } else { types.unwrap_or_default() };
    telnet.delivery(Delivery::Stream).types(types).size(telnet.size.or(size))
}

/// Sends lines or keys as the server wants them, and shows what it sends, until the connection ends.
pub(crate) fn converse(client: &Client, mut output: Output, end: impl Fn(&Client)) -> Result<ExitCode, Failure> {
    remember()?;
    let mode = Arc::new(Mode::default());
    mode.set(ClientMode::Line);
    say("Control-] asks whether to quit");
    handle_signals(client.clone(), Arc::clone(&mode))?;
    let (listener, listened) = (client.clone(), Arc::clone(&mode));
    thread::spawn(move || {
        let write = |bytes: &[u8]| {
            let mut to = io::stdout().lock();
            to.write_all(bytes)?;
            to.flush()
        };
        let outcome = output.listen(listener, write, |mode| listened.set(mode));
        leave(outcome)
    });
    let (mut typing, mut bytes) = (Typing::default(), [0; 4096]);
    loop {
        let count = match io::stdin().read(&mut bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if count == 0 {
            break;
        }
        typing.typed(&bytes[..count]);
        while let Some(typed) = typing.next(mode.get()) {
            match typed {
                Typed::Line(line) => drop(block_on(client.send(payload(line)))),
                Typed::Keys(keys) => drop(block_on(client.write(payload(keys)))),
                Typed::Escape => escape(client, &mode, &mut typing)?,
            }
        }
    }
    end(client);
    loop {
        // The other thread exits the program when the connection has ended.
        thread::park();
    }
}

/// Asks whether to quit. The next key answers.
fn escape(client: &Client, mode: &Mode, typing: &mut Typing) -> io::Result<()> {
    mode.ask(true);
    say("q quits, Control-] sends Control-], any other key continues");
    let key = typing.next_byte().map_or_else(read_byte, |byte| Ok(Some(byte)))?;
    mode.ask(false);
    match key {
        Some(b'q' | b'Q') | None => leave(Outcome::Ended),
        Some(ESCAPE) => drop(block_on(client.write(payload(vec![ESCAPE])))),
        Some(_) => {}
    }
    Ok(())
}

fn read_byte() -> io::Result<Option<u8>> {
    let mut byte = [0];
    loop {
        match io::stdin().read(&mut byte) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return Ok((read? > 0).then_some(byte[0])),
        }
    }
}

/// Starts a thread that handles signals: it reports the window's size, restores the terminal before
/// the program ends, and sets its mode again after the program was stopped.
fn handle_signals(client: Client, mode: Arc<Mode>) -> io::Result<()> {
    let mut signals = Signals::new([SIGWINCH, SIGCONT, SIGINT, SIGTERM, SIGHUP, SIGQUIT])?;
    thread::Builder::new().name("drupe-signals".into()).spawn(move || {
        for signal in &mut signals {
            match signal {
                SIGWINCH => {
                    if let Some((columns, rows)) = size() {
                        let _ = client.set_window_size(columns, rows);
                    }
                }
                SIGCONT => mode.apply(),
                SIGINT => leave(Outcome::Ended),
                other => {
                    restore();
                    let _ = emulate_default_handler(other);
                }
            }
        }
    })?;
    Ok(())
}

fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(io::stdout()).ok()?;
    (size.ws_col > 0 && size.ws_row > 0).then_some((size.ws_col, size.ws_row))
}

/// The mode that the server wants, and whether a question to the user is open.
#[derive(Default)]
struct Mode(Mutex<(ClientMode, bool)>);

impl Mode {
    fn get(&self) -> ClientMode {
        self.lock().0
    }

    fn set(&self, mode: ClientMode) {
        let mut state = self.lock();
        state.0 = mode;
        Self::apply_to(*state);
    }

    /// Begins or ends a question, which a single key answers.
    fn ask(&self, is_asked: bool) {
        let mut state = self.lock();
        state.1 = is_asked;
        Self::apply_to(*state);
    }

    fn apply(&self) {
        Self::apply_to(*self.lock());
    }

    fn apply_to((mode, is_asked): (ClientMode, bool)) {
        // If the terminal is gone, this fails, and the input ends too.
        let _ = set_mode(if is_asked { ClientMode::Character } else { mode });
    }

    fn lock(&self) -> MutexGuard<'_, (ClientMode, bool)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Typed bytes that are not handled yet.
#[derive(Debug, Default)]
struct Typing(Vec<u8>);

#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(Vec<u8>),
    Keys(Vec<u8>),
    Escape,
}

impl Typing {
    fn typed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    /// Takes a byte, as the answer to a question.
    fn next_byte(&mut self) -> Option<u8> {
        (!self.0.is_empty()).then(|| self.0.remove(0))
    }

    /// Takes the next line or keys, as the mode wants. An incomplete line stays.
    fn next(&mut self, mode: ClientMode) -> Option<Typed> {
        let is_line = mode != ClientMode::Character;
        let escape = self.0.iter().position(|&byte| byte == ESCAPE);
        let before = &self.0[..escape.unwrap_or(self.0.len())];
        if is_line && let Some(end) = before.iter().position(|&byte| matches!(byte, b'\n' | b'\r')) {
            let rest = self.0.split_off(end + 1);
            let mut line = std::mem::replace(&mut self.0, rest);
            line.pop();
            return Some(Typed::Line(line));
        }
        if !is_line && !before.is_empty() {
            let rest = self.0.split_off(before.len());
            return Some(Typed::Keys(std::mem::replace(&mut self.0, rest)));
        }
        self.0.remove(escape?);
        Some(Typed::Escape)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(mode: ClientMode, bytes: &[u8]) -> (Vec<Typed>, Vec<u8>) {
        let mut typing = Typing(bytes.to_vec());
        (std::iter::from_fn(|| typing.next(mode)).collect(), typing.0)
    }

    #[test]
    fn typed_bytes_are_lines_or_keys_and_the_escape_is_found_in_both() {
        let line = |line: &[u8]| Typed::Line(line.to_vec());
        let keys = |keys: &[u8]| Typed::Keys(keys.to_vec());
        for mode in [ClientMode::Line, ClientMode::Hidden] {
            assert_eq!(typed(mode, b"one\n\ntw"), (vec![line(b"one"), line(b"")], b"tw".to_vec()));
            assert_eq!(typed(mode, b"o\x1dne\n"), (vec![Typed::Escape, line(b"one")], vec![]));
            assert_eq!(typed(mode, b"one\n\x1d"), (vec![line(b"one"), Typed::Escape], vec![]));
        }
        let character = ClientMode::Character;
        assert_eq!(typed(character, b"one\rtw"), (vec![keys(b"one\rtw")], vec![]));
        assert_eq!(
            typed(character, b"a\x1d\x1db"),
            (vec![keys(b"a"), Typed::Escape, Typed::Escape, keys(b"b")], vec![])
        );
    }

    #[test]
    fn terminal_is_described_unless_the_address_does() {
        let types = |telnet: TelnetClient| telnet.types.as_str().to_owned();
        let found = described(TelnetClient::default(), Some("xterm-256color"), Some((80, 24)));
        assert_eq!(
            (types(found), found.size, found.delivery),
            ("XTERM-256COLOR".into(), Some((80, 24)), Delivery::Stream)
        );
        let found = described(TelnetClient::default(), Some("not\u{1b}a type"), None);
        assert_eq!((types(found), found.size), (String::new(), None));
        let told = TelnetClient::default().types("ansi".parse().expect("a type")).size(Some((40, 25)));
        let found = described(told, Some("xterm"), Some((80, 24)));
        assert_eq!((types(found), found.size), ("ansi".into(), Some((40, 25))));
    }
}
