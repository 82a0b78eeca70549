use crate::extremes::Draw;
use crate::memory::peak_of;
use arbitrary::Arbitrary;
use drupe_core::http::{Credential, Forwarded, ForwardedField, Http};
use drupe_core::limit::{Budget, EarlyDrop, Ladder, MessageSize, Network, Rate};
use drupe_core::outbound::{Marks, SlowPolicy};
use drupe_core::telnet::{InputMode, Side, Telnet};
use drupe_core::tls::{Secured, Tls};
use drupe_core::tunnel::{Ssh, Tunnel, TunnelFailure, TunnelIntent, TunnelReport};
use drupe_core::websocket::{CloseCode, Opcode, frame};
use drupe_core::wire::{Protocol, Proxies};
use drupe_core::{
    AcceptFailure, Address, Backoff, Config, ConnId, Dial, DialId, Drain, Event, Failure, Handler, Hub, Identity,
    Input, Letter, Listen, ListenerId, Machine, Peer, Reason, Representation, Request, Shard, Time, Timer, UnixTime,
    trace, work,
};
use std::collections::BTreeSet;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

/// A fact, as likely as not about somebody who is there.
#[derive(Arbitrary, Clone, Debug)]
enum Fact {
    Accepted { listener: u8, address: u8 },
    AcceptFailed { listener: u8, exhausted: bool },
    Received { who: u8, bytes: Vec<u8> },
    Line { who: u8, length: u16 },
    Upgrade { who: u8, deflate: bool },
    Frame { who: u8, opcode: u8, content: Vec<u8> },
    Wrote { who: u8, bytes: u16 },
    WroteAll { who: u8 },
    Blocked { who: u8 },
    Ended { who: u8 },
    Failed { who: u8 },
    Elapsed { millis: u32 },
    ToDeadline,
    ClockBack { millis: u16 },
    Dialed { dial: u8, up: bool },
    Noted(u8),
    Publish { length: u16 },
    Kick { who: u8 },
    Drain,
    Turn,
    Secured { who: u8 },
    Sealed { who: u8, bytes: u16 },
    Header { who: u8, version: u8 },
    Quarantine { address: u8, release: bool },
    Letter { who: u8, kind: u8 },
    Reconfigured { limits: [u8; 8] },
    Tunnel { report: u8, listener: u8 },
}

#[derive(Arbitrary, Clone, Debug)]
struct Run {
    limits: [u8; 8],
    seed: u64,
    facts: Vec<Fact>,
}

#[derive(Arbitrary, Clone, Debug)]
struct ExtremeRun {
    picks: Picks,
    seed: u64,
    facts: Vec<Fact>,
}

/// What the configuration is drawn from.
#[derive(Clone, Debug)]
struct Picks(Vec<u8>);

impl<'a> Arbitrary<'a> for Picks {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let count = usize::from(u8::arbitrary(bytes)?).min(bytes.len());
        Ok(Self(bytes.bytes(count)?.into()))
    }
}

/// Does anything the hub offers, by chance.
#[derive(Default)]
struct Restless {
    open: BTreeSet<ConnId>,
}

impl Handler for Restless {
    type Context = u8;
    type Note = u8;

    fn on(&mut self, hub: &mut Hub<'_, u8>, event: Event<'_, u8>) {
        let named = match &event {
            Event::Opened { conn, .. } => {
                assert!(self.open.insert(*conn), "opened twice");
                Some(*conn)
            }
            Event::Closed { conn, .. } => {
                assert!(self.open.remove(conn), "closed twice, or never opened");
                assert!(hub.context(*conn).is_some(), "the context is gone too early");
                Some(*conn)
            }
            Event::Message { conn, .. }
            | Event::Signal { conn, .. }
            | Event::InputEnded { conn, .. }
            | Event::Stalled { conn, .. }
            | Event::Authenticated { conn, .. }
            | Event::Sent { conn, .. }
            | Event::Offloaded { conn, .. }
            | Event::Drained { conn, .. } => {
                assert!(self.open.contains(conn), "named after its end");
                Some(*conn)
            }
            _ => None,
        };
        let all: Vec<ConnId> = hub.connections().collect();
        let pick = usize::try_from(hub.random() % 64).expect("small");
        let target = all.get(pick).copied().or(named);
        let room = ["a", "b", ""][pick % 3];
        let Some(conn) = target else { return };
        match hub.random() % 36 {
            0 => hub.close(conn),
            1 => hub.pause(conn),
            2..5 => hub.resume(conn),
            5..8 => drop(hub.join(conn, room)),
            8 => drop(hub.leave(conn, room)),
            9 => drop(hub.publish(room, &"x".repeat(pick * 8))),
            10 => drop(hub.publish_except(room, &[conn], "except")),
            11 => drop(hub.send_each(&all, "each")),
            12 => hub.wake(Timer::of(conn, "t"), Duration::from_millis(pick as u64)),
            13 => hub.wake(Timer::named("u"), Duration::MAX),
            14 => drop(hub.cancel(Timer::of(conn, "t"))),
            15 => drop(hub.set_slow_policy(
                room,
                [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close][pick % 4],
            )),
            16 => {
                let backoff = (pick % 2 == 0).then(Backoff::default);
                let wire =
                    hub.config().listeners.get(pick % 5).map(|listen| listen.protocol.wire()).unwrap_or_default();
                let dial = Dial { protocol: wire.into(), backoff, ..Dial::lines("192.0.2.1:1") };
                let websocket = Dial { backoff, ..Dial::websocket("192.0.2.1:1", "/") };
                hub.dial(if pick % 3 == 0 { websocket } else { dial });
            }
            24 => drop(hub.prompt(conn, "> ")),
            25 => drop(hub.prompt_hidden(conn, "password: ")),
            26 => {
                let modes = [InputMode::Line, InputMode::Character, InputMode::Keys];
                hub.set_input_mode(conn, modes[pick % 3]);
            }
            27 => drop(hub.write(conn, "half\nand half")),
            28 => {
                let side = if pick.is_multiple_of(2) { Side::Us } else { Side::Him };
                let option = [1, 3, 24, 31, 34, 42, 70, 86, 87, 91, 201][pick % 11];
                if pick > 40 {
                    hub.disable_option(conn, side, option)
                } else {
                    hub.enable_option(conn, side, option)
                };
            }
            30 => hub.close_as(conn, CloseCode::UNAUTHORIZED, "who are you?"),
            29 => drop(hub.gmcp(conn, "Core.Ping", "")),
            18 => {
                let expires_at = (pick % 2 == 0).then(|| UnixTime::from_secs(pick as u64 * 900));
                hub.identify(conn, Identity { expires_at, ..Identity::user(["ann", "bob"][pick % 2]) });
            }
            19 => drop(hub.ticket(conn, Duration::from_millis(pick as u64))),
            20 => {
                let ticket = hub.tickets(conn).next();
                ticket.map(|ticket| hub.redeem(ticket));
            }
            21 if pick == 63 => hub.drain(),
            22 => hub.end(conn, Reason::Forbidden),
            32 => hub.watch(conn, pick % 2 == 0),
            33 => hub.quarantine([0x2001, 0xdb8, 0, u16::try_from(pick % 4).expect("small"), 0, 0, 0, 1].into()),
            34 if pick == 1 => drop(hub.clear_slow_policy(room)),
            34 if pick == 0 => drop(hub.take_unwatched()),
            23 => match pick % 8 {
                0 | 1 => hub.finish(conn),
                2 => hub.close_with(conn, "farewell"),
                3 => hub.set_label(conn, &"label\u{1b}".repeat(pick)),
                4 => hub.set_representation(conn, [Representation::Json, Representation::Text][pick / 32]),
                5 => drop(hub.release([0x2001, 0xdb8, 0, u16::try_from(pick / 16).expect("small"), 0, 0, 0, 1].into())),
                6 => drop(hub.subnegotiate(conn, 201, b"\xffdata")),
                _ => hub.set_server_status(&[("NAME", "fuzz"), ("PLAYERS", "\u{ff}\u{1}")]),
            },
            31 => drop(hub.offload(conn, move || pick % 2 == 0)),
            35 => drop(hub.send_to_shard(u8::try_from(pick % 4).expect("small"), "topic", "content")),
            17 => hub.hang_up(DialId(u32::try_from(pick).expect("small"))),
            _ => drop(hub.send(conn, "private")),
        }
    }
}

fn config(limits: [u8; 8], seed: u64) -> Config {
    let [message, marks, rate, ladder, time, conns, turn, half_open] = limits;
    let addresses = [
        "tcp://127.0.0.1:1",
        "length://127.0.0.1:2?prefix=u8",
        "telnet://127.0.0.1:3?gmcp=yes&compress=yes&keep_alive=1",
        "telnet://127.0.0.1:4?mode=character",
        "auto://127.0.0.1:5?prefix=u32be",
        "ws://127.0.0.1:6/chat?ping=1",
    ];
    let mut listeners: Vec<Listen> = addresses.map(|text| text.parse().expect(text)).into();
    for listen in &mut listeners {
        listen.half_open = half_open & 1 == 1;
        listen.notices = half_open & 2 == 2;
    }
    let secure = Listen { tls: Some(Tls::elsewhere()), ..listeners[0].clone() };
    let trusted: Network = "2001:db8::/63".parse().expect("good");
    let proxies = Some(Proxies::trusting([trusted]));
    let proxied = Listen { proxies: proxies.clone(), tls: Some(Tls::elsewhere()), ..listeners[4].clone() };
    let http = Http {
        telnet: Some(Telnet::default()),
        forwarded: Some(Forwarded { field: ForwardedField::XForwardedFor, trusted: vec![trusted] }),
        monitor: Credential::new("0123456789abcdef").ok(),
        ping: Some(Duration::from_secs(1)),
        ..Http::default()
    };
    let carried = Listen { protocol: Protocol::Http(http.into()), notices: true, ..listeners[5].clone() };
    listeners.extend([secure, proxied, Listen { proxies, ..listeners[1].clone() }, carried]);
    for (listen, port) in listeners.iter_mut().zip(1..) {
        listen.address = Address::Tcp(SocketAddr::from(([127, 0, 0, 1], port)));
    }
    for text in ["tcp://127.0.0.1:0?tunnel=edge", "unix:///run/x.sock?tunnel=edge"] {
        listeners.push(text.parse().expect(text));
    }
    let mut config = Config { seed: Some(seed), ..Config::listening(listeners) };
    let mut tunnel = Tunnel::new("edge", Ssh::new("192.0.2.1", "drupe", "known_hosts"));
    tunnel.reconnect.attempts_max = (time & 16 == 16).then_some(3);
    tunnel.keep_alive.interval = Duration::from_millis(u64::from(time));
    // Without it in a newer configuration, it ends.
    config.tunnels.extend((time & 32 == 0).then_some(tunnel));
    config.connections.early_drop = EarlyDrop::new(u32::from(conns % 5), 9).ok().filter(|_| conns & 32 > 0);
    config.connections.arrivals_per_address = Rate::per(u32::from(conns % 7), 1, 3).ok();
    config.dry_run = conns & 64 > 0;
    config.lifetime = (time & 4 == 4).then_some(Duration::from_millis(u64::from(time) * 8));
    config.drain.grace = Duration::from_millis(u64::from(time % 3));
    config.drain.retry_after = (time & 8 == 8).then_some(Duration::from_secs(1));
    config.budget.message_max_bytes = MessageSize::new(u64::from(message) * 8 + 1).expect("in range");
    config.budget.messages_per_turn = u32::from(turn % 5);
    let unit = u32::from(marks);
    config.outbound.marks = Marks::new(unit, 4 * unit, 16 * unit + 1).expect("in order");
    config.outbound.slow_policy =
        [SlowPolicy::Close, SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest]
            [usize::from(marks % 4)];
    config.rates.messages = Rate::new(u32::from(rate), 3).ok();
    config.rates.bytes = Rate::new(u32::from(rate) * 50, 100).ok();
    let step = |bit: u8| (ladder >> bit & 1 == 1).then_some(u32::from(bit));
    config.rates.ladder = Ladder {
        warn: step(0),
        pause: step(1),
        drop: step(2),
        close: step(3),
        quarantine: step(4),
        ..Ladder::default()
    };
    config.idle = (time & 1 == 1).then_some(Duration::from_millis(u64::from(time)));
    config.silence = (time & 2 == 2).then_some(Duration::from_millis(u64::from(time) / 2));
    config.closing.linger = Duration::from_millis(u64::from(time));
    config.connections.total = u32::from(conns % 16) + 1;
    config.connections.per_address = u32::from(conns / 16) + 1;
    config.rooms.total = 2;
    config.rooms.per_connection = 1;
    config
}

/// Any facts, in any order, to a machine with any limits and a handler that does anything.
///
/// # Panics
/// If a promise is broken.
pub fn machine(data: &[u8]) {
    let Ok(run) = Run::arbitrary_take_rest(arbitrary::Unstructured::new(data)) else { return };
    drive(&run.facts, run.seed, &|| config(run.limits, run.seed));
}

/// As [`machine`], with a configuration each field of which may be 0, 1 or the maximum.
///
/// # Panics
/// If a promise is broken.
pub fn machine_extremes(data: &[u8]) {
    let Ok(run) = ExtremeRun::arbitrary_take_rest(arbitrary::Unstructured::new(data)) else { return };
    drive(&run.facts, run.seed, &|| Draw::new(&run.picks.0).config(run.seed));
}

fn drive(facts: &[Fact], seed: u64, configured: &dyn Fn() -> Config) {
    let facts = facts.get(..facts.len().min(500)).unwrap_or_default();
    let shards = [Shard::ALONE, Shard::new(0, 3).expect("in range"), Shard::new(1, 3).expect("in range")];
    let shard = shards[usize::try_from(seed % 3).unwrap_or(0)];
    let mut machine = Machine::shard(configured(), Restless::default(), shard);
    let mut text = String::new();
    let mut written = 0;
    let mut known: Vec<ConnId> = Vec::new();
    let mut now = Time::START;
    let (mut sockets, mut dialing) = (BTreeSet::new(), BTreeSet::new());
    let (mut reloads, mut received) = (Vec::new(), 0);
    for fact in facts {
        if matches!(fact, Fact::Turn) {
            while let Some(id) = machine.next_changed() {
                if machine.intent(id).is_none() {
                    sockets.remove(&id);
                }
            }
            while let Some(dial) = machine.next_changed_dial() {
                if machine.address_to_dial(dial).is_some() {
                    dialing.insert(dial);
                } else {
                    dialing.remove(&dial);
                }
            }
            assert!(
                machine.dials().map(|(dial, _)| dial).eq(dialing.iter().copied()),
                "each change of a dial is named"
            );
            assert!(sockets.iter().all(|&id| machine.intent(id).is_some()), "a shell drops all sockets that are gone");
        }
        let Some(input) = input(fact, &mut machine, &known, &mut now) else { continue };
        if let Input::Wrote { conn, bytes } = input {
            written += machine.intent(conn).map_or(0, |intent| bytes.min(intent.transmit.len()));
        }
        if let Input::Reconfigured(newer) = &input {
            reloads.push(Config::clone(newer));
        }
        text.push_str(&trace::line(now, &input));
        let grew = input_bytes(&input);
        received += grew.unsigned_abs();
        let (mut outcome, mut steps) = (None, 0);
        let peak = peak_of(|| (outcome, steps) = work::steps_of(|| machine.apply(now, input)));
        // Every connection may have one message served, to logs that grow by doubling, but no more.
        assert!(peak < (1 << 20) + 8 * grew, "{peak} bytes for one fact");
        let most = most_steps(machine.config(), received, known.len());
        assert!(steps <= most, "{steps} steps for one fact, and {most} are allowed");
        if let Some(Ok(id)) = outcome {
            known.push(id);
            sockets.insert(id);
        }
        check(&machine, &known);
        while machine.next_letter().is_some() {}
    }
    // What happened once happens again.
    replay(&text, configured(), reloads, shard, written, &machine);
    machine.apply(now, Input::Requested(Request::Drain));
    for _ in 0..1_000 {
        let Some(deadline) = machine.deadline().filter(|_| !machine.is_drained()) else { break };
        now = now.max(deadline.at);
        machine.elapsed(now);
        machine.turn_ended(now);
    }
    let Drain { grace, window, deadline, .. } = machine.config().drain;
    // A drain that may take for ever is asked for by its configuration.
    let ends = ![grace, window, deadline].into_iter().any(|span| span >= Duration::from_nanos(u64::MAX));
    if ends {
        assert!(machine.is_drained() && machine.handler().open.is_empty(), "a drain ends");
        assert_eq!(machine.metrics().queued_bytes, 0);
    }
}

/// What one fact may cost where each of `connections` may be served, and `received` bytes have come so far: no message can be
/// longer, and no turn have more messages.
fn most_steps(config: &Config, received: usize, connections: usize) -> u64 {
    let longest = MessageSize::new(received.max(1) as u64).unwrap_or(MessageSize::MAX);
    let budget = Budget {
        message_max_bytes: longest,
        messages_per_turn: config.budget.messages_per_turn.min(u32::try_from(received).unwrap_or(u32::MAX)),
        ..config.budget
    };
    work::limit(received, &budget).saturating_mul(connections as u64 + 1)
}

fn replay(text: &str, config: Config, reloads: Vec<Config>, shard: Shard, written: usize, machine: &Machine<Restless>) {
    let mut again = Machine::shard(config, Restless::default(), shard);
    let transcript = trace::replay_with(text, &mut again, reloads).expect("what is written is read");
    assert_eq!(transcript.written.values().map(Vec::len).sum::<usize>(), written);
    assert_eq!(format!("{:?}", again.metrics()), format!("{:?}", machine.metrics()));
}

fn input(fact: &Fact, machine: &mut Machine<Restless>, known: &[ConnId], now: &mut Time) -> Option<Input<u8>> {
    let id = |who: u8| known.iter().rev().nth(usize::from(who) % 20).copied().or(known.first().copied());
    let failure = |who: u8| [Failure::Reset, Failure::TimedOut, Failure::Other][usize::from(who) % 3];
    Some(match *fact {
        Fact::Accepted { listener, address } => {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(address % 4), 0, 0, 0, 1);
            let peer = if address == 0 { Peer::Local } else { SocketAddr::from((ip, 1)).into() };
            Input::Accepted { listener: ListenerId(u32::from(listener % 13)), peer }
        }
        Fact::AcceptFailed { listener, exhausted } => Input::AcceptFailed {
            listener: ListenerId(u32::from(listener % 3)),
            failure: if exhausted { AcceptFailure::Exhausted } else { AcceptFailure::Transient },
        },
        Fact::Received { who, ref bytes } => Input::Received { conn: id(who)?, bytes: bytes.clone() },
        Fact::Line { who, length } => {
            let line = [&vec![b'x'; usize::from(length % 3000)][..], b"\n"].concat();
            Input::Received { conn: id(who)?, bytes: line }
        }
        Fact::Upgrade { who, deflate } => {
            let extension = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
            let request = format!(
                "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                 Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n"
            );
            Input::Received { conn: id(who)?, bytes: request.into_bytes() }
        }
        Fact::Frame { who, opcode, ref content } => {
            let opcodes =
                [Opcode::Text, Opcode::Binary, Opcode::Ping, Opcode::Pong, Opcode::Close, Opcode::Continuation];
            let mut bytes = Vec::new();
            frame(opcodes[usize::from(opcode % 6)], content, Some([1, 2, 3, opcode]), &mut bytes);
            Input::Received { conn: id(who)?, bytes }
        }
        Fact::Wrote { who, bytes } => Input::Wrote { conn: id(who)?, bytes: usize::from(bytes) },
        Fact::WroteAll { who } => {
            let conn = id(who)?;
            Input::Wrote { conn, bytes: machine.intent(conn)?.transmit.len() }
        }
        Fact::Blocked { who } => Input::Blocked { conn: id(who)? },
        Fact::Ended { who } => Input::Ended { conn: id(who)? },
        Fact::Failed { who: who @ 192.. } => Input::Truncated { conn: id(who)? },
        Fact::Failed { who } => Input::Failed { conn: id(who)?, failure: failure(who) },
        Fact::Elapsed { millis } => {
            *now = *now + Duration::from_millis(u64::from(millis));
            Input::Elapsed
        }
        Fact::ToDeadline => {
            // At the end of time a drain has no time left to end in.
            let deadline = machine.deadline().filter(|deadline| deadline.at < Time::from_nanos(u64::MAX / 2))?;
            *now = (*now).max(deadline.at);
            Input::Elapsed
        }
        Fact::ClockBack { millis } => {
            *now = now.minus_nanos(u64::from(millis) * 1_000_000);
            Input::Elapsed
        }
        Fact::Dialed { dial, up } => {
            let peer = Peer::from(SocketAddr::from(([192, 0, 2, 1], 1)));
            let id = DialId(u32::from(dial % 8));
            if up { Input::Dialed { dial: id, peer } } else { Input::DialFailed { dial: id, failure: failure(dial) } }
        }
        Fact::Noted(253..) => Input::TakesJobs,
        Fact::Noted(252) => Input::Requested(Request::ReloadFailed),
        Fact::Noted(251) => Input::Requested(Request::LogLoss { left_out: u64::MAX, lost: 1 }),
        Fact::Noted(note) => Input::Noted(note),
        Fact::Publish { length: 40_000.. } if who_else(fact, is_alone(machine)).is_some() => {
            who_else(fact, is_alone(machine))?
        }
        Fact::Publish { length } => Input::Requested(Request::publish("a", &"y".repeat(usize::from(length % 2000)))),
        Fact::Kick { who: who @ 128.. } => {
            // A shell takes a job before it is done, and may be late.
            let conn = machine.take_job().map(|job| job.conn()).or(id(who))?;
            Input::JobDone { conn, outcome: who & 1 == 1 }
        }
        Fact::Kick { who } => Input::Requested(Request::Kick { conn: id(who)? }),
        Fact::Drain => Input::Requested(Request::Drain),
        Fact::Turn => Input::TurnEnded,
        Fact::Secured { who } => {
            let user = who.is_multiple_of(3).then(|| "ann".into());
            Input::Secured { conn: id(who)?, secured: Secured { user, ..Secured::default() }.into() }
        }
        Fact::Sealed { who, bytes } => {
            let conn = id(who)?;
            let most = machine.intent(conn)?.transmit.len();
            Input::Sealed { conn, bytes: usize::from(bytes).min(most) }
        }
        Fact::Header { who, version } => Input::Received { conn: id(who)?, bytes: header(who, version) },
        Fact::Quarantine { address, release } => {
            let address = [0x2001, 0xdb8, 0, u16::from(address % 4), 0, 0, 0, 1].into();
            let request = if release { Request::Release { address } } else { Request::Quarantine { address } };
            Input::Requested(request)
        }
        // A machine that is alone gets no letters.
        Fact::Letter { .. } if is_alone(machine) => return None,
        Fact::Letter { who, kind } => Input::Delivered(letter(id(who)?, who, kind)),
        Fact::Reconfigured { limits } => {
            let mut newer = config(limits, 0);
            newer.listeners.rotate_left(usize::from(limits[0] % 12));
            newer.listeners.truncate(usize::from(limits[1] % 13));
            Input::Reconfigured(newer.into())
        }
        Fact::Tunnel { report, listener } => tunnel_reported(machine, report, ListenerId(u32::from(listener % 16)))?,
    })
}

fn is_alone(machine: &Machine<Restless>) -> bool {
    machine.which_shard() == Shard::ALONE
}

/// What may be told of the link that is wanted, or of one that is no more.
fn tunnel_reported(machine: &Machine<Restless>, report: u8, listener: ListenerId) -> Option<Input<u8>> {
    let TunnelIntent { mut link, asked, .. } = machine.tunnels().next()?;
    link.attempt -= u32::from(report / 128);
    let failure = TunnelFailure::ALL[usize::from(report) % TunnelFailure::ALL.len()];
    let report = match report % 8 {
        0 | 1 => TunnelReport::Connected,
        2 => TunnelReport::Failed { failure, words: "gone \u{e9}\r\n".into() },
        3 => TunnelReport::Bound { listener, port: 7001 },
        4 => TunnelReport::Refused { listener },
        5 => TunnelReport::Answered(asked),
        6 => TunnelReport::ChannelRefused { words: "a shell".into() },
        _ => TunnelReport::Closed,
    };
    Some(Input::TunnelReported { link, report })
}

/// What proxies say first.
fn header(who: u8, version: u8) -> Vec<u8> {
    match version % 4 {
        0 => format!("PROXY TCP6 2001:db8:0:{}::1 ::1 5 6\r\nhello\n", who % 4).into_bytes(),
        1 => b"PROXY UNKNOWN\r\n".to_vec(),
        2 => [&b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c"[..], &[192, 0, 2, who % 4], &[0; 8], b"x\n"].concat(),
        _ => format!(
            "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     X-Forwarded-For: 192.0.2.{}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Version: 13\r\n\r\n",
            who % 4
        )
        .into_bytes(),
    }
}

/// What shards tell each other about who comes through a proxy.
fn letter(conn: ConnId, who: u8, kind: u8) -> Letter {
    let peer = SocketAddr::from(([192, 0, 2, who % 4], 5)).into();
    match kind % 7 {
        5 => Letter::Dialed { peer },
        6 => Letter::Handler { from: kind % 4, topic: "topic".into(), content: "content".into() },
        0 => Letter::Known,
        1 => Letter::Gone { peer },
        2 => Letter::Arrived { conn, listener: ListenerId(u32::from(kind % 13)), peer },
        3 => Letter::Admission { conn, peer, refused: None },
        _ => Letter::Admission { conn, peer, refused: Some(Reason::AddressFull) },
    }
}

/// What other shards tell, if there are any, and the one that accepts hands over.
fn who_else(fact: &Fact, alone: bool) -> Option<Input<u8>> {
    let Fact::Publish { length } = *fact else { return None };
    if alone && !matches!(length % 8, 5 | 6) {
        return None;
    }
    let (listener, peer) = (ListenerId(u32::from(length % 7)), SocketAddr::from(([192, 0, 2, 1], length)).into());
    Some(match length % 8 {
        0 => Input::Delivered(Letter::Publish { room: "a".into(), except: [].into(), message: "letter".into() }),
        1 => Input::Delivered(Letter::Left {
            listener: length.is_multiple_of(7).then_some(listener),
            peer,
            shard: u8::try_from(length % 5).unwrap_or(0),
        }),
        2 => Input::Delivered(Letter::Quarantine { peer }),
        3 => Input::Delivered(Letter::Counted { shard: 2, numbers: vec![u64::MAX; usize::from(length % 200)].into() }),
        4 => Input::Dispatched { listener, peer },
        5 => Input::HeldBack(length & 64 > 0),
        6 => Input::ClockSet(UnixTime::from_secs(u64::from(length))),
        _ => Input::Adopted { listener, peer },
    })
}

fn input_bytes(input: &Input<u8>) -> isize {
    let bytes = match input {
        Input::Received { bytes, .. } => bytes.len(),
        Input::Requested(Request::Publish { payload, .. }) => payload.as_payload().as_bytes().len(),
        _ => 0,
    };
    isize::try_from(bytes).expect("small")
}

fn check(machine: &Machine<Restless>, known: &[ConnId]) {
    assert_eq!(machine.recount(), Ok(()));
    let metrics = machine.metrics();
    let owed: usize = known
        .iter()
        .filter_map(|&id| machine.intent(id))
        .map(|intent| intent.transmit.slices().map(<[u8]>::len).sum::<usize>())
        .sum();
    assert_eq!(metrics.queued_bytes, owed as u64, "the gauge of queued bytes is their sum");
    assert_eq!(metrics.open, machine.handler().open.len() as u64);
    let shown = known.iter().filter(|&&id| machine.intent(id).is_some()).count() as u64;
    assert_eq!(metrics.open + metrics.closing + metrics.undecided, shown);
}
