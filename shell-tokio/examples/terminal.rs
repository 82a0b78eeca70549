//! Features of a telnet terminal: hidden input, terminal properties and single keys.
//!
//! Run `terminal --listen 'telnet://127.0.0.1:7000?mode=character'`, then `telnet 127.0.0.1 7000`.
//! It asks for a name and a password, shows what the terminal reports, and offers a menu for the
//! arrow keys.

use drupe_tokio::Server;
use drupe_tokio::core::telnet::{InputMode, Key, Signal};
use drupe_tokio::core::text::neutralize;
use drupe_tokio::core::{Config, ConnId, Event, Handler, Hub, Listen, NoNote};
use std::io::Write;

const CHOICES: [&str; 3] = ["Show the terminal", "Type a line", "Leave"];

#[derive(Default)]
enum Step {
    #[default]
    Name,
    Password(String),
    Menu(usize),
    Line,
}

struct Terminal;

impl Handler for Terminal {
    type Context = Step;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Step>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.prompt(conn, "name: ");
            }
            Event::Message { conn, payload } => {
                let line = neutralize(payload.as_str().unwrap_or_default()).into_owned();
                answer(hub, conn, line);
            }
            Event::Signal { conn, signal: Signal::Key(key), .. } => press(hub, conn, key),
            Event::Signal { conn, signal: Signal::EndOfFile, .. } => hub.close_with(conn, "bye"),
            _ => {}
        }
    }
}

fn answer(hub: &mut Hub<'_, Step>, conn: ConnId, line: String) {
    let Some(step) = hub.context(conn) else { return };
    match std::mem::take(step) {
        Step::Name => {
            *step = Step::Password(line);
            if !hub.prompt_hidden(conn, "password: ") {
                hub.write(conn, "(input is visible) ");
            }
        }
        Step::Password(name) => {
            hub.send(conn, &format!("welcome, {name}; your password has {} characters", line.chars().count()));
            menu(hub, conn, 0);
        }
        // A wire without single keys sends the number as a line.
        Step::Menu(_) => {
            let choice = line.trim().parse::<usize>().unwrap_or_default().clamp(1, CHOICES.len()) - 1;
            choose(hub, conn, choice);
        }
        Step::Line => {
            hub.send(conn, &format!("you typed {line:?}"));
            menu(hub, conn, 0);
        }
    }
}

fn menu(hub: &mut Hub<'_, Step>, conn: ConnId, chosen: usize) {
    if let Some(step) = hub.context(conn) {
        *step = Step::Menu(chosen);
    }
    hub.set_input_mode(conn, InputMode::Keys);
    for (number, choice) in (1..).zip(CHOICES) {
        let mark = if number == chosen + 1 { '>' } else { ' ' };
        hub.send(conn, &format!("{mark} {number} {choice}"));
    }
}

fn press(hub: &mut Hub<'_, Step>, conn: ConnId, key: Key) {
    let Some(&mut Step::Menu(chosen)) = hub.context(conn) else { return };
    match key {
        Key::Up => menu(hub, conn, chosen.saturating_sub(1)),
        Key::Down => menu(hub, conn, (chosen + 1).min(CHOICES.len() - 1)),
        Key::Char(digit @ '1'..='3') => choose(hub, conn, digit as usize - '1' as usize),
        Key::Enter => choose(hub, conn, chosen),
        Key::Escape | Key::Ctrl('c') => hub.close_with(conn, "bye"),
        _ => {}
    }
}

fn choose(hub: &mut Hub<'_, Step>, conn: ConnId, choice: usize) {
    match choice {
        0 => {
            let terminal = hub.terminal(conn).map(|terminal| format!("{terminal:#?}"));
            hub.send(conn, &terminal.unwrap_or_else(|| "not a telnet connection".to_owned()));
            menu(hub, conn, 0);
        }
        1 => {
            if let Some(step) = hub.context(conn) {
                *step = Step::Line;
            }
            hub.set_input_mode(conn, InputMode::Character);
            hub.prompt(conn, "> ");
        }
        _ => hub.close_with(conn, "bye"),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let listen = std::env::args().skip_while(|argument| argument != "--listen").nth(1);
    let listen: Listen = listen.as_deref().unwrap_or("telnet://127.0.0.1:7000?mode=character").parse()?;
    let server = Server::bind(Config::listening([listen]), Terminal)?.drain_on_signals()?;
    for address in server.addresses() {
        writeln!(std::io::stdout(), "listening on {address}")?;
    }
    server.run().await?;
    Ok(())
}
