//! The command `drupe client`: a client for people and for scripts.

mod handshake;
mod json;
mod lines;
mod outcome;
mod output;
mod pipe;
mod proxy;
mod telnet;
mod terminal;
mod tls;
mod wire;

use crate::failure::Failure;
use clap::Args;
use drupe_core::Dial;
use drupe_core::files;
use drupe_core::kit::client::{ClientOptions, Login};
use drupe_shell::Runtime;
use drupe_shell::client::Client;
use handshake::HandshakeArguments;
use lines::converse;
use outcome::Outcome;
use output::{Output, OutputArguments};
use pipe::{Input, pipe};
use proxy::ProxyArguments;
use std::io::{self, IsTerminal};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use std::{env, thread};
use terminal::{leave, say};
use tls::TlsArguments;
use wire::refuse;

/// Arguments of `drupe client`.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0  the input was sent, and one side closed the connection cleanly; or --count messages arrived
  1  the connection could not be made, the login failed, or the output could not be written
  2  the arguments are invalid
  3  the connection ended for another reason (printed, such as reset or malformed_frame), input was not sent,
     or the connection ended before --count messages arrived
  4  --timeout passed before --count messages arrived

On a terminal, you can edit a line while messages arrive, Control-D ends the input, and Control-C leaves. Control
characters in messages are removed.

With telnet:// and telnets:// on a terminal, the server decides: while it does not echo, you edit lines; if it
takes over the echo alone, as for passwords, what you type is hidden; and if it asks for single keys, each key is
sent at once, and the server controls the screen: its control characters then pass unchanged. Control-] asks
whether to quit. The server learns the terminal's type (TERM) and size if it asks.")]
#[expect(clippy::doc_markdown, reason = "the text is for --help, not for rustdoc")]
pub(crate) struct ClientArguments {
    /// The server's address, in the text form of [`Dial`].
    #[arg(
        value_name = "ADDRESS",
        help = "Where to connect, such as tcp://127.0.0.1:8024, telnet://127.0.0.1:8023, length://[::1]:7001 or \
                ws://127.0.0.1:8025/chat; with TLS: tls://, telnets://, lengths:// and wss://; HOST:PORT means lines \
                over TCP"
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
    /// Seconds to receive after the input ends (1 by default); only for WebSocket, telnet and proxies, since other
    /// connections stay open until the server closes them
    #[arg(long, value_name = "SECONDS", conflicts_with = "count")]
    linger: Option<u64>,
    #[command(flatten)]
    output: OutputArguments,
    #[command(flatten)]
    handshake: HandshakeArguments,
    #[command(flatten)]
    tls: TlsArguments,
    #[command(flatten)]
    proxy: ProxyArguments,
}

pub(crate) fn run<R: Runtime + 'static>(arguments: &ClientArguments) -> Result<ExitCode, Failure> {
    let mut dial = arguments.address.clone();
    let proxy = arguments.proxy.apply(&mut dial, |name| env::var(name).ok()).unwrap_or_else(|error| error.exit());
    if let Err(error) = arguments.check(&dial) {
        error.exit();
    }
    if arguments.output.is_binary() && io::stdout().is_terminal() {
        return Err("--binary writes bytes as they are, which a terminal must not show: redirect the output".into());
    }
    let is_terminal = io::stdin().is_terminal() && io::stdout().is_terminal();
    let is_telnet = wire::is_telnet(&dial);
    let is_stream = wire::is_stream(&dial) || is_telnet && is_terminal;
    if is_telnet && is_terminal && arguments.output.has_messages_only() {
        return Err(
            "--count and --json need messages, and telnet on a terminal has none: redirect the input or output".into(),
        );
    }
    arguments.handshake.apply(&mut dial);
    arguments.tls.apply(&mut dial)?;
    if let (Some(proxy), Some(source)) = (&dial.proxy, proxy) {
        say(&format!("using the proxy {proxy} ({source})"));
    }
    if arguments.tls.is_insecure() {
        say("warning: --insecure accepts any certificate, so anyone on the way can read and change everything");
    }
    if is_telnet && is_terminal {
        telnet::describe(&mut dial);
    }
    let (has_halves, login) = (wire::has_halves(&dial), arguments.login(is_telnet)?);
    let mut options = if arguments.reconnect { ClientOptions::new(dial) } else { ClientOptions::once(dial) };
    options.login = login;
    let client = Client::connect::<R>(options)?;
    for (number, message) in arguments.subscribe.iter().enumerate() {
        client.subscribe(number.to_string(), message.as_str())?;
    }
    let linger = Duration::from_secs(arguments.linger.unwrap_or(1));
    let is_counted = arguments.output.is_counted();
    let end = move |client: &Client| match (is_counted, has_halves) {
        // The client waits for the messages until --timeout.
        (true, _) => {}
        (false, true) => client.finish(),
        (false, false) => {
            thread::sleep(linger);
            client.close();
        }
    };
    let is_over = arguments.watch_time();
    let output = Output::new(&arguments.output, is_stream, is_over);
    match (is_terminal, is_telnet) {
        (true, true) => telnet::converse(&client, output, end),
        (true, false) => converse(&client, output, end),
        (false, _) => {
            let input = if arguments.output.is_binary() { Input::Chunks } else { Input::Lines };
            Ok(ExitCode::from(pipe(client, input, output, end) as u8))
        }
    }
}

impl ClientArguments {
    /// Checks that the wire of the address supports each option.
    fn check(&self, dial: &Dial) -> Result<(), clap::Error> {
        self.tls.check(dial)?;
        self.handshake.check(dial)?;
        self.output.check(dial)?;
        if wire::is_telnet(dial) {
            for (is_used, option) in [(self.user.is_some(), "--user"), (self.token_file.is_some(), "--token-file")] {
                if is_used {
                    return Err(refuse(option, dial, "log in as the server asks, in the input"));
                }
            }
        }
        if self.linger.is_some() && wire::has_halves(dial) {
            return Err(refuse(
                "--linger",
                dial,
                "it is for WebSocket, telnet and proxies; elsewhere, the server decides",
            ));
        }
        Ok(())
    }

    fn login(&self, is_telnet: bool) -> Result<Option<Login>, Failure> {
        if is_telnet {
            return Ok(None);
        }
        let first_line = |path: &PathBuf| {
            files::read_secret(path).map_err(|error| format!("can't read {}: {error}", path.display()))
        };
        if let Some(user) = &self.user {
            let password = match &self.password_file {
                Some(path) => first_line(path)?,
                None => env::var("DRUPE_PASSWORD").map_err(|_| "--user needs --password-file or DRUPE_PASSWORD")?,
            };
            return Ok(Some(Login::Password { user: user.clone(), password }));
        }
        let token = self.token_file.as_ref().map(first_line).transpose()?;
        Ok(token.or_else(|| env::var("DRUPE_TOKEN").ok()).map(Login::Token))
    }

    /// Ends the program after `--timeout`, unless the returned flag was set before.
    fn watch_time(&self) -> Arc<AtomicBool> {
        let is_over = Arc::new(AtomicBool::new(false));
        if let Some(timeout) = self.output.timeout() {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                thread::sleep(timeout);
                if !is_over.swap(true, Ordering::SeqCst) {
                    say(&format!("timed out: the messages did not arrive within {timeout:?}"));
                    leave(Outcome::TimedOut);
                }
            });
        }
        is_over
    }
}
