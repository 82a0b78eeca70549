//! One host and a model of a Redis server, step by step.

use crate::base::{OutgoingBuf, Time};
use crate::cluster::model::ModelRedis;
use crate::cluster::{Ask, Cluster, Output, Submission};
use crate::config;
use crate::facts::{Published, RoomAnswer, RoomMessage};
use crate::history::{Keep, Position};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::time::Duration;

/// A host whose link has no delay.
struct Host {
    cluster: Cluster,
    redis: ModelRedis,
    client: Option<u32>,
    now: Time,
    outputs: Vec<Output>,
}

impl Host {
    fn new() -> Self {
        let now = Time::from_secs(1);
        let cluster = Cluster::new(now, config::Cluster::redis("redis:6379"), 7);
        let mut host = Self { cluster, redis: ModelRedis::new(), client: None, now, outputs: Vec::new() };
        host.run();
        // The random wait before histories are read.
        host.pass(Duration::from_secs(1));
        host
    }

    /// Passes everything back and forth until nothing is left.
    fn run(&mut self) {
        loop {
            while let Some(output) = self.cluster.next_output() {
                self.outputs.push(output);
            }
            if self.cluster.take_must_close()
                && let Some(client) = self.client.take()
            {
                self.redis.disconnect(client);
            }
            if self.cluster.take_wanted_link(self.now).is_some() {
                self.client = Some(self.redis.connect());
                self.cluster.link_connected(self.now);
            }
            let Some(client) = self.client else { return };
            let bytes = self.cluster.take_output();
            self.redis.receive(self.now, client, &bytes);
            let reply = self.redis.take_output(client);
            if bytes.is_empty() && reply.is_empty() {
                return;
            }
            self.cluster.received(self.now, &reply);
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.cluster.deadline().filter(|at| *at <= end) {
            self.now = at.max(self.now);
            self.cluster.elapsed(self.now);
            self.run();
        }
        self.now = end;
        self.cluster.elapsed(end);
        self.run();
    }

    fn ask(&mut self, number: u64, since: Option<Position>) {
        self.ask_only(number, since);
        self.run();
    }

    /// Asks, and sends nothing yet.
    fn ask_only(&mut self, number: u64, since: Option<Position>) {
        let ask = Ask { from: 0, number, since, messages_max: 100, bytes_max: 1_000, asked_at: self.now, tries: 0 };
        self.cluster.ask(self.now, &"news".into(), Keep::messages(10), false, ask);
    }

    fn publish(&mut self, text: &str) {
        let (room, message) = ("news".into(), OutgoingBuf::from(text));
        let submission = Submission {
            room: &room,
            from: 0,
            request: Some(1),
            key: None,
            except: &[],
            message: &message,
            keep: Keep::messages(10),
        };
        self.cluster.submit(self.now, &submission);
        self.run();
    }

    /// Ends the link as a server that was killed does.
    fn cut(&mut self) {
        if let Some(client) = self.client.take() {
            self.redis.disconnect(client);
            self.cluster.link_ended(self.now);
        }
    }

    /// Returns what happened, in short words.
    fn told(&mut self) -> Vec<String> {
        core::mem::take(&mut self.outputs).into_iter().filter_map(|output| in_short(&output)).collect()
    }
}

fn in_short(output: &Output) -> Option<String> {
    Some(match output {
        Output::ToHolders(RoomMessage::Kept { message, position, .. }) => {
            alloc::format!("{} {}", position.offset, text(message))
        }
        Output::ToHolders(RoomMessage::Moved { why, position, .. }) => {
            alloc::format!("gap {why} to {}", position.offset)
        }
        Output::ToShard(_, RoomMessage::Told { missed, position, number, .. }) => match missed {
            Ok(missed) => {
                let missed: Vec<_> = missed.iter().map(|(_, message)| text(message)).collect();
                alloc::format!("told {number} at {}: {}", position.offset, missed.join(" "))
            }
            Err(gap) => alloc::format!("told {number} at {}: {gap}", position.offset),
        },
        Output::ToShard(_, RoomMessage::Answer { answer: RoomAnswer::Published(Published::Refused(why)), .. }) => {
            alloc::format!("refused: {why}")
        }
        Output::Down(fault) => alloc::format!("down: {}", fault.as_ref().map(ToString::to_string).unwrap_or_default()),
        Output::Up => "up".into(),
        _ => return None,
    })
}

fn text(message: &OutgoingBuf) -> String {
    match message {
        OutgoingBuf::Same(payload) => payload.as_str().unwrap_or("?").into(),
        OutgoingBuf::Negotiated { text, .. } => text.to_string(),
    }
}

#[test]
fn member_gets_what_was_published_right_after_it_joined() {
    for wait in [Duration::from_secs(1), Duration::ZERO] {
        let mut host = Host::new();
        // Also while the other rooms still wait for their histories.
        host.cut();
        host.run();
        host.pass(Duration::from_millis(150) + wait);
        drop(host.told());
        host.ask_only(1, None);
        host.publish("at once");
        assert_eq!(host.told().last().map(String::as_str), Some("1 at once"), "{wait:?}");
    }
}

#[test]
fn member_gets_messages_and_a_cut_is_repaired_without_a_word() {
    let mut host = Host::new();
    host.ask(1, None);
    host.publish("one");
    assert_eq!(host.told(), ["up", "told 1 at 0: ", "1 one"]);
    // Another host publishes while this one is away.
    host.cut();
    let mut other = Host { client: None, ..Host::new() };
    core::mem::swap(&mut other.redis, &mut host.redis);
    other.cluster = Cluster::new(other.now, config::Cluster::redis("redis:6379"), 8);
    other.run();
    other.publish("two");
    other.publish("three");
    core::mem::swap(&mut other.redis, &mut host.redis);
    host.pass(Duration::from_secs(1));
    assert_eq!(host.told(), ["down: ", "up", "2 two", "3 three"]);
    host.publish("four");
    assert_eq!(host.told(), ["4 four"]);
}

#[test]
fn broker_that_lost_its_last_writes_causes_one_gap_and_a_new_epoch() {
    let mut host = Host::new();
    host.ask(1, None);
    host.publish("one");
    let snapshot = host.redis.snapshot();
    host.publish("two");
    let top = host.cluster.rooms["news"].top.expect("known");
    host.cut();
    host.redis.restore(snapshot);
    host.told();
    host.pass(Duration::from_secs(1));
    assert_eq!(host.told(), ["down: ", "up", "gap rewritten to 1"]);
    host.publish("other");
    let after = host.cluster.rooms["news"].top.expect("known");
    assert_eq!((after.offset, after.epoch == top.epoch), (2, false));
    // A client that knows epoch and offset only is told the truth.
    host.told();
    host.ask(2, Some(Position { mark: Position::ANY_MARK, ..top }));
    host.ask(3, Some(after));
    assert_eq!(host.told(), ["told 2 at 2: other_epoch", "told 3 at 2: "]);
}

#[test]
fn publishing_without_a_link_is_refused_and_joining_waits_a_while() {
    let mut host = Host::new();
    host.redis.faults.is_replica = true;
    host.cut();
    host.publish("one");
    host.ask(1, None);
    assert_eq!(host.told()[..3], ["up", "down: ", "refused: the broker cannot be reached"]);
    host.pass(Duration::from_secs(6));
    let told = host.told();
    assert!(told.contains(&"told 1 at 0: broker_away".into()), "{told:?}");
    assert!(told.contains(&"down: the server is a replica, not a master".into()), "{told:?}");
    host.redis.faults.is_replica = false;
    host.pass(Duration::from_secs(6));
    assert_eq!(host.told(), ["up", "gap other_epoch to 0"]);
}

#[test]
fn broker_that_delivers_nothing_is_left() {
    let mut host = Host::new();
    host.redis.faults.is_deaf = true;
    host.told();
    host.pass(Duration::from_secs(16));
    assert_eq!(host.told()[0], "down: the broker does not deliver what it publishes");
}

#[test]
fn scripts_that_the_server_forgot_are_sent_again_in_order() {
    let mut host = Host::new();
    host.ask(1, None);
    host.redis.forget_scripts();
    for text in ["one", "two", "three"] {
        let (room, message) = ("news".into(), OutgoingBuf::from(text));
        let keep = Keep::messages(10);
        let submission =
            Submission { room: &room, from: 0, request: None, key: None, except: &[], message: &message, keep };
        host.cluster.submit(host.now, &submission);
    }
    host.run();
    host.publish("four");
    assert_eq!(host.told()[2..], ["1 one", "2 two", "3 three", "4 four"]);
}
