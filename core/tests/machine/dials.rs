//! Many outgoing connections at a time: the cost of each does not depend on their number.

#![allow(clippy::expect_used, missing_docs, reason = "a test fails where its assumption does")]

use drupe_core::work::steps_of;
use drupe_core::{Backoff, Config, ConnId, Dial, DialId, Event, Failure, Handler, Hub, Machine, NoNote, Peer, Time};
use std::collections::BTreeSet;
use std::time::Duration;

/// Dials so many at the start, and again and again.
struct Gateway {
    dials: u32,
    failed: u32,
}

impl Handler for Gateway {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => {
                for number in 0..self.dials {
                    let backoff = Some(Backoff::default());
                    hub.dial(Dial::lines(format!("192.0.2.1:{}", number + 1)).backoff(backoff));
                }
            }
            Event::DialFailed { .. } => self.failed += 1,
            _ => {}
        }
    }
}

/// A shell that knows of dials by the hint alone.
struct Shell {
    machine: Machine<Gateway>,
    now: Time,
    attempts: BTreeSet<DialId>,
    conns: Vec<ConnId>,
}

impl Shell {
    fn new(dials: u32) -> Self {
        let config = Config::listening([]).seed(Some(1));
        let machine = Machine::new(config, Gateway { dials, failed: 0 });
        let mut shell = Self { machine, now: Time::START, attempts: BTreeSet::new(), conns: Vec::new() };
        shell.machine.started(Time::START);
        shell.turn();
        shell
    }

    /// What a shell asks at the end of each turn.
    fn turn(&mut self) {
        while let Some(dial) = self.machine.next_changed_dial() {
            let is_wanted = self.machine.address_to_dial(dial).is_some();
            let changed = if is_wanted { self.attempts.insert(dial) } else { self.attempts.remove(&dial) };
            assert!(changed || !is_wanted, "a dial is named when something is to be done");
        }
        while self.machine.next_changed().is_some() {}
        self.machine.turn_ended(self.now);
        let _ = self.machine.deadline();
    }

    /// One attempt after another comes to its end, each in a turn of its own.
    fn end_attempts(&mut self, connects: bool) {
        for dial in std::mem::take(&mut self.attempts) {
            if connects {
                self.conns.extend(self.machine.dialed(self.now, dial, Peer::Local));
            } else {
                self.machine.dial_failed(self.now, dial, Failure::Refused);
            }
            self.turn();
        }
    }

    /// The network goes, and takes all connections with it.
    fn cut(&mut self) {
        for conn in std::mem::take(&mut self.conns) {
            self.machine.failed(self.now, conn, Failure::Reset);
            self.turn();
        }
    }

    /// All waits for the next attempt are over.
    fn wait(&mut self, dials: usize) {
        while self.attempts.len() < dials {
            let deadline = self.machine.deadline().expect("there is a wait");
            self.now = self.now.max(deadline.at);
            self.machine.elapsed(self.now);
            self.turn();
        }
    }
}

#[test]
fn outage_costs_linear_time_in_broken_dials() {
    let steps = [500, 4_000].map(|dials| {
        let (shell, steps) = steps_of(|| {
            let mut shell = Shell::new(dials);
            let all = dials as usize;
            shell.end_attempts(true);
            assert_eq!(shell.conns.len(), all);
            shell.cut();
            shell.wait(all);
            shell.end_attempts(false);
            shell.wait(all);
            shell.end_attempts(true);
            assert_eq!(shell.machine.metrics().open, u64::from(dials));
            shell
        });
        assert_eq!(shell.machine.handler().failed, dials);
        assert_eq!(shell.machine.recount(), Ok(()));
        steps / u64::from(dials)
    });
    assert!(steps[1] <= steps[0] + 10, "{steps:?} steps for each of 500 and of 4,000");
}

#[test]
fn dial_attempts_time_out_and_are_reported() {
    let mut shell = Shell::new(3);
    assert_eq!(shell.attempts.len(), 3);
    shell.now = Time::START + Duration::from_secs(30);
    shell.machine.elapsed(shell.now);
    shell.turn();
    assert_eq!((shell.attempts.len(), shell.machine.handler().failed), (0, 3));
    shell.wait(3);
    assert_eq!(shell.machine.dials().map(|(dial, _)| dial).collect::<BTreeSet<_>>(), shell.attempts);
}
