//! `drupe client`: a person, or a script, at the other end.

use clap::Args;
use drupe_tokio::Client;
use drupe_tokio::core::files;
use drupe_tokio::core::kit::client::{ClientOptions, Login};
use drupe_tokio::core::text::neutralize;
use drupe_tokio::core::{Dial, DialProtocol, PayloadBuf, Reason};
use drupe_tokio::shell::block_on;
use drupe_tokio::shell::client::Incoming;
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

/// What `drupe client` takes.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0  the input was sent, and the connection was closed in order by one side
  1  it could not be made, the login was refused, or the output could not be written
  2  the arguments are wrong
  3  it ended for another reason, which is said (such as reset or malformed_frame), or input was not sent")]
#[expect(clippy::doc_markdown, reason = "it is read by people who asked for --help")]
pub(crate) struct ClientArguments {
    /// Where to connect; see [`Dial`] for how it is written.
    #[arg(
        value_name = "ADDRESS",
        help = "Where to connect, such as tcp://127.0.0.1:8024, length://[::1]:7001 or ws://127.0.0.1:8025/chat; HOST:PORT \
                is lines"
    )]
    address: Dial,
    /// Come back when the connection ends or can't be made
    #[arg(long)]
    reconnect: bool,
    /// Send this first, each time that there is a connection; may be given several times
    #[arg(long, value_name = "MESSAGE")]
    subscribe: Vec<String>,
    /// Log in under this name, with the password in the file of --password-file or in the variable DRUPE_PASSWORD
    #[arg(long, value_name = "NAME", conflicts_with = "token_file")]
    user: Option<String>,
    /// Where the password stands, in the first line
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    /// Log in with the token in this file; without it, with that in the variable DRUPE_TOKEN, if there is one
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// How many seconds to listen after the end of the input, over WebSocket; over others until the server closes
    #[arg(long, value_name = "SECONDS", default_value_t = 1)]
    linger: u64,
}

type Failure = Box<dyn std::error::Error>;

/// How it went: the program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// In order.
    Ended = 0,
    /// There was no connection, or nobody hears what comes.
    Failed = 1,
    /// The connection broke, or something that should have been sent was not.
    Broken = 3,
}

impl Outcome {
    /// Of a connection that ended for a reason, as this side sees it.
    const fn of(reason: Reason) -> Self {
        match reason {
            Reason::PeerClosed | Reason::Application | Reason::Shutdown => Self::Ended,
            _ => Self::Broken,
        }
    }
}

pub(crate) fn run(arguments: &ClientArguments) -> Result<ExitCode, Failure> {
    let dial = arguments.address.clone();
    let has_halves = !matches!(dial.protocol, DialProtocol::WebSocket(_));
    let mut options = if arguments.reconnect { ClientOptions::new(dial) } else { ClientOptions::once(dial) };
    options.login = login(arguments)?;
    let client = drupe_tokio::connect(options)?;
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

/// Lines from the input to the server, and messages to the output, until the server has ended.
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
    // Without a connection nothing could be sent, which is said already.
    if outcome == Outcome::Ended && feed.has_lost() {
        say("input was not sent");
        return Outcome::Broken;
    }
    outcome
}

/// How far the input is.
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
    /// A line was read and not sent.
    Lost,
}

impl Feed {
    fn set(&self, state: Feeding) {
        *self.lock() = state;
        self.changed.notify_all();
    }

    /// Whether something of the input was not sent, now that nothing can be sent any more. An input that has nothing to say at
    /// the moment loses nothing.
    fn has_lost(&self) -> bool {
        let mut state = self.lock();
        loop {
            match *state {
                Feeding::Done => return false,
                Feeding::Lost => return true,
                Feeding::Reading if !is_input_ready() => return false,
                // It is about to be read, or to fail to be sent.
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

/// Whether the input has something to be read, its end included.
fn is_input_ready() -> bool {
    let input = io::stdin();
    let mut ready = [PollFd::new(&input, PollFlags::IN)];
    poll(&mut ready, Some(&Timespec::default())).is_ok_and(|count| count > 0)
}

/// A person at a terminal, who edits lines while messages come.
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
        // The other thread ends the program when the connection has ended.
        thread::park();
    }
}

/// Ends the program with the terminal as it was: the other thread may be in the middle of a line.
fn leave(terminal: &Termios, outcome: Outcome) -> ! {
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, terminal);
    process::exit(outcome as i32)
}

/// Shows what comes until nothing more will.
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
                // Who reads the output has all they wanted.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return outcome,
                Err(error) => {
                    say(&format!("can't write to the standard output: {error}"));
                    return Outcome::Failed;
                }
            },
            Incoming::Unsent => is_lost = true,
            Incoming::Disconnected(reason) => {
                // Why a login failed was said before.
                if outcome != Outcome::Failed {
                    outcome = Outcome::of(reason);
                }
                say(&format!("disconnected: {reason}"));
            }
            Incoming::DialFailed(failure, again) => {
                let again = again.map_or(String::new(), |again| format!("; again in {:.1} s", again.as_secs_f64()));
                say(&format!("can't connect: {failure}{again}"));
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

/// A message and a line feed. On a terminal without what could act on it.
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

/// A word about the connection, for people only.
fn say(words: &str) {
    // Some of them are the server's.
    let _ = writeln!(io::stderr(), "drupe: {}", neutralize(words));
}
