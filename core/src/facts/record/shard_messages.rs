//! Text form of messages between shards.

use super::everywhere::{Answer, Target};
use super::host_news::{parse_report, write_report};
use super::room_messages::{parse_room_message, write_room_message};
use super::words::{Message, Quoted, Words};
use crate::base::{ListenerId, Reason, Time};
use crate::facts::{ClusterHost, ShardMessage};
use alloc::string::String;
use core::fmt::{self, Write};

pub(super) fn write_shard_message(out: &mut String, message: &ShardMessage) -> fmt::Result {
    match message {
        ShardMessage::Publish { room, except, message } => {
            write!(out, "shard_publish {} {}", Quoted(room.as_bytes()), Message(message))?;
            except.iter().try_for_each(|conn| write!(out, " {conn}"))?;
        }
        ShardMessage::Left { listener: Some(listener), peer, shard } => {
            write!(out, "left {shard} {} {peer}", listener.0)?;
        }
        ShardMessage::Left { listener: None, peer, shard } => write!(out, "left {shard} dialed {peer}")?,
        ShardMessage::Dialed { peer } => write!(out, "dialed_there {peer}")?,
        ShardMessage::Quarantine { peer } => write!(out, "quarantine {peer}")?,
        ShardMessage::Authenticated => write!(out, "known")?,
        ShardMessage::Arrived { conn, listener, peer } => write!(out, "arrived {conn} {} {peer}", listener.0)?,
        ShardMessage::Gone { peer } => write!(out, "gone {peer}")?,
        ShardMessage::Admission { conn, peer, refused } => {
            let outcome = refused.map_or("admitted", Reason::name);
            write!(out, "admission {conn} {peer} {outcome}")?;
        }
        ShardMessage::Handler { from, topic, content } => {
            write!(out, "shard_message {from} {} {}", Quoted(topic.as_bytes()), Quoted(content.as_bytes()))?;
        }
        ShardMessage::ToHosts { topic, content } => {
            write!(out, "to_hosts {} {}", Quoted(topic.as_bytes()), Quoted(content.as_bytes()))?;
        }
        ShardMessage::FromHost { from, topic, content } => {
            write!(out, "from_host {from} {} {}", Quoted(topic.as_bytes()), Quoted(content.as_bytes()))?;
        }
        ShardMessage::EndEverywhere { from, request, target, reason } => {
            let request = request.unwrap_or(0);
            write!(out, "end_everywhere {from} {request} {} {}", reason.name(), Target(target))?;
        }
        ShardMessage::End { number, target, reason } => {
            write!(out, "end_there {number} {} {}", reason.name(), Target(target))?;
        }
        ShardMessage::Ended { number, connections } => write!(out, "ended_there {number} {connections}")?,
        ShardMessage::Claim { from, request, key, millis } => {
            write!(out, "claim {from} {request} {} {millis}", Quoted(key.as_bytes()))?;
        }
        ShardMessage::ClusterAnswer { request, answer } => write!(out, "cluster_answer {request} {}", Answer(answer))?,
        ShardMessage::Quarantined { addresses, to_hosts } => {
            write!(out, "quarantined {to_hosts}")?;
            addresses.iter().try_for_each(|(address, millis)| write!(out, " {address} {millis}"))?;
        }
        ShardMessage::Released { address, to_hosts } => write!(out, "released {address} {to_hosts}")?,
        ShardMessage::Hosts { own, is_linked, others } => {
            write!(out, "hosts {own} {is_linked}")?;
            for ClusterHost { id, report, as_of } in others.iter() {
                write!(out, " {id} {} ", as_of.as_nanos())?;
                write_report(out, report)?;
            }
        }
        ShardMessage::ListQuarantine => write!(out, "list_quarantine")?,
        ShardMessage::RoomOpened { room } => write!(out, "room_opened {}", Quoted(room.as_bytes()))?,
        ShardMessage::RoomClosed { room } => write!(out, "room_closed {}", Quoted(room.as_bytes()))?,
        ShardMessage::Room(message) => {
            out.write_str("room ")?;
            write_room_message(out, message)?;
        }
        ShardMessage::RoomsCounted { rooms } => write!(out, "rooms_counted {rooms}")?,
        ShardMessage::Counted { shard, numbers } => {
            write!(out, "counted {shard}")?;
            numbers.iter().try_for_each(|number| write!(out, " {number}"))?;
        }
    }
    out.write_char('\n')
}

/// Parses the rest of a line as the shard message called `name`.
pub(super) fn parse_shard_message(name: &str, words: &mut Words<'_>) -> Result<ShardMessage, &'static str> {
    Ok(match name {
        "shard_publish" => {
            let (room, message) = (words.text()?.into(), words.outgoing()?);
            let except = words.all(Words::conn)?.into();
            ShardMessage::Publish { room, except, message }
        }
        "left" => {
            let shard = words.parsed("a shard's number")?;
            let listener = match words.word() {
                "dialed" => None,
                number => Some(ListenerId(number.parse().map_err(|_| "a listener's number or dialed")?)),
            };
            ShardMessage::Left { listener, peer: words.parsed("a peer's address")?, shard }
        }
        "dialed_there" => ShardMessage::Dialed { peer: words.parsed("a peer's address")? },
        "known" => ShardMessage::Authenticated,
        "arrived" => {
            let (conn, listener) = (words.conn()?, words.listener()?);
            ShardMessage::Arrived { conn, listener, peer: words.parsed("a peer's address")? }
        }
        "gone" => ShardMessage::Gone { peer: words.parsed("a peer's address")? },
        "admission" => {
            let (conn, peer) = (words.conn()?, words.parsed("a peer's address")?);
            let refused = match words.word() {
                "admitted" => None,
                name => Some(Reason::named(name).ok_or("admitted or the name of a reason")?),
            };
            ShardMessage::Admission { conn, peer, refused }
        }
        "quarantine" => ShardMessage::Quarantine { peer: words.parsed("a peer's address")? },
        "to_hosts" => ShardMessage::ToHosts { topic: words.text()?.into(), content: words.text()?.into() },
        "from_host" => {
            let from = words.parsed("a host")?;
            ShardMessage::FromHost { from, topic: words.text()?.into(), content: words.text()?.into() }
        }
        "end_everywhere" | "end_there" | "ended_there" | "claim" | "cluster_answer" | "quarantined" | "released"
        | "hosts" | "list_quarantine" => parse_of_cluster(name, words)?,
        "room_opened" => ShardMessage::RoomOpened { room: words.text()?.into() },
        "room_closed" => ShardMessage::RoomClosed { room: words.text()?.into() },
        "room" => ShardMessage::Room(parse_room_message(words)?),
        "rooms_counted" => ShardMessage::RoomsCounted { rooms: words.parsed("a number of rooms")? },
        "counted" => {
            let shard = words.parsed("a shard's number")?;
            let numbers = words.all(|words| words.parsed("a count"))?.into();
            ShardMessage::Counted { shard, numbers }
        }
        "shard_message" => {
            let from = words.parsed("a shard's number")?;
            let (topic, content) = (words.text()?.into(), words.text()?.into());
            ShardMessage::Handler { from, topic, content }
        }
        _ => return Err("the name of a fact"),
    })
}

/// Parses the rest of a line as a shard message about the whole cluster.
fn parse_of_cluster(name: &str, words: &mut Words<'_>) -> Result<ShardMessage, &'static str> {
    const COUNT: &str = "a count";
    const FLAG: &str = "true or false";
    Ok(match name {
        "end_everywhere" => {
            let (from, request) = (words.parsed("a shard's number")?, words.parsed(COUNT)?);
            let (reason, target) = (words.reason()?, words.target()?);
            ShardMessage::EndEverywhere { from, request: Some(request).filter(|number| *number > 0), target, reason }
        }
        "end_there" => {
            let (number, reason) = (words.parsed(COUNT)?, words.reason()?);
            ShardMessage::End { number, target: words.target()?, reason }
        }
        "ended_there" => ShardMessage::Ended { number: words.parsed(COUNT)?, connections: words.parsed(COUNT)? },
        "claim" => {
            let (from, request) = (words.parsed("a shard's number")?, words.parsed(COUNT)?);
            ShardMessage::Claim { from, request, key: words.text()?.into(), millis: words.parsed(COUNT)? }
        }
        "cluster_answer" => {
            ShardMessage::ClusterAnswer { request: words.parsed(COUNT)?, answer: words.cluster_answer()? }
        }
        "quarantined" => {
            let to_hosts = words.parsed(FLAG)?;
            let addresses = words.all(|words| Ok((words.parsed("an address")?, words.parsed(COUNT)?)))?.into();
            ShardMessage::Quarantined { addresses, to_hosts }
        }
        "released" => ShardMessage::Released { address: words.parsed("an address")?, to_hosts: words.parsed(FLAG)? },
        "hosts" => {
            let (own, is_linked) = (words.parsed("a host")?, words.parsed(FLAG)?);
            let others = words.all(|words| {
                let (id, as_of) = (words.parsed("a host")?, Time::from_nanos(words.parsed("a time in nanoseconds")?));
                Ok(ClusterHost::new(id, parse_report(words)?, as_of))
            })?;
            ShardMessage::Hosts { own, is_linked, others: others.into() }
        }
        _ => ShardMessage::ListQuarantine,
    })
}
