//! Converts the fuzzer's random facts to a machine's inputs.

use super::{Fact, Restless, config};
use drupe_core::tls::Secured;
use drupe_core::tunnel::{LinkId, TunnelFailure, TunnelIntent, TunnelReport};
use drupe_core::websocket::{Opcode, frame};
use drupe_core::{
    AcceptFailure, Command, ConnId, DialId, Failure, Input, ListenerId, Machine, Peer, ProcessMetrics, Reason, Shard,
    ShardMessage, Time, UnixTime,
};
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

pub(super) fn input(
    fact: &Fact,
    machine: &mut Machine<Restless>,
    known: &[ConnId],
    now: &mut Time,
) -> Option<Input<u8>> {
    let id = |who: u8| known.iter().rev().nth(usize::from(who) % 20).copied().or(known.first().copied());
    let failure = |who: u8| [Failure::Reset, Failure::TimedOut, Failure::Other][usize::from(who) % 3];
    Some(match *fact {
        Fact::Accepted { listener, address } => {
            let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, u16::from(address % 4), 0, 0, 0, 1);
            let peer = if address == 0 { Peer::Local } else { SocketAddr::from((ip, 1)).into() };
            // The last id is of no listener.
            let listener = if listener < 240 { listener % 13 } else { 13 + listener % 3 };
            Input::Accepted { listener: ListenerId::new(u32::from(listener)), peer }
        }
        Fact::AcceptFailed { listener, exhausted } => Input::AcceptFailed {
            listener: ListenerId::new(u32::from(listener % 3)),
            failure: if exhausted { AcceptFailure::Exhausted } else { AcceptFailure::Transient },
        },
        Fact::Received { who, ref bytes } => Input::Received { conn: id(who)?, bytes: bytes.clone() },
        Fact::Line { who, length } => {
            let line = [&vec![b'x'; usize::from(length % 3000)][..], b"\n"].concat();
            Input::Received { conn: id(who)?, bytes: line }
        }
        Fact::Upgrade { who, deflate } => Input::Received { conn: id(who)?, bytes: upgrade(deflate).into_bytes() },
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
            // At the largest possible time, no time would be left for a drain.
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
            // Those of the machine itself have large numbers.
            let wanted = machine.dials().nth(usize::from(dial % 4)).map(|(id, _)| id);
            let id = wanted.filter(|_| dial >= 128).unwrap_or(DialId::new(u32::from(dial % 8)));
            if up { Input::Dialed { dial: id, peer } } else { Input::DialFailed { dial: id, failure: failure(dial) } }
        }
        Fact::Noted(253..) => Input::TakesJobs,
        Fact::Noted(252) => Input::Command(Command::ReloadFailed),
        Fact::Noted(251) => Input::Command(Command::LogLoss { left_out: u64::MAX, lost: 1 }),
        Fact::Noted(note @ 249..=250) => Input::Command(Command::KeySetFetched { succeeded: note == 250 }),
        Fact::Noted(248) => Input::Command(Command::ProcessUsage(ProcessMetrics::default())),
        Fact::Noted(note) => Input::Noted(note),
        Fact::Publish { length: 40_000.. } if who_else(fact, is_alone(machine)).is_some() => {
            who_else(fact, is_alone(machine))?
        }
        Fact::Publish { length } => Input::Command(Command::publish("a", &"y".repeat(usize::from(length % 2000)))),
        Fact::Kick { who: who @ 128.. } => {
            // A shell takes a job before it reports the outcome, possibly after the connection
            // ended.
            let conn = machine.take_job().map(|job| job.conn()).or(id(who))?;
            Input::JobDone { conn, outcome: who & 1 == 1 }
        }
        Fact::Kick { who } if who % 4 == 3 => {
            Input::Command(Command::send(id(who)?, &"z".repeat(usize::from(who) * 9)))
        }
        Fact::Kick { who } => Input::Command(Command::Kick { conn: id(who)? }),
        Fact::Drain => Input::Command(Command::Drain),
        Fact::Turn => Input::TurnEnded,
        Fact::Secured { who } => {
            let user = who.is_multiple_of(3).then(|| "ann".into());
            Input::Secured { conn: id(who)?, secured: Secured::default().user(user).into() }
        }
        Fact::Sealed { who, bytes } => {
            let conn = id(who)?;
            let most = machine.intent(conn)?.transmit.len();
            Input::Sealed { conn, bytes: usize::from(bytes).min(most) }
        }
        Fact::Header { who, version } => Input::Received { conn: id(who)?, bytes: header(who, version) },
        Fact::Quarantine { address, release } => {
            let address = [0x2001, 0xdb8, 0, u16::from(address % 4), 0, 0, 0, 1].into();
            Input::Command(if release { Command::Release { address } } else { Command::Quarantine { address } })
        }
        // A machine without other shards receives no shard messages.
        Fact::ShardMessage { .. } if is_alone(machine) => return None,
        Fact::ShardMessage { who, kind } => Input::ShardMessageReceived(shard_message(id(who)?, who, kind)),
        Fact::Reconfigured { limits } => {
            let mut newer = config(limits, 0);
            newer.listeners.rotate_left(usize::from(limits[0] % 12));
            newer.listeners.truncate(usize::from(limits[1] % 13));
            Input::Reconfigured(newer.into())
        }
        Fact::Tunnel { report, listener } => {
            tunnel_reported(machine, report, ListenerId::new(u32::from(listener % 16)))?
        }
    })
}

fn is_alone(machine: &Machine<Restless>) -> bool {
    machine.which_shard() == Shard::ALONE
}

/// A report about the current link of a tunnel, or about an earlier one.
fn tunnel_reported(machine: &Machine<Restless>, report: u8, listener: ListenerId) -> Option<Input<u8>> {
    let TunnelIntent { link, asked, .. } = machine.tunnels().next()?;
    let link = LinkId::new(link.tunnel(), link.attempt() - u32::from(report / 128));
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

/// A header in which a proxy reports the client's address: PROXY or `X-Forwarded-For`.
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

/// A message of another shard about connections and their admission.
fn shard_message(conn: ConnId, who: u8, kind: u8) -> ShardMessage {
    let peer = SocketAddr::from(([192, 0, 2, who % 4], 5)).into();
    match kind % 7 {
        5 => ShardMessage::Dialed { peer },
        6 => ShardMessage::Handler { from: kind % 4, topic: "topic".into(), content: "content".into() },
        0 => ShardMessage::Authenticated,
        1 => ShardMessage::Gone { peer },
        2 => ShardMessage::Arrived { conn, listener: ListenerId::new(u32::from(kind % 13)), peer },
        3 => ShardMessage::Admission { conn, peer, refused: None },
        _ => ShardMessage::Admission { conn, peer, refused: Some(Reason::AddressFull) },
    }
}

/// Other inputs: messages of other shards, handed-over connections, back-pressure, the wall clock.
fn who_else(fact: &Fact, alone: bool) -> Option<Input<u8>> {
    let Fact::Publish { length } = *fact else { return None };
    if alone && !matches!(length % 8, 5 | 6) {
        return None;
    }
    let (listener, peer) = (ListenerId::new(u32::from(length % 7)), SocketAddr::from(([192, 0, 2, 1], length)).into());
    Some(match length % 8 {
        0 => Input::ShardMessageReceived(ShardMessage::Publish {
            room: "a".into(),
            except: [].into(),
            message: "shard_message".into(),
        }),
        1 => Input::ShardMessageReceived(ShardMessage::Left {
            listener: length.is_multiple_of(7).then_some(listener),
            peer,
            shard: u8::try_from(length % 5).unwrap_or(0),
        }),
        2 => Input::ShardMessageReceived(ShardMessage::Quarantine { peer }),
        3 => Input::ShardMessageReceived(ShardMessage::Counted {
            shard: 2,
            numbers: vec![u64::MAX; usize::from(length % 200)].into(),
        }),
        4 => Input::Dispatched { listener, peer },
        5 => Input::HeldBack(length & 64 > 0),
        6 => Input::ClockSet(UnixTime::from_secs(u64::from(length))),
        _ => Input::Adopted { listener, peer },
    })
}

pub(super) fn input_bytes(input: &Input<u8>) -> isize {
    let bytes = match input {
        Input::Received { bytes, .. } => bytes.len(),
        Input::Command(Command::Publish { payload, .. } | Command::Send { payload, .. }) => payload.as_outgoing().len(),
        _ => 0,
    };
    isize::try_from(bytes).expect("small")
}

/// Returns a WebSocket handshake of a client.
fn upgrade(deflate: bool) -> String {
    let extension = if deflate { "Sec-WebSocket-Extensions: permessage-deflate\r\n" } else { "" };
    format!(
        "GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{extension}\r\n"
    )
}
