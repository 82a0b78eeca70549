//! Messages between shards as text.

use super::format::{Content, Quoted, Words};
use crate::base::{ListenerId, OutgoingBuf, Reason};
use crate::facts::Letter;
use alloc::string::String;
use core::fmt::{self, Write};

pub(super) fn write_letter(out: &mut String, letter: &Letter) -> fmt::Result {
    match letter {
        Letter::Publish { room, except, message } => {
            write!(out, "letter {} ", Quoted(room.as_bytes()))?;
            match message {
                OutgoingBuf::Same(payload) => write!(out, "{}", Content(payload))?,
                OutgoingBuf::Negotiated { json, text } => {
                    write!(out, "negotiated {} {}", Quoted(json.as_bytes()), Quoted(text.as_bytes()))?;
                }
            }
            except.iter().try_for_each(|conn| write!(out, " {conn}"))?;
        }
        Letter::Left { listener: Some(listener), peer, shard } => write!(out, "left {shard} {} {peer}", listener.0)?,
        Letter::Left { listener: None, peer, shard } => write!(out, "left {shard} dialed {peer}")?,
        Letter::Dialed { peer } => write!(out, "dialed_there {peer}")?,
        Letter::Quarantine { peer } => write!(out, "quarantine {peer}")?,
        Letter::Known => write!(out, "known")?,
        Letter::Arrived { conn, listener, peer } => write!(out, "arrived {conn} {} {peer}", listener.0)?,
        Letter::Gone { peer } => write!(out, "gone {peer}")?,
        Letter::Admission { conn, peer, refused } => {
            let outcome = refused.map_or("admitted", Reason::name);
            write!(out, "admission {conn} {peer} {outcome}")?;
        }
        Letter::Handler { from, topic, content } => {
            write!(out, "shard_message {from} {} {}", Quoted(topic.as_bytes()), Quoted(content.as_bytes()))?;
        }
        Letter::RoomOpened { room } => write!(out, "room_opened {}", Quoted(room.as_bytes()))?,
        Letter::RoomClosed { room } => write!(out, "room_closed {}", Quoted(room.as_bytes()))?,
        Letter::Counted { shard, numbers } => {
            write!(out, "counted {shard}")?;
            numbers.iter().try_for_each(|number| write!(out, " {number}"))?;
        }
    }
    out.write_char('\n')
}

/// Parses the message with this name.
pub(super) fn parse_letter(name: &str, words: &mut Words<'_>) -> Result<Letter, &'static str> {
    Ok(match name {
        "letter" => {
            let (room, message) = (words.text()?.into(), words.outgoing()?);
            let except = words.all(Words::conn)?.into();
            Letter::Publish { room, except, message }
        }
        "left" => {
            let shard = words.parsed("a shard's number")?;
            let listener = match words.word() {
                "dialed" => None,
                number => Some(ListenerId(number.parse().map_err(|_| "a listener's number or dialed")?)),
            };
            Letter::Left { listener, peer: words.parsed("a peer's address")?, shard }
        }
        "dialed_there" => Letter::Dialed { peer: words.parsed("a peer's address")? },
        "known" => Letter::Known,
        "arrived" => {
            let (conn, listener) = (words.conn()?, words.listener()?);
            Letter::Arrived { conn, listener, peer: words.parsed("a peer's address")? }
        }
        "gone" => Letter::Gone { peer: words.parsed("a peer's address")? },
        "admission" => {
            let (conn, peer) = (words.conn()?, words.parsed("a peer's address")?);
            let refused = match words.word() {
                "admitted" => None,
                name => Some(Reason::named(name).ok_or("admitted or the name of a reason")?),
            };
            Letter::Admission { conn, peer, refused }
        }
        "quarantine" => Letter::Quarantine { peer: words.parsed("a peer's address")? },
        "room_opened" => Letter::RoomOpened { room: words.text()?.into() },
        "room_closed" => Letter::RoomClosed { room: words.text()?.into() },
        "counted" => {
            let shard = words.parsed("a shard's number")?;
            let numbers = words.all(|words| words.parsed("a count"))?.into();
            Letter::Counted { shard, numbers }
        }
        "shard_message" => {
            let from = words.parsed("a shard's number")?;
            let (topic, content) = (words.text()?.into(), words.text()?.into());
            Letter::Handler { from, topic, content }
        }
        _ => return Err("the name of a fact"),
    })
}
