//! Telnet from the peer's side: a whole server in virtual time, byte by byte.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

mod dialled;
mod editing;
mod negotiation;
mod options;

use drupe_core::outbound::SlowPolicy;
use drupe_core::telnet::{InputMode, Key, Side, Signal, option};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen, NoNote};

/// Remembers what it is told; says each line again; does what lines that begin with a colon say.
#[derive(Default)]
struct Recorder {
    told: Vec<String>,
    prompt: String,
}

impl Handler for Recorder {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, .. } => {
                hub.set_slow_policy("all", SlowPolicy::SkipNewest).expect("there is room");
                hub.join(conn, "all").expect("there is room");
            }
            Event::Message { conn, payload } => {
                let text = payload.as_str().unwrap_or("not text").to_owned();
                self.told.push(format!("line {text}"));
                match &*text {
                    ":character" => drop(hub.set_input_mode(conn, InputMode::Character)),
                    ":keys" => drop(hub.set_input_mode(conn, InputMode::Keys)),
                    ":line" => drop(hub.set_input_mode(conn, InputMode::Line)),
                    ":prompt" => drop(hub.prompt(conn, "name> ")),
                    ":password" => drop(hub.prompt_hidden(conn, "password: ")),
                    ":gmcp" => drop(hub.gmcp(conn, "Core.Ping", "")),
                    ":mxp" => drop(hub.enable_option(conn, Side::Us, option::MXP)),
                    ":240" => drop(hub.enable_option(conn, Side::Us, 240)),
                    ":quit" => hub.close_with(conn, "bye"),
                    ":long" => drop(hub.prompt(conn, &self.prompt)),
                    ":more" => {
                        hub.prompt(conn, &self.prompt);
                        hub.write(conn, self.prompt.as_str());
                    }
                    ":silent" => {}
                    _ => drop(hub.send(conn, &text)),
                }
            }
            Event::Signal { conn, signal, .. } => {
                self.told.push(format!("{signal:?}"));
                if signal == Signal::Key(Key::Char('q')) {
                    hub.set_input_mode(conn, InputMode::Line);
                }
            }
            Event::Closed { reason, .. } => self.told.push(format!("closed {reason}")),
            _ => {}
        }
    }
}

struct Peer {
    hub: TestHub<Recorder>,
    conn: ConnId,
}

const PROBE: &[u8] = b"\xff\xfd\x18";

impl Peer {
    fn new(options: &str) -> Self {
        let listen: Listen = format!("telnet://127.0.0.1:0{options}").parse().expect("well formed");
        let mut hub = TestHub::with_config(Config::listening([listen]), Recorder::default());
        let conn = hub.connect();
        Self { hub, conn }
    }

    /// One that has refused everything.
    fn plain(options: &str) -> Self {
        let mut peer = Self::new(options);
        peer.say(b"\xff\xfc\x18");
        peer.heard();
        peer.told();
        peer
    }

    /// One that leaves editing to the server.
    fn typing() -> Self {
        let mut peer = Self::new("?mode=character");
        peer.say(b"\xff\xfc\x18");
        peer.say(b"\xff\xfd\x01\xff\xfd\x03");
        peer.heard();
        peer.told();
        peer
    }

    fn say(&mut self, bytes: &[u8]) {
        self.hub.send(self.conn, bytes);
    }

    fn heard(&mut self) -> Vec<u8> {
        let heard = self.hub.received(self.conn).to_vec();
        self.hub.clear();
        heard
    }

    fn heard_text(&mut self) -> String {
        String::from_utf8(self.heard()).expect("only text")
    }

    fn told(&mut self) -> Vec<String> {
        let seen = self.hub.handler().told.clone();
        self.hub.with_handler(|recorder| recorder.told.clear());
        seen
    }
}
