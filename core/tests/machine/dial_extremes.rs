//! Every option of a dial at zero, at one and at its maximum, alone and together.

use crate::every_wire::base;
use crate::extremes::Extreme::{Max, One, Zero};
use crate::extremes::{Extreme, options};
use drupe_core::limit::{Budget, Ladder, MessageSize, Rate};
use drupe_core::outbound::Marks;
use drupe_core::testing::TestHub;
use drupe_core::tls::{ClientTls, Secured};
use drupe_core::{
    AddressOrder, Backoff, Command, Config, ConnId, Dial, DialId, Drain, Event, Failure, Handler, Hub, Listen, Machine,
    NoNote, Origin, Peer, PeerLimits, Random, Rates, Time, TlsStart,
};
use std::net::SocketAddr;
use std::time::Duration;

/// The name of one option of a dial, and a change of it.
type DialChange = (&'static str, fn(&mut Dial, &mut Backoff, Extreme));

/// Keeps dialling.
struct Dialling(Dial);

impl Handler for Dialling {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let Event::Started = event {
            hub.dial(self.0.clone());
        }
    }
}

#[test]
fn extreme_backoff_dials_at_most_every_10_ms() {
    let changes: [DialChange; 7] = [
        ("timeout", |dial, _, x| dial.timeout = x.span()),
        ("initial", |_, backoff, x| backoff.initial = x.span()),
        ("factor", |_, backoff, x| backoff.factor = u8::try_from(x.count()).unwrap_or(u8::MAX)),
        ("cap", |_, backoff, x| backoff.cap = x.span()),
        ("jitter_percent", |_, backoff, x| backoff.jitter_percent = u8::try_from(x.count()).unwrap_or(u8::MAX)),
        ("stable_after", |_, backoff, x| backoff.stable_after = x.span()),
        ("attempts_max", |_, backoff, x| backoff.attempts_max = Some(x.count())),
    ];
    let names = [options(&Dial::lines("example.org:7")), options(&Backoff::default())].concat();
    let unchanged = names.into_iter().filter(|name| !changes.iter().any(|(change, _)| change == name));
    let expected = "address others order protocol ending backoff tls tls_start limits marks always_read kept_in_drain \
                    proxy";
    assert_eq!(unchanged.collect::<Vec<_>>().join(" "), expected);
    for ((field, change), extreme) in changes.iter().flat_map(|change| [Zero, One, Max].map(|x| (change, x))) {
        for (answers, proxy) in [(false, None), (true, None), (true, Some("socks5://192.0.2.1:7"))] {
            let (mut dial, mut backoff) = (Dial::lines("example.org:7"), Backoff::default());
            dial.proxy = proxy.map(|proxy| proxy.parse().expect("good"));
            change(&mut dial, &mut backoff, extreme);
            let mut machine = Machine::new(base(), Dialling(dial.backoff(Some(backoff))));
            machine.started(Time::START);
            let (mut now, mut attempts) = (Time::START, 0_u64);
            let hour = now + Duration::from_secs(600);
            let mut turns = 0_u64;
            while now < hour {
                turns += 1;
                assert!(turns < 600 * 100 * 4, "{field} at {extreme:?}: it turns in circles at {now}");
                let wanted = machine.dials().next().map(|(dial, _)| dial);
                if let Some(dial) = wanted.filter(|_| answers) {
                    attempts += 1;
                    // A server that answers closes at once.
                    let peer = Peer::from(SocketAddr::from(([192, 0, 2, 1], 7)));
                    let conn = machine.dialed(now, dial, peer).expect("wanted");
                    machine.failed(now, conn, Failure::Reset);
                }
                let Some(deadline) = machine.deadline() else { break };
                now = now.max(deadline.at);
                machine.elapsed(now);
            }
            assert!(attempts <= 600 * 100, "{field} at {extreme:?}: {attempts} attempts in ten minutes");
        }
    }
}

/// Dials at the start, begins TLS at `INFO`, answers each message, and counts events.
struct Linked {
    dial: Dial,
    messages: u32,
    opened: u32,
}

impl Handler for Linked {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => drop(hub.dial(self.dial.clone())),
            Event::Opened { conn, origin: Origin::Dial(_), .. } => {
                self.opened += 1;
                hub.send(conn, "hello");
            }
            Event::Message { conn, payload } => {
                self.messages += 1;
                if payload.as_bytes() == b"INFO" {
                    let _ = hub.begin_tls(conn);
                }
                hub.send(conn, "an answer that is longer than the smallest marks");
            }
            _ => {}
        }
    }
}

/// Draws zero, one or the maximum, or no value.
struct Draw(Random);

impl Draw {
    fn extreme(&mut self) -> Extreme {
        [Zero, One, Max][usize::try_from(self.0.below(3)).expect("small")]
    }

    fn flag(&mut self) -> bool {
        self.0.below(2) == 0
    }

    fn maybe<T>(&mut self, draw: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(draw(self)) } else { None }
    }

    fn rate(&mut self) -> Option<Rate> {
        Rate::new(self.extreme().at_least_one(), self.extreme().at_least_one()).ok()
    }

    fn limits(&mut self) -> PeerLimits {
        let most = u64::from(self.extreme().at_least_one());
        let budget = Budget::default()
            .message_max_bytes(MessageSize::new(most).unwrap_or(MessageSize::MAX))
            .message_deadline(self.extreme().span())
            .messages_per_turn(self.extreme().count());
        let mut step = || self.maybe(|draw| draw.extreme().count());
        let (warn, pause, drop, close, quarantine) = (step(), step(), step(), step(), step());
        let ladder = Ladder::default().warn(warn).pause(pause).drop(drop).close(close).quarantine(quarantine);
        let ladder = ladder.forgive_after(self.extreme().span());
        let (messages, bytes) = (self.maybe(Self::rate).flatten(), self.maybe(Self::rate).flatten());
        PeerLimits::default()
            .budget(budget)
            .rates(Rates::default().messages(messages).bytes(bytes).ladder(ladder))
            .idle(self.maybe(|draw| draw.extreme().span()))
            .idle_warning(self.maybe(|draw| draw.extreme().span()))
            .silence(self.maybe(|draw| draw.extreme().span()))
            .lifetime(self.maybe(|draw| draw.extreme().span()))
    }

    fn marks(&mut self) -> Marks {
        let mut marks = [(); 3].map(|()| self.extreme().count());
        marks.sort_unstable();
        let [low, high, max] = marks;
        Marks::new(low, high, max).unwrap_or_else(|_| Marks::new(0, 0, 1).expect("in order"))
    }

    fn dial(&mut self) -> Dial {
        let others = [0, 1, 2 * Dial::OTHERS_MAX][usize::try_from(self.0.below(3)).expect("small")];
        let backoff = Backoff::default()
            .initial(self.extreme().span())
            .factor(u8::try_from(self.extreme().count()).unwrap_or(u8::MAX))
            .cap(self.extreme().span())
            .stable_after(self.extreme().span())
            .jitter_percent(u8::try_from(self.extreme().count()).unwrap_or(u8::MAX))
            .attempts_max(self.maybe(|draw| draw.extreme().count()));
        let websocket = Dial::websocket("h:1", "/");
        let dial = if self.0.below(3) == 0 { websocket } else { Dial::lines("h:1") };
        dial.others((0..others).map(|number| format!("h{number}:1")).collect())
            .order(if self.flag() { AddressOrder::Random } else { AddressOrder::InOrder })
            .backoff(self.maybe(|_| backoff))
            .timeout(self.extreme().span())
            .tls(self.maybe(|_| ClientTls::external()))
            .tls_start(if self.flag() { TlsStart::WhenAsked } else { TlsStart::AtOnce })
            .limits(self.maybe(Self::limits))
            .marks(self.maybe(Self::marks))
            .proxy(if self.0.below(8) == 0 { "socks5://192.0.2.1:7".parse().ok() } else { None })
            .always_read(self.flag())
            .kept_in_drain(self.flag())
    }
}

/// Does something that the network or a server may do to a link.
fn act(hub: &mut TestHub<Linked>, link: &mut Option<ConnId>, random: &mut Random) {
    let wanted = hub.machine().dials().next().map(|(dial, _)| dial);
    match (random.below(12), wanted, *link) {
        (0..4, Some(dial), _) => *link = hub.dialed(dial, Peer::Local).or(*link),
        (4, Some(dial), _) => hub.dial_failed(dial, Failure::Refused),
        (0 | 1, _, Some(conn)) => hub.line(conn, "INFO"),
        (2..5, _, Some(conn)) => {
            hub.send(conn, &b"some text\n".repeat(usize::try_from(random.below(30)).expect("small")));
        }
        (5, _, Some(conn)) => hub.secured(conn, &Secured::default().version("TLSv1.3".into())),
        (6, _, Some(conn)) => hub.set_writable(conn, 0),
        (7, _, Some(conn)) => hub.set_writable(conn, usize::MAX),
        (8, _, Some(conn)) => hub.end(conn),
        (9, _, Some(conn)) if random.below(3) == 0 => hub.fail(conn, Failure::Reset),
        // A late result of an attempt that is over.
        (10, None, _) => {
            assert_eq!(hub.dialed(DialId::new(0), Peer::Local), None);
            hub.dial_failed(DialId::new(0), Failure::TimedOut);
        }
        _ => hub.advance(Duration::from_millis(random.below(3_000))),
    }
}

#[test]
fn extreme_dial_options_together_disturb_no_other_connection_and_drain() {
    let listen: Listen = "tcp://127.0.0.1:1".parse().expect("an address");
    let (mut opened, mut messages) = (0, 0);
    for seed in 0..400 {
        let mut draw = Draw(Random::new(seed));
        let dial = draw.dial();
        let drain = Drain::default().window(Duration::ZERO).deadline(Duration::from_secs(30));
        let config = Config::listening([listen.clone()]).seed(Some(seed)).drain(drain);
        let mut hub = TestHub::with_config(config, Linked { dial, messages: 0, opened: 0 });
        let peer = hub.connect();
        let mut link = None;
        for _ in 0..60 {
            act(&mut hub, &mut link, &mut draw.0);
            assert_eq!(hub.machine().recount(), Ok(()), "seed {seed}");
        }
        hub.clear();
        hub.line(peer, "hello");
        assert_eq!(hub.lines(peer).len(), 1, "seed {seed}: a peer is served as before");
        hub.command(&Command::Drain);
        hub.advance(Duration::from_secs(60));
        assert!(hub.machine().is_drained(), "seed {seed}: it drains: {:?}", hub.handler().dial);
        assert_eq!((hub.machine().dials().count(), hub.machine().recount()), (0, Ok(())), "seed {seed}");
        let metrics = hub.machine().metrics();
        let left = metrics.open + metrics.undecided + metrics.closing + metrics.queued_bytes;
        assert_eq!((left, metrics.handler_panics), (0, 0), "seed {seed}");
        opened += hub.handler().opened;
        messages += hub.handler().messages;
    }
    assert!(opened > 100 && messages > 1_000, "{opened} links and {messages} messages");
}

#[test]
fn every_option_of_a_dial_is_drawn_or_changed() {
    let here = include_str!("dial_extremes.rs");
    let (limits, marks) = (PeerLimits::default(), Marks::default());
    let values: [&dyn std::fmt::Debug; 4] = [&Dial::lines("h:1"), &Backoff::default(), &limits, &marks];
    let is_drawn = |name: &str| here.contains(&format!(".{name}("));
    // Options of the protocol have their own tests. Rates and marks are made of other options.
    let fixed = "address protocol ending invalid_utf8 low high max units seconds burst";
    let names = values.iter().flat_map(|value| options(*value));
    let missing: Vec<_> =
        names.filter(|name| !is_drawn(name) && !fixed.split(' ').any(|other| other == name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
