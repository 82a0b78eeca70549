//! Prints how fast tests in virtual time are: messages through `TestHub`, and steps of the simulated world.
//!
//! `cargo run --release -p drupe-benches --bin virtual_time -- [REPETITIONS]`; default: 11. Rows have the median and the
//! range of the middle 80 %.

#![allow(clippy::expect_used, reason = "a report that cannot be made should fail at once")]

use drupe_benches::{Samples, own_cpu};
use drupe_core::app::{Chat, Echo};
use drupe_core::sim::{Client, Link, World};
use drupe_core::testing::TestHub;
use drupe_core::{Config, Listen};
use std::io::{self, Write};

const MESSAGES: usize = 20_000;

fn main() -> io::Result<()> {
    let repetitions = std::env::args().nth(1).map_or(11, |text| text.parse().expect("a number"));
    let rows = [
        ("`TestHub`, one peer, a line and its echo", echo as fn() -> f64),
        ("`TestHub`, a chat of 20 people, a line to all", chat),
        ("`TestHub`, connections that come, say a line and go", churn),
        ("simulated world, 10 peers on two wires, steps", world),
    ];
    let mut out = io::stdout();
    writeln!(out, "| | per second of one core |\n|---|---|")?;
    let mut rates = rows.map(|_| Samples::default());
    for repetition in 0..repetitions {
        for place in 0..rows.len() {
            let row = (place + repetition) % rows.len();
            rates[row].add(rows[row].1());
        }
    }
    for ((name, _), rates) in rows.into_iter().zip(rates) {
        writeln!(out, "| {name} | {} |", rates.text(1.0, 0))?;
    }
    Ok(())
}

/// Returns how often `work` can be done in a second of processor time.
#[expect(clippy::cast_precision_loss, reason = "a small number")]
fn rate(count: usize, mut work: impl FnMut(usize)) -> f64 {
    let before = own_cpu();
    (0..count).for_each(&mut work);
    count as f64 / (own_cpu() - before)
}

fn unlimited() -> Config {
    Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("well formed")]).unlimited()
}

fn echo() -> f64 {
    let mut hub = TestHub::with_config(unlimited(), Echo);
    let conn = hub.connect();
    rate(MESSAGES, |_| {
        hub.line(conn, "hello");
        assert_eq!(hub.received(conn), b"hello\n");
        hub.clear();
    })
}

fn chat() -> f64 {
    let mut hub = TestHub::with_config(unlimited(), Chat::default());
    let people: Vec<_> = (0..20).map(|_| hub.connect()).collect();
    hub.clear();
    rate(MESSAGES / 20, |number| {
        hub.line(people[number % people.len()], "hello");
        assert!(people.iter().all(|conn| hub.received(*conn).ends_with(b" hello\n")));
        hub.clear();
    })
}

fn churn() -> f64 {
    let mut hub = TestHub::with_config(unlimited(), Echo);
    rate(MESSAGES / 4, |_| {
        let conn = hub.connect();
        hub.line(conn, "hello");
        assert_eq!(hub.received(conn), b"hello\n");
        hub.end(conn);
    })
}

fn world() -> f64 {
    const STEPS: u32 = 1_000;
    let worlds = rate(5, |seed| {
        let listeners =
            ["tcp://127.0.0.1:1", "ws://127.0.0.1:2"].map(|text| text.parse::<Listen>().expect("well formed"));
        let mut world = World::new(seed as u64, Config::listening(listeners), Echo);
        for _ in 0..5 {
            world.add(Link::Steady, Client::lines().says(["hello", "bye"]));
            world.add_at(1, Link::Troubled, Client::websocket().says(["hi"]));
        }
        world.run(STEPS);
        world.settle();
    });
    worlds * f64::from(STEPS)
}
