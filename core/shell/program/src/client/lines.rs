//! The interactive client on a terminal: line editing while messages arrive.

use super::outcome::Outcome;
use super::output::Output;
use super::terminal::{leave, remember};
use crate::failure::Failure;
use drupe_shell::block_on;
use drupe_shell::client::Client;
use rustyline::error::ReadlineError;
use rustyline::{Config, DefaultEditor, ExternalPrinter};
use std::io;
use std::process::ExitCode;
use std::thread;

/// Sends the lines of a terminal and shows messages above the line that is edited.
pub(crate) fn converse(client: &Client, mut output: Output, end: impl Fn(&Client)) -> Result<ExitCode, Failure> {
    remember()?;
    let mut editor = DefaultEditor::with_config(Config::builder().auto_add_history(true).build())?;
    let mut printer = editor.create_external_printer()?;
    let listener = client.clone();
    thread::spawn(move || {
        let show = |bytes: &[u8]| printer.print(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other);
        let outcome = output.listen(listener, show, |_| {});
        leave(outcome)
    });
    loop {
        match editor.readline("") {
            Ok(line) => drop(block_on(client.send(line))),
            Err(ReadlineError::Interrupted) => leave(Outcome::Ended),
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
