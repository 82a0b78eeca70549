//! The chat on servers of several shards.
//!
//! On one, two and four machines, people see the same, in whatever order the messages between the
//! machines arrive.

use crate::cluster::Cluster;
use drupe_core::app::{Apps, Chat, Member};
use drupe_core::{
    Command, Config, ConnId, Event, Failure, Handler, Hub, Identity, Listen, NoNote, Origin, Payload, Peer, Reason,
};
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A chat that knows the users of some addresses, and panics at a peer's wish.
#[derive(Default)]
struct Outside(Chat);

/// The user of each address that has one. The last is not a valid name.
const USERS: [(u8, &str); 3] = [(1, "ann"), (2, "b\u{43e}b"), (3, "not a name")];

impl Handler for Outside {
    type Context = Member;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Member>, event: Event<'_, NoNote>) {
        match &event {
            Event::Opened { conn, peer: Peer::Address(peer), origin: Origin::Listener(_), .. } => {
                let is_of = |address: u8| peer.ip() == std::net::Ipv4Addr::new(192, 0, 2, address);
                if let Some((_, user)) = USERS.iter().find(|(address, _)| is_of(*address)) {
                    hub.identify(*conn, Identity::user(user));
                }
            }
            Event::Message { payload: Payload::Text("panic"), .. } => panic!("at a peer's wish"),
            _ => {}
        }
        self.0.on(hub, event);
    }
}

type Server = Cluster<Outside>;

impl Server {
    fn new(shards: u8, seed: u64) -> Self {
        let config = Config::listening(["tcp://127.0.0.1:1".parse::<Listen>().expect("good")]).unlimited();
        Self::start(&config, shards, seed, Outside::default)
    }

    /// Connects people with these names. Discards what they hear.
    fn people<const N: usize>(&mut self, names: [&str; N]) -> [ConnId; N] {
        let conns = names.map(|name| {
            let conn = self.connect_from(9);
            self.told(conn, &format!("/nick {name}"));
            conn
        });
        self.received.clear();
        conns
    }

    fn end(&mut self, conn: ConnId, ending: &Ending) {
        let (machine, now) = (&mut self.machines[usize::from(conn.shard())], self.now);
        match ending {
            Ending::Reset => machine.failed(now, conn, Failure::Reset),
            Ending::Kick => machine.command(now, &Command::Kick { conn }),
            Ending::HalfClose => machine.ended(now, conn),
            Ending::Panic => self.say(conn, "panic"),
        }
        self.turn();
    }
}

#[derive(Clone, Debug)]
enum Ending {
    Reset,
    Kick,
    HalfClose,
    Panic,
}

#[derive(Clone, Debug)]
enum Step {
    Connect {
        address: u8,
    },
    /// Lines that arrive together.
    Say {
        who: prop::sample::Index,
        lines: Vec<String>,
    },
    End {
        who: prop::sample::Index,
        ending: Ending,
    },
}

const NAMES: [&str; 7] = ["ann", "ANN", "\u{430}nn", "bob", "zed", "guest1", "guest3"];

fn line() -> impl Strategy<Value = String> {
    let name = || prop::sample::select(&NAMES[..]);
    prop_oneof![
        4 => name().prop_map(|name| format!("/nick {name}")),
        1 => Just("/nick a b".to_owned()),
        3 => prop::sample::select(&["den", "cave", "lobby", "no room"][..]).prop_map(|room| format!("/join {room}")),
        1 => Just("/leave".to_owned()),
        2 => Just("/who".to_owned()),
        2 => Just("/rooms".to_owned()),
        3 => name().prop_map(|name| format!("/msg {name} psst")),
        3 => Just("hello".to_owned()),
        1 => Just("/me waves".to_owned()),
        1 => prop::sample::select(&["/quit", "/quit bye all"][..]).prop_map(str::to_owned),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![Just(Ending::Reset), Just(Ending::Kick), Just(Ending::HalfClose), Just(Ending::Panic)]
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<prop::sample::Index>;
    prop_oneof![
        3 => (0..6u8).prop_map(|address| Step::Connect { address }),
        8 => (who(), prop::collection::vec(line(), 1..4)).prop_map(|(who, lines)| Step::Say { who, lines }),
        1 => (who(), ending()).prop_map(|(who, ending)| Step::End { who, ending }),
    ]
}

/// What each person heard in each step.
fn heard(shards: u8, seed: u64, steps: &[Step]) -> Vec<Vec<Vec<String>>> {
    let mut server = Server::new(shards, seed);
    let mut conns: Vec<ConnId> = Vec::new();
    let mut heard = Vec::new();
    for step in steps {
        let pick = |who: &prop::sample::Index| (!conns.is_empty()).then(|| *who.get(&conns));
        match step {
            Step::Connect { address } => conns.push(server.connect_from(*address)),
            Step::Say { who, lines } => pick(who).into_iter().for_each(|conn| server.say(conn, &lines.join("\n"))),
            Step::End { who, ending } => pick(who).into_iter().for_each(|conn| server.end(conn, ending)),
        }
        server.deliver_all();
        heard.push(conns.iter().map(|conn| server.take_lines(*conn)).collect());
    }
    heard
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn what_people_see_does_not_depend_on_the_number_of_shards(
        steps in prop::collection::vec(step(), 1..40),
        seed: u64,
    ) {
        let alone = heard(1, seed, &steps);
        for shards in [2, 4] {
            prop_assert_eq!(&heard(shards, seed, &steps), &alone, "{} shards", shards);
        }
    }

    /// Everybody at once, and some end at any moment.
    #[test]
    fn concurrent_people_have_names_of_their_own_and_leave_nothing_behind(
        batches in prop::collection::vec(prop::collection::vec(line(), 0..5), 8),
        endings in prop::collection::vec((any::<prop::sample::Index>(), 0..30u8, ending()), 0..5),
        seed: u64,
    ) {
        let mut server = Server::new(4, seed);
        let conns: Vec<_> = (0..8).map(|address| server.connect_from(address)).collect();
        for (conn, lines) in conns.iter().zip(&batches) {
            let marked = lines.iter().enumerate().map(|(number, line)| format!("{line}\n/mark{number}\n"));
            server.say(*conn, &marked.collect::<String>());
        }
        for (who, after, ending) in &endings {
            for _ in 0..*after {
                server.deliver();
            }
            server.end(*who.get(&conns), ending);
        }
        server.deliver_all();
        for (conn, lines) in conns.iter().zip(&batches).filter(|(conn, _)| !server.is_over(**conn)) {
            let heard = String::from_utf8(server.received[conn].clone()).expect("text");
            let marks: Vec<_> = heard.lines().filter_map(|line| line.strip_prefix("* unknown command /mark")).collect();
            let marks: Vec<_> = marks.iter().filter_map(|mark| mark.split(';').next()?.parse::<usize>().ok()).collect();
            prop_assert_eq!(marks, (0..lines.len()).collect::<Vec<_>>(), "each line was read, and in order");
            prop_assert!(!heard.contains("ignored"));
        }
        // All who are left are listed once.
        let last = server.connect_from(9);
        server.deliver_all();
        server.received.clear();
        let rooms = server.told(last, "/rooms").concat();
        let counts = rooms.split(['(', ')']).filter_map(|count| count.parse::<usize>().ok());
        let left = conns.iter().filter(|conn| !server.is_over(**conn)).count();
        prop_assert_eq!(counts.sum::<usize>(), left + 1, "{}", rooms);
        let mut names = BTreeSet::new();
        for room in ["lobby", "den", "cave"] {
            server.told(last, &format!("/join {room}"));
            let who = server.told(last, "/who").concat();
            let (_, list) = who.split_once(": ").expect("a list");
            for name in list.split(", ") {
                names.insert(drupe_core::kit::names::confusable_key(name));
            }
        }
        prop_assert_eq!(names.len(), left + 1, "{:?}", names);
        // Once they have left, nothing is taken.
        conns.iter().for_each(|conn| server.end(*conn, &Ending::Reset));
        server.deliver_all();
        server.received.clear();
        prop_assert_eq!(server.told(last, "/rooms"), ["* rooms: cave (1)"]);
        for name in NAMES {
            let told = server.told(last, &format!("/nick {name}")).concat();
            prop_assert!(told.ends_with(&format!("is now {name}")), "{}", told);
        }
    }

    #[test]
    fn name_that_all_request_at_once_is_granted_to_one(seed: u64) {
        let mut server = Server::new(4, seed);
        let conns: Vec<_> = (0..8).map(|_| server.connect_from(9)).collect();
        server.deliver_all();
        server.received.clear();
        conns.iter().for_each(|conn| server.say(*conn, "/nick eve"));
        server.deliver_all();
        let lines: Vec<_> = conns.iter().flat_map(|conn| server.take_lines(*conn)).collect();
        prop_assert_eq!(lines.iter().filter(|line| line.ends_with("is now eve")).count(), 8, "one, told to all");
        prop_assert_eq!(lines.iter().filter(|line| *line == "* eve is taken").count(), 7);
    }

    /// Whoever hears of a change can rely on it.
    #[test]
    fn announced_change_is_known_to_every_shard(seed: u64) {
        for (change, announced, question, answer) in [
            ("/quit", "* ann left", "/nick ann", "* bob is now ann"),
            ("/nick eve", "* ann is now eve", "/msg eve hi", "[to eve] hi"),
            ("/nick eve", "* ann is now eve", "/nick ann", "* bob is now ann"),
            ("/join den", "* ann went to den", "/who", "* in lobby: cid, bob"),
        ] {
            let mut server = Server::new(4, seed);
            let [_, ann, bob] = server.people(["cid", "ann", "bob"]);
            server.say(ann, change);
            let mut asked = false;
            while server.deliver() {
                let heard = server.received.get(&bob).map(|bytes| String::from_utf8_lossy(bytes).contains(announced));
                if heard == Some(true) && !asked {
                    asked = true;
                    server.say(bob, question);
                }
            }
            server.deliver_all();
            let heard = server.take_lines(bob);
            prop_assert!(heard.contains(&answer.to_owned()), "{}: {:?}", change, heard);
        }
    }
}

#[test]
fn input_waits_for_the_answer_of_the_first_shard() {
    let mut server = Server::new(2, 0);
    let [_, bob] = server.people(["ann", "bob"]);
    assert_eq!(bob.shard(), 1);
    server.say(bob, "/nick eve\nhello\n/who");
    assert!(!server.machines[1].intent(bob).expect("open").read);
    assert_eq!(server.take_lines(bob), Vec::<String>::new());
    server.deliver_all();
    assert!(server.machines[1].intent(bob).expect("open").read);
    assert_eq!(server.take_lines(bob), ["* bob is now eve", "<eve> hello", "* in lobby: ann, eve"]);
}

#[test]
fn name_that_is_granted_after_the_end_of_its_connection_is_given_back() {
    for delivered in 0..3 {
        for ending in [Ending::Reset, Ending::Kick, Ending::HalfClose] {
            let mut server = Server::new(2, 0);
            let [ann, bob] = server.people(["ann", "bob"]);
            server.say(bob, "/nick eve");
            for _ in 0..delivered {
                server.deliver();
            }
            server.end(bob, &ending);
            server.deliver_all();
            let told = server.take_lines(ann).concat();
            // The end of a peer's half is input as well, and waits for the answer.
            let is_granted = delivered == 2 || matches!(ending, Ending::HalfClose);
            let name = if is_granted { "eve" } else { "bob" };
            assert!(told.contains(&format!("* {name} left")), "{delivered} {ending:?}: {told}");
            assert_eq!(told.contains("is now"), is_granted, "{delivered} {ending:?}: {told}");
            assert_eq!(server.told(ann, "/nick eve"), ["* ann is now eve"]);
            assert_eq!(server.told(ann, "/nick bob"), ["* eve is now bob"]);
            assert_eq!(server.told(ann, "/rooms"), ["* rooms: lobby (1)"]);
        }
    }
}

#[test]
fn connection_that_ends_before_its_welcome_was_never_there() {
    let mut server = Server::new(2, 0);
    let [ann] = server.people(["ann"]);
    let other = server.connect_from(9);
    assert_eq!(other.shard(), 1);
    server.end(other, &Ending::Reset);
    server.deliver_all();
    assert_eq!(server.take_lines(ann), Vec::<String>::new());
    assert_eq!(server.told(ann, "/nick guest2"), ["* ann is now guest2"]);
}

#[test]
fn drain_ends_waiting_connections_and_frees_their_names() {
    let mut server = Server::new(2, 0);
    let [ann, bob] = server.people(["ann", "bob"]);
    server.say(bob, "/nick eve");
    server.machines[1].command(server.now, &Command::Drain);
    while let Some(due) = server.machines[1].deadline().filter(|_| !server.is_over(bob)) {
        server.now = server.now.max(due.at);
        server.machines[1].elapsed(server.now);
        server.turn();
    }
    assert_eq!(server.total(Reason::Shutdown), 1);
    server.deliver_all();
    assert_eq!(server.take_lines(ann), ["* bob left (shutdown)"]);
    assert_eq!(server.told(ann, "/nick eve"), ["* ann is now eve"]);
}

#[test]
fn long_lists_name_two_hundred_and_count_the_others() {
    let mut server = Server::new(2, 0);
    let conns: Vec<_> = (0..203).map(|_| server.connect_from(9)).collect();
    server.deliver_all();
    server.received.clear();
    for (number, conn) in [(200, conns[200]), (201, conns[201])] {
        let who = server.told(conn, "/who").concat();
        assert!(who.starts_with("* in lobby: guest1, "), "{number}: {who}");
        assert!(who.ends_with(" and 3 others"), "{number}: {who}");
        assert_eq!(who.matches("guest").count(), 200, "{number}: {who}");
    }
    for (number, conn) in conns.iter().enumerate().take(200) {
        server.say(*conn, &format!("/join r{number}"));
    }
    server.deliver_all();
    server.received.clear();
    let rooms = server.told(conns[1], "/rooms").concat();
    assert!(rooms.starts_with("* rooms: lobby (3), r0 (1), ") && rooms.ends_with(" and 1 other"), "{rooms}");
}

#[test]
fn chats_of_two_applications_have_their_own_names_on_every_shard() {
    let listen = |port: u16, app: &str| {
        let mut listen: Listen = format!("tcp://127.0.0.1:{port}").parse().expect("good");
        listen.app = app.into();
        listen
    };
    let config = Config::listening([listen(1, "red"), listen(2, "blue")]).unlimited();
    let apps = || Apps::new().with("red", Chat::default()).with("blue", Chat::default());
    let mut server = Cluster::start(&config, 2, 0, apps);
    let conns: Vec<_> = [0, 0, 1, 1].into_iter().map(|listener| server.connect(listener, "192.0.2.9:9")).collect();
    server.deliver_all();
    for conn in [conns[1], conns[3]] {
        assert_eq!(conn.shard(), 1);
        assert!(server.told(conn, "/nick ann").concat().ends_with("* guest2 is now ann"));
    }
    server.received.clear();
    server.told(conns[0], "/msg ann red");
    server.told(conns[2], "/msg ann blue");
    assert_eq!(server.take_lines(conns[1]), ["[guest1] red"]);
    assert_eq!(server.take_lines(conns[3]), ["[guest1] blue"]);
    assert_eq!(server.told(conns[3], "/who"), ["* in lobby: guest1, ann"]);
}
