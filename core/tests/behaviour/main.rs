//! What peers, applications and operators observe, case by case, in virtual time.

#![allow(clippy::expect_used, reason = "a test fails where its assumption does")]

mod apps;
mod clients;
mod endings;
mod input;
mod rates;
mod raw;
mod replay;
mod slow;
mod sockets;
mod timing;

use drupe_core::outbound::SlowPolicy;
use drupe_core::{Config, Dial, Event, Handler, Hub, Listen, Origin, Timer};
use std::time::Duration;

fn listening(address: &str) -> Config {
    Config::listening([address.parse::<Listen>().expect(address)])
}

fn lines() -> Config {
    listening("tcp://127.0.0.1:7000")
}

const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Keeps every event as a line.
#[derive(Default)]
struct Log {
    events: Vec<String>,
}

impl Handler for Log {
    type Context = ();
    type Note = String;

    fn on(&mut self, _: &mut Hub<'_, ()>, event: Event<'_, String>) {
        self.events.push(match event {
            Event::Message { payload, .. } => format!("message {:?}", payload.as_str().unwrap_or("binary")),
            Event::Closed { reason, .. } => format!("closed {reason}"),
            Event::Opened { origin: Origin::Dial(_), .. } => "dialed".into(),
            Event::Opened { .. } => "opened".into(),
            Event::Note(note) => format!("note {note}"),
            Event::Started => return,
            Event::DialFailed { retry_at, failure, .. } => format!("dial {failure}, retry {}", retry_at.is_some()),
            Event::InputEnded { .. } => "input ended".into(),
            Event::Draining => "draining".into(),
            other => format!("{other:?}"),
        });
    }
}

/// Does what a note says to everybody: `send N`, `policy`, `publish N`, `pause`, `dial`, `wake`.
#[derive(Default)]
struct Puppet {
    log: Log,
    greets: bool,
}

impl Handler for Puppet {
    type Context = ();
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, String>) {
        let all: Vec<_> = hub.connections().collect();
        match &event {
            Event::Opened { conn, .. } if self.greets => drop(hub.send(*conn, "welcome")),
            Event::Draining => {
                hub.dial(Dial::lines("192.0.2.1:1"));
            }
            Event::Timer(timer) => hub.wake(*timer, Duration::ZERO),
            Event::Note(note) => {
                let (verb, number) = note.split_once(' ').unwrap_or((note, "0"));
                let text = "x".repeat(number.parse().expect("a number"));
                match verb {
                    "send" => drop(hub.send_each(&all, &text)),
                    "keep" => {
                        hub.set_slow_policy("room", SlowPolicy::KeepLatest).expect("a good name");
                        all.iter().for_each(|&conn| assert!(hub.join(conn, "room").is_ok()));
                    }
                    "publish" => drop(hub.publish("room", &text)),
                    "pause" => all.iter().for_each(|&conn| hub.pause(conn)),
                    "resume" => all.iter().for_each(|&conn| hub.resume(conn)),
                    _ => hub.wake(Timer::named("again"), Duration::ZERO),
                }
            }
            _ => {}
        }
        if !matches!(event, Event::Note(_) | Event::Timer(_)) {
            self.log.on(hub, event);
        }
    }
}
