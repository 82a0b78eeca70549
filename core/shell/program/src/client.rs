//! The command `drupe client`: a client for people and for scripts.

use crate::client_proxy::ProxyArguments;
use crate::client_tls::{TlsArguments, explain};
use clap::Args;
use drupe_core::files;
use drupe_core::kit::client::{ClientOptions, Login};
use drupe_core::text::neutralize;
use drupe_core::{Dial, DialProtocol, PayloadBuf, Reason};
use drupe_shell::Runtime;
use drupe_shell::block_on;
use drupe_shell::client::Client;
use drupe_shell::client::Incoming;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, process, thread};

/// Arguments of `drupe client`.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0  the input was sent, and one side closed the connection cleanly
  1  the connection could not be made, the login failed, or the output could not be written
  2  the arguments are invalid
  3  the connection ended for another reason (printed, such as reset or malformed_frame), or input was not sent")]
#[expect(clippy::doc_markdown, reason = "the text is for --help, not for rustdoc")]
pub(crate) struct ClientArguments {
    /// The server's address, in the text form of [`Dial`].
    #[arg(
        value_name = "ADDRESS",
        help = "Where to connect, such as tcp://127.0.0.1:8024, length://[::1]:7001 or ws://127.0.0.1:8025/chat; with TLS: \
                tls://, lengths:// and wss://; HOST:PORT means lines over TCP"
    )]
    address: Dial,
    /// Reconnect when the connection ends or cannot be made
    #[arg(long)]
    reconnect: bool,
    /// Send this message first on each new connection; may be given several times
    #[arg(long, value_name = "MESSAGE")]
    subscribe: Vec<String>,
    /// Log in as this user; the password comes from --password-file or DRUPE_PASSWORD
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    user: Option<String>,
    /// File whose first line is the password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// File whose first line is the login token; without it, DRUPE_TOKEN is used if it is set
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Seconds to receive on WebSocket or through a proxy after the input ends; elsewhere, until the server closes
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    linger: u64,
    #[command(flatten)]
    tls: TlsArguments,
    #[command(flatten)]
    proxy: ProxyArguments,
}

type Failure = Box<dyn std::error::Error>;

/// The result of `drupe client`, as its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The input was sent, and one side closed the connection cleanly.
    Ended = 0,
    /// There was no connection, the login failed, or the output could not be written.
    Failed = 1,
    /// The connection broke, or input was not sent.
    Broken = 3,
}

impl Outcome {
    /// Returns the outcome of a connection that ended for `reason`.
    const fn of(reason: Reason) -> Self {
        match reason {
            Reason::PeerClosed | Reason::Application | Reason::Shutdown => Self::Ended,
            _ => Self::Broken,
        }
    }
}

pub(crate) fn run<R: Runtime + 'static>(arguments: &ClientArguments) -> Result<ExitCode, Failure> {
    let mut dial = arguments.address.clone();
    if let Err(error) = arguments.tls.check(&dial) {
        error.exit();
    }
    let proxy = arguments.proxy.apply(&mut dial, |name| env::var(name).ok()).unwrap_or_else(|error| error.exit());
    arguments.tls.apply(&mut dial)?;
    if let (Some(proxy), Some(source)) = (&dial.proxy, proxy) {
        say(&format!("using the proxy {proxy} ({source})"));
    }
    if arguments.tls.is_insecure() {
        say("warning: --insecure accepts any certificate, so anyone on the way can read and change everything");
    }
    // Many proxies end both directions when one ends, and the answers would be lost.
    let has_halves = dial.proxy.is_none() && !matches!(dial.protocol, DialProtocol::WebSocket(_));
    let mut options = if arguments.reconnect { ClientOptions::new(dial) } else { ClientOptions::once(dial) };
    options.login = login(arguments)?;
    let client = Client::connect::<R>(options)?;
    for (number, message) in arguments.subscribe.iter().enumerate() {
        client.subscribe(number.to_string(), message.as_str())?;
    }
    let linger = Duration::from_secs(arguments.linger);
    let end = move |client: &Client| {
        if has_halves {
            client.finish();
        } else {
            thread::sleep(linger);
            client.close();
        }
    };
    if io::stdin().is_terminal() && io::stdout().is_terminal() {
        converse(&client, end)
    } else {
        Ok(ExitCode::from(pipe(client, end) as u8))
    }
}

fn login(arguments: &ClientArguments) -> Result<Option<Login>, Failure> {
    let first_line =
        |path: &PathBuf| files::read_secret(path).map_err(|error| format!("can't read {}: {error}", path.display()));
    if let Some(user) = &arguments.user {
        let password = match &arguments.password_file {
            Some(path) => first_line(path)?,
            None => env::var("DRUPE_PASSWORD").map_err(|_| "--user needs --password-file or DRUPE_PASSWORD")?,
        };
        return Ok(Some(Login::Password { user: user.clone(), password }));
    }
    let token = arguments.token_file.as_ref().map(first_line).transpose()?;
    Ok(token.or_else(|| env::var("DRUPE_TOKEN").ok()).map(Login::Token))
}

/// Sends lines from the input and writes messages to the output, until the connection ends.
fn pipe(client: Client, end: impl Fn(&Client) + Send + 'static) -> Outcome {
    let sender = client.clone();
    let feed = Arc::new(Feed::default());
    thread::spawn({
        let feed = Arc::clone(&feed);
        move || {
            for line in io::stdin().lock().split(b'\n').map_while(Result::ok) {
                let line = line.strip_suffix(b"\r").map(<[u8]>::to_vec).unwrap_or(line);
                feed.set(Feeding::Sending);
                if block_on(sender.send(payload(line))).is_err() {
                    return feed.set(Feeding::Lost);
                }
                feed.set(Feeding::Reading);
            }
            feed.set(Feeding::Done);
            end(&sender);
        }
    });
    let outcome = listen(client, |message| show(message, &mut io::stdout().lock()));
    // Without a connection, that error was already printed.
    if outcome == Outcome::Ended && feed.has_lost() {
        say("input was not sent");
        return Outcome::Broken;
    }
    outcome
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
    /// A line was read but not sent.
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
                // The other thread is about to read the line, or to fail to send it.
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

/// Runs the client on a terminal, with line editing while messages arrive.
fn converse(client: &Client, end: impl Fn(&Client)) -> Result<ExitCode, Failure> {
    let terminal = tcgetattr(io::stdin())?;
    let mut editor = DefaultEditor::with_config(Config::builder().auto_add_history(true).build())?;
    let mut printer = editor.create_external_printer()?;
    let listener = client.clone();
    let before = terminal.clone();
    thread::spawn(move || {
        let outcome = listen(listener, |message| {
            let mut line = Vec::new();
            show(message, &mut line)?;
            printer.print(String::from_utf8_lossy(&line).into_owned()).map_err(io::Error::other)
        });
        leave(&before, outcome)
    });
    loop {
        match editor.readline("") {
            Ok(line) => drop(block_on(client.send(line))),
            Err(ReadlineError::Interrupted) => leave(&terminal, Outcome::Ended),
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(error.into()),
        }
    }
    end(client);
    loop {
        // The other thread exits the program when the connection has ended.
        thread::park();
    }
}

/// Restores the terminal and exits, because the other thread may be in the middle of a line.
fn leave(terminal: &Termios, outcome: Outcome) -> ! {
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, terminal);
    process::exit(outcome as i32)
}

/// Shows messages and events until the client has ended, and returns the outcome.
fn listen(mut client: Client, mut show: impl FnMut(&PayloadBuf) -> io::Result<()>) -> Outcome {
    let (mut outcome, mut is_lost) = (Outcome::Failed, false);
    while let Some(incoming) = block_on(client.receive()) {
        match incoming {
            Incoming::Connected(peer) => {
                outcome = Outcome::Ended;
                say(&format!("connected to {peer}"));
            }
            Incoming::Message(message) => match show(&message) {
                Ok(()) => {}
                // The reader of the output has closed it.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return outcome,
                Err(error) => {
                    say(&format!("can't write to the standard output: {error}"));
                    return Outcome::Failed;
                }
            },
            Incoming::Unsent => is_lost = true,
            Incoming::Disconnected(reason) => {
                // The reason of a failed login was already printed.
                if outcome != Outcome::Failed {
                    outcome = Outcome::of(reason);
                }
                say(&format!("disconnected: {reason}"));
            }
            Incoming::DialFailed(failure, again) => {
                let again = again.map_or(String::new(), |again| format!("; retrying in {:.1} s", again.as_secs_f64()));
                say(&format!("can't connect: {}{again}", explain(failure)));
            }
            Incoming::LoginFailed(why) => {
                outcome = Outcome::Failed;
                say(&format!("can't log in: {why}"));
            }
            _ => {}
        }
    }
    if is_lost && outcome == Outcome::Ended {
        say("input was not sent");
        return Outcome::Broken;
    }
    outcome
}

/// Writes a message and a line feed. On a terminal, removes control characters.
fn show(message: &PayloadBuf, output: &mut impl Write) -> io::Result<()> {
    let bytes = message.as_payload().as_bytes();
    if io::stdout().is_terminal() {
        output.write_all(neutralize(&String::from_utf8_lossy(bytes)).as_bytes())?;
    } else {
        output.write_all(bytes)?;
    }
    output.write_all(b"\n")?;
    output.flush()
}

fn payload(line: Vec<u8>) -> PayloadBuf {
    String::from_utf8(line).map_or_else(|error| PayloadBuf::Binary(error.into_bytes().into()), PayloadBuf::from)
}

/// Prints a status line on the standard error.
fn say(words: &str) {
    // Some of the text comes from the server.
    let _ = writeln!(io::stderr(), "drupe: {}", neutralize(words));
}
