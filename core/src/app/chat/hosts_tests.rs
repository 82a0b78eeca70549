//! Several hosts whose news are lost at times, beside what must be true in the end.

use super::abroad::{News, Stranger};
use super::directory::{Directory, Outcome};
use super::messages::{Answer, Request};
use crate::base::names::confusable_key;
use crate::base::{ConnId, HostId, Time};
use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;
use proptest::prelude::*;

const HOSTS: usize = 3;

/// The directories of all hosts. News arrive in the order in which they were sent, or never.
struct Hosts {
    directories: Vec<Directory>,
    is_linked: [bool; HOSTS],
    sent: VecDeque<(usize, String)>,
    unix: u64,
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Arrive { host: usize, conn: u32, name: u8 },
    Rename { host: usize, conn: u32, name: u8 },
    Enter { host: usize, conn: u32, room: u8 },
    Leave { host: usize, conn: u32 },
    Cut { host: usize },
    Link { host: usize },
}

fn id(host: usize) -> HostId {
    HostId::new(host as u64 + 1)
}

fn conn(number: u32) -> ConnId {
    ConnId::new(0, number, 1)
}

fn is_shared(room: &str) -> bool {
    room != "home"
}

impl Hosts {
    fn new() -> Self {
        Self {
            directories: (0..HOSTS).map(|_| Directory::default()).collect(),
            is_linked: [true; HOSTS],
            sent: VecDeque::new(),
            unix: 1_000,
        }
    }

    fn take(&mut self, step: Step) {
        self.unix += 1;
        match step {
            Step::Arrive { host, conn, name } => self.ask(host, conn, Request::Arrive { user: Some(text("n", name)) }),
            Step::Rename { host, conn, name } => self.ask(host, conn, Request::Rename { name: text("n", name) }),
            Step::Enter { host, conn, room } => {
                self.ask(host, conn, Request::Enter { room: ["home", "den", "hall"][usize::from(room % 3)].into() });
            }
            Step::Leave { host, conn } => self.ask(host, conn, Request::Leave),
            Step::Cut { host } => self.is_linked[host] = false,
            Step::Link { host } => {
                self.is_linked[host] = true;
                // What it missed, and what the others missed.
                (0..HOSTS).for_each(|host| self.tell_all(host));
            }
        }
        self.deliver();
    }

    fn ask(&mut self, host: usize, number: u32, request: Request) {
        let unix = self.unix;
        let answer = self.directories[host].answer(conn(number), request, unix);
        if !matches!(answer, Answer::Taken { .. } | Answer::Nobody) {
            self.tell_of(host, conn(number));
        }
    }

    fn tell_of(&mut self, host: usize, conn: ConnId) {
        let stranger = self.directories[host].as_stranger(conn, is_shared);
        self.tell(host, &stranger.map_or(News::Gone(conn), |stranger| News::People([stranger].into())));
    }

    fn tell_all(&mut self, host: usize) {
        self.tell(host, &News::All);
        let people = self.people(host);
        if !people.is_empty() {
            self.tell(host, &News::People(people));
        }
    }

    fn people(&self, host: usize) -> Vec<Stranger> {
        let directory = &self.directories[host];
        directory.conns().into_iter().filter_map(|conn| directory.as_stranger(conn, is_shared)).collect()
    }

    fn tell(&mut self, from: usize, news: &News) {
        if self.is_linked[from] {
            // As text, as it is sent.
            self.sent.push_back((from, news.to_string()));
        }
    }

    /// Delivers all news, in the order in which they were sent, as a broker does.
    fn deliver(&mut self) {
        while let Some((from, text)) = self.sent.pop_front() {
            for to in (0..HOSTS).filter(|to| *to != from) {
                if !self.is_linked[to] {
                    continue;
                }
                let (news, unix) = (News::parse(&text).expect("well formed"), self.unix);
                for outcome in self.directories[to].heard(id(to), id(from), news, Time::START, unix) {
                    let (Outcome::Kept(conn) | Outcome::Lost { conn, .. }) = outcome;
                    self.tell_of(to, conn);
                }
            }
        }
    }

    fn names_in(&mut self, host: usize, room: &str) -> BTreeSet<String> {
        // One more person joins the room, asks for the names, and leaves.
        let looker = conn(99);
        self.directories[host].answer(looker, Request::Arrive { user: Some("looker".into()) }, 0);
        self.directories[host].answer(looker, Request::Enter { room: room.into() }, 0);
        let answer = self.directories[host].answer(looker, Request::Who, 0);
        self.directories[host].answer(looker, Request::Leave, 0);
        let Answer::Names { names, others: 0 } = answer else { panic!("{answer:?}") };
        names.into_iter().filter(|name| name != "looker").collect()
    }
}

fn text(begin: &str, number: u8) -> String {
    format!("{begin}{}", number % 4)
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..HOSTS, 0..4_u32);
    prop_oneof![
        3 => (place(), any::<u8>()).prop_map(|((host, conn), name)| Step::Arrive { host, conn, name }),
        3 => (place(), any::<u8>()).prop_map(|((host, conn), name)| Step::Rename { host, conn, name }),
        3 => (place(), any::<u8>()).prop_map(|((host, conn), room)| Step::Enter { host, conn, room }),
        1 => place().prop_map(|(host, conn)| Step::Leave { host, conn }),
        1 => (0..HOSTS).prop_map(|host| Step::Cut { host }),
        1 => (0..HOSTS).prop_map(|host| Step::Link { host }),
    ]
}

proptest! {
    #[test]
    fn names_are_unique_and_known_everywhere_once_all_links_work(steps in prop::collection::vec(step(), 0..60)) {
        let mut hosts = Hosts::new();
        for step in steps {
            hosts.take(step);
        }
        (0..HOSTS).for_each(|host| hosts.is_linked[host] = true);
        hosts.take(Step::Link { host: 0 });
        for directory in &hosts.directories {
            directory.recount();
        }
        let everyone: Vec<(usize, Stranger)> =
            (0..HOSTS).flat_map(|host| hosts.people(host).into_iter().map(move |stranger| (host, stranger))).collect();
        let keys: BTreeSet<_> = everyone.iter().map(|(_, stranger)| confusable_key(&stranger.name)).collect();
        prop_assert_eq!(keys.len(), everyone.len(), "{:?}", everyone);
        for room in ["den", "hall"] {
            let expected: BTreeSet<String> = everyone
                .iter()
                .filter(|(_, stranger)| stranger.room.as_deref() == Some(room))
                .map(|(_, stranger)| stranger.name.clone())
                .collect();
            for host in 0..HOSTS {
                prop_assert_eq!(hosts.names_in(host, room), expected.clone(), "{} on {}", room, host);
            }
        }
    }

    #[test]
    fn news_are_parsed_as_they_were_formatted(
        people in prop::collection::vec(("[a-z]{1,24}", any::<u64>(), prop::option::of("[a-z]{1,24}")), 1..5),
        words in "\\PC{0,20}",
    ) {
        let people = people.into_iter().zip(0..);
        let people = people.map(|((name, since, room), number)| Stranger { conn: conn(number), name, since, room });
        let whisper = News::Whisper { host: id(1), to: conn(1), from: "ann".into(), text: words };
        for news in [News::People(people.collect()), News::All, News::Ask, News::Gone(conn(7)), whisper] {
            prop_assert_eq!(News::parse(&news.to_string()), Some(news));
        }
    }
}

#[test]
fn malformed_news_are_refused() {
    for text in [
        "",
        "people",
        "people\n",
        "people\n0.1 5",
        "people\n0.1 5 ann den more",
        "people\n0.1 x ann",
        "people\n0.1 5 a\u{200b}n",
        "people\n0.1 5 ann\n",
        "all 1",
        "ask 1",
        "gone",
        "gone x",
        "whisper",
        "whisper 1 0.1 ann hi",
        "whisper 0000000000000001 0.1 ann",
        "dance",
    ] {
        assert_eq!(News::parse(text), None, "{text:?}");
    }
}

#[test]
fn who_had_a_name_for_longer_keeps_it() {
    let mut hosts = Hosts::new();
    hosts.take(Step::Cut { host: 1 });
    for host in [1, 0] {
        hosts.take(Step::Arrive { host, conn: 0, name: 0 });
    }
    assert_eq!(hosts.people(0)[0].name, hosts.people(1)[0].name);
    hosts.take(Step::Link { host: 1 });
    assert_eq!((&*hosts.people(1)[0].name, &*hosts.people(0)[0].name), ("n0", "guest1"));
}

#[test]
fn people_of_a_host_that_is_gone_are_forgotten() {
    let mut hosts = Hosts::new();
    hosts.take(Step::Arrive { host: 0, conn: 0, name: 0 });
    hosts.take(Step::Enter { host: 0, conn: 0, room: 1 });
    assert_eq!(hosts.names_in(1, "den"), ["n0".into()].into());
    for (seconds, known, left) in [(29, vec![], 1), (40, vec![id(0)], 1), (50, vec![], 0)] {
        let now = Time::START + Duration::from_secs(seconds);
        hosts.directories[1].forget_lost(now, || known.into_iter().collect());
        assert_eq!(hosts.names_in(1, "den").len(), left, "after {seconds} s");
    }
    let counts = hosts.directories[1].answer(conn(1), Request::Rooms, 0);
    assert_eq!(counts, Answer::Rooms { rooms: Vec::new(), others: 0 });
}
