//! Authentication in virtual time: who may log in, and which events the application receives.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

mod dialogue;
mod guesses;
mod identities;
mod issued;
mod passwords;
mod privacy;
mod registration;
mod scram;
mod ssh;
mod tokens;

use drupe_core::kit::auth::scram::{Credentials, ScramClient};
use drupe_core::kit::auth::{Accounts, Authentication, Claims, Provider, TokenKey, Tokens};
use drupe_core::kit::layer::{Layered, Recording, Within};
use drupe_core::testing::TestHub;
use drupe_core::{Config, ConnId, Event, Handler, Hub, Listen};
use std::sync::mpsc::{Receiver, channel};

const NOW: u64 = 1_800_000_000;

/// Says what it hears, and keeps what happened.
#[derive(Default)]
struct Inside {
    log: Vec<String>,
}

impl Handler for Inside {
    type Context = ();
    type Note = (ConnId, Option<String>);

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Self::Note>) {
        let user = event.conn().and_then(|conn| hub.identity(conn)).map_or("nobody".into(), ToString::to_string);
        match event {
            Event::Opened { request, .. } => {
                self.log.push(format!("{user} opened {}", request.map_or("-", |request| request.path())));
            }
            Event::Authenticated { .. } => self.log.push(format!("{user} authenticated")),
            Event::Message { conn, payload } => {
                let text = payload.as_str().expect("text");
                let identity = hub.identity(conn);
                let answer = match text.split_once(' ') {
                    Some(("may", scope)) => identity.is_some_and(|identity| identity.may(scope)).to_string(),
                    Some(("claim", name)) => format!("{:?}", identity.and_then(|identity| identity.claim(name))),
                    _ => format!("{user}: {text}"),
                };
                hub.send(conn, &answer);
            }
            Event::Closed { reason, .. } => self.log.push(format!("{user} closed {reason}")),
            Event::Note((_, text)) => self.log.push(format!("note {text:?}")),
            _ => {}
        }
    }
}

type Guarded<P> = TestHub<Layered<Authentication<P>, Inside>>;

fn credentials(password: &str) -> Credentials {
    Credentials::new(password, password.as_bytes(), 4_096).expect("a password")
}

fn key() -> TokenKey {
    TokenKey::hs256(&[7; 32]).expect("long enough")
}

fn accounts() -> Accounts {
    let accounts = Accounts::new().tokens(Tokens::new(key())).shared_password(credentials("mellon"));
    accounts.user("root", credentials("t0psecret"), ["*"]).expect("a name")
}

fn layer() -> Authentication<Accounts> {
    Authentication::new(accounts(), [3; 32])
}

fn guarded(address: &str, layer: Authentication<Accounts>) -> Guarded<Accounts> {
    TestHub::with_config(
        Config::listening([address.parse::<Listen>().expect(address)]),
        Inside::default().within(layer),
    )
}

fn lines(layer: Authentication<Accounts>) -> Guarded<Accounts> {
    guarded("tcp://127.0.0.1:1", layer)
}

fn token(user: &str, expires: u64) -> String {
    let claims = Claims::of(user).exp(Some(expires)).scope("join:*".into());
    key().sign(&claims).expect("it signs")
}

fn log<P: Provider<(ConnId, Option<String>)>>(hub: &Guarded<P>) -> Vec<&str> {
    hub.handler().inner().log.iter().map(String::as_str).collect()
}

/// Sends a line and says what came back.
fn told<P: Provider<(ConnId, Option<String>)>>(hub: &mut Guarded<P>, conn: ConnId, line: &str) -> Vec<String> {
    hub.clear();
    hub.line(conn, line);
    hub.lines(conn)
}

/// The exchange as a program speaks it; the last answer.
fn scram(hub: &mut Guarded<Accounts>, conn: ConnId, user: &str, password: &str) -> String {
    let client = ScramClient::new(user, password, "0123456789abcdef").expect("printable");
    let json = |message: &str| format!(r#"{{"type":"auth","scram":"{message}"}}"#);
    let first = told(hub, conn, &json(&client.first())).concat();
    let Some(first) = first.strip_prefix(r#"{"type":"auth","scram":""#).and_then(|rest| rest.strip_suffix(r#""}"#))
    else {
        return first;
    };
    let (last, expected) = client.answer(first).expect("good");
    let answer = told(hub, conn, &json(&last)).concat();
    if answer.contains("auth_ok") {
        assert!(answer.contains(&expected), "the server proved itself: {answer}");
    }
    answer
}

type Recorded = TestHub<
    Layered<Recording<Box<dyn FnMut(drupe_core::kit::layer::Entry<'_>)>>, Layered<Authentication<Accounts>, Inside>>,
>;

/// With everything that peers say recorded.
fn recorded(layer: Authentication<Accounts>) -> (Recorded, Receiver<String>) {
    let (send, entries) = channel();
    let keep: Box<dyn FnMut(drupe_core::kit::layer::Entry<'_>)> =
        Box::new(move |entry| send.send(entry.to_string()).expect("the test listens"));
    (TestHub::new(Inside::default().within(layer).within(Recording::new(keep))), entries)
}

fn scram_outside(hub: &mut Recorded, conn: ConnId, user: &str, password: &str) -> String {
    let client = ScramClient::new(user, password, "0123456789abcdef").expect("printable");
    hub.line(conn, &format!("/auth scram {}", client.first()));
    let first = hub.lines(conn).concat();
    let (last, _) = client.answer(first.strip_prefix("scram ").expect("an answer")).expect("good");
    hub.line(conn, &format!(r#"{{"type":"auth","scram":"{last}"}}"#));
    hub.lines(conn).concat()
}
