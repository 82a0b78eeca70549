//! Text form of messages between the home of a room and the other shards.

use super::words::{Message, Quoted, Words};
use crate::base::OutgoingBuf;
use crate::facts::{
    HistoryPage, HistoryRange, PresencePage, PresentName, PublishRefusal, Published, RoomAnswer, RoomMessage,
};
use crate::history::{Gap, Position, PositionError, PublishError};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::str::FromStr;

pub(super) fn write_room_message(out: &mut String, message: &RoomMessage) -> fmt::Result {
    match message {
        RoomMessage::Submit { room: name, from, request, key, except, message } => {
            write!(out, "submit {} {from} {} ", Quoted(name.as_bytes()), OrNone(*request))?;
            write!(out, "{} {}", QuotedOrNone(key.as_deref()), Message(message))?;
            except.iter().try_for_each(|conn| write!(out, " {conn}"))
        }
        RoomMessage::Kept { room: name, position, before, except, message } => {
            write!(out, "kept {} {position} {before} {}", Quoted(name.as_bytes()), Message(message))?;
            except.iter().try_for_each(|conn| write!(out, " {conn}"))
        }
        RoomMessage::Answer { request, answer } => {
            write!(out, "answer {request} ")?;
            write_answer(out, answer)
        }
        RoomMessage::Ask { room: name, from, number, since, bytes_max } => {
            write!(out, "ask {} {from} {number} {} {bytes_max}", Quoted(name.as_bytes()), OrNone(*since))
        }
        RoomMessage::Told { room: name, number, position, missed } => {
            write!(out, "told {} {number} {position} ", Quoted(name.as_bytes()))?;
            match missed {
                Ok(messages) => {
                    out.write_str("missed")?;
                    write_messages(out, messages)
                }
                Err(gap) => out.write_str(gap.name()),
            }
        }
        RoomMessage::Emptied { room: name, from } => write!(out, "emptied {} {from}", Quoted(name.as_bytes())),
        RoomMessage::Read { room: name, from, request, range, max } => {
            write!(out, "read {} {from} {request} {max} ", Quoted(name.as_bytes()))?;
            match range {
                HistoryRange::Oldest => out.write_str("oldest"),
                HistoryRange::Latest => out.write_str("latest"),
                HistoryRange::After(position) => write!(out, "{position}"),
            }
        }
        RoomMessage::Entered { room: name, from, name: who, info } => {
            let (name, who) = (Quoted(name.as_bytes()), Quoted(who.as_bytes()));
            write!(out, "entered {name} {from} {who} {}", QuotedOrNone(info.as_deref()))
        }
        RoomMessage::Exited { room: name, from, name: who } => {
            write!(out, "exited {} {from} {}", Quoted(name.as_bytes()), Quoted(who.as_bytes()))
        }
        RoomMessage::PresenceChanged { room: name, name: who, is_present, info } => {
            let (name, who) = (Quoted(name.as_bytes()), Quoted(who.as_bytes()));
            write!(out, "presence {name} {who} {is_present} {}", QuotedOrNone(info.as_deref()))
        }
        RoomMessage::Who { room: name, from, request, after, max } => {
            let after = QuotedOrNone(after.as_deref());
            write!(out, "who {} {from} {request} {max} {after}", Quoted(name.as_bytes()))
        }
        RoomMessage::Moved { room: name, position, why } => {
            write!(out, "moved {} {position} {}", Quoted(name.as_bytes()), why.name())
        }
        RoomMessage::Passed { room: name, position } => write!(out, "passed {} {position}", Quoted(name.as_bytes())),
        RoomMessage::Remove { room: name } => write!(out, "remove {}", Quoted(name.as_bytes())),
    }
}

fn write_answer(out: &mut String, answer: &RoomAnswer) -> fmt::Result {
    match answer {
        RoomAnswer::Published(Published::Kept { position, is_repeated }) => {
            write!(out, "kept {position} {is_repeated}")
        }
        RoomAnswer::Published(Published::Refused(refusal)) => match refusal {
            PublishRefusal::Message(PublishError::TooLong { bytes, max }) => write!(out, "too_long {bytes} {max}"),
            PublishRefusal::Message(PublishError::KeyTooLong { bytes }) => write!(out, "key_too_long {bytes}"),
            PublishRefusal::Message(PublishError::TooManyKeys) => out.write_str("too_many_keys"),
            PublishRefusal::NoHome => out.write_str("no_home"),
            PublishRefusal::Name { bytes, max } => write!(out, "name {bytes} {max}"),
            PublishRefusal::TooManyRequests => out.write_str("too_many_requests"),
            PublishRefusal::NoBroker => out.write_str("no_broker"),
            PublishRefusal::BrokerBehind => out.write_str("broker_behind"),
            PublishRefusal::Broker => out.write_str("broker"),
        },
        RoomAnswer::History(Ok(page)) => {
            write!(out, "page {} {}", page.top, page.has_more)?;
            write_messages(out, &page.messages)
        }
        RoomAnswer::History(Err(gap)) => write!(out, "gap {}", gap.name()),
        RoomAnswer::Present(None) => out.write_str("no_presence"),
        RoomAnswer::Present(Some(page)) => {
            write!(out, "present {} {}", page.count, page.has_more)?;
            let mut names = page.names.iter();
            names.try_for_each(|PresentName { name, info }| {
                write!(out, " {} {}", Quoted(name.as_bytes()), QuotedOrNone(info.as_deref()))
            })
        }
        RoomAnswer::Unknown => out.write_str("unknown"),
    }
}

fn write_messages(out: &mut String, messages: &[(Position, OutgoingBuf)]) -> fmt::Result {
    messages.iter().try_for_each(|(position, message)| write!(out, " {position} {}", Message(message)))
}

/// The position after which a member or a reader wants messages. It may have [`Position::ANY_MARK`].
struct Wanted(Position);

impl FromStr for Wanted {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        Position::with_any_mark(text).map(Self)
    }
}

/// Parses the rest of a line after the word `room`.
pub(super) fn parse_room_message(words: &mut Words<'_>) -> Result<RoomMessage, &'static str> {
    const SHARD: &str = "a shard's number";
    const REQUEST: &str = "the number of a request";
    const POSITION: &str = "a position";
    Ok(match words.word() {
        "submit" => {
            let (room, from, request) = (words.text()?.into(), words.parsed(SHARD)?, or_none(words, REQUEST)?);
            let key = words.text_or_none()?.map(Into::into);
            let message = words.outgoing()?;
            RoomMessage::Submit { room, from, request, key, except: words.all(Words::conn)?.into(), message }
        }
        "kept" => {
            let (room, position) = (words.text()?.into(), words.parsed(POSITION)?);
            let (before, message) = (words.parsed(POSITION)?, words.outgoing()?);
            RoomMessage::Kept { room, position, before, except: words.all(Words::conn)?.into(), message }
        }
        "answer" => RoomMessage::Answer { request: words.parsed(REQUEST)?, answer: parse_answer(words)? },
        "ask" => RoomMessage::Ask {
            room: words.text()?.into(),
            from: words.parsed(SHARD)?,
            number: words.parsed("the number of a question")?,
            since: or_none::<Wanted>(words, POSITION)?.map(|wanted| wanted.0),
            bytes_max: words.parsed("a number of bytes")?,
        },
        "told" => {
            let (room, number) = (words.text()?.into(), words.parsed("the number of a question")?);
            let position = words.parsed(POSITION)?;
            let missed = match words.word() {
                "missed" => Ok(parse_messages(words)?),
                name => Err(gap(name)?),
            };
            RoomMessage::Told { room, number, position, missed }
        }
        "emptied" => RoomMessage::Emptied { room: words.text()?.into(), from: words.parsed(SHARD)? },
        "read" => {
            let (room, from) = (words.text()?.into(), words.parsed(SHARD)?);
            let (request, max) = (words.parsed(REQUEST)?, words.parsed("a number of messages")?);
            let range = match words.word() {
                "oldest" => HistoryRange::Oldest,
                "latest" => HistoryRange::Latest,
                position => HistoryRange::After(position.parse::<Wanted>().map_err(|_| POSITION)?.0),
            };
            RoomMessage::Read { room, from, request, range, max }
        }
        "entered" => RoomMessage::Entered {
            room: words.text()?.into(),
            from: words.parsed(SHARD)?,
            name: words.text()?.into(),
            info: words.text_or_none()?.map(Into::into),
        },
        "exited" => {
            RoomMessage::Exited { room: words.text()?.into(), from: words.parsed(SHARD)?, name: words.text()?.into() }
        }
        "presence" => RoomMessage::PresenceChanged {
            room: words.text()?.into(),
            name: words.text()?.into(),
            is_present: words.parsed("true or false")?,
            info: words.text_or_none()?.map(Into::into),
        },
        "who" => RoomMessage::Who {
            room: words.text()?.into(),
            from: words.parsed(SHARD)?,
            request: words.parsed(REQUEST)?,
            max: words.parsed("a number of names")?,
            after: words.text_or_none()?.map(Into::into),
        },
        "moved" => RoomMessage::Moved {
            room: words.text()?.into(),
            position: words.parsed(POSITION)?,
            why: gap(words.word())?,
        },
        "passed" => RoomMessage::Passed { room: words.text()?.into(), position: words.parsed(POSITION)? },
        "remove" => RoomMessage::Remove { room: words.text()?.into() },
        _ => return Err("the name of a message about a room"),
    })
}

fn parse_answer(words: &mut Words<'_>) -> Result<RoomAnswer, &'static str> {
    const BYTES: &str = "a number of bytes";
    let refused = |refusal| RoomAnswer::Published(Published::Refused(refusal));
    Ok(match words.word() {
        "kept" => RoomAnswer::Published(Published::kept(words.parsed("a position")?, words.parsed("true or false")?)),
        "too_long" => refused(PublishError::TooLong { bytes: words.parsed(BYTES)?, max: words.parsed(BYTES)? }.into()),
        "key_too_long" => refused(PublishError::KeyTooLong { bytes: words.parsed(BYTES)? }.into()),
        "too_many_keys" => refused(PublishError::TooManyKeys.into()),
        "no_home" => refused(PublishRefusal::NoHome),
        "name" => refused(PublishRefusal::Name { bytes: words.parsed(BYTES)?, max: words.parsed(BYTES)? }),
        "too_many_requests" => refused(PublishRefusal::TooManyRequests),
        "no_broker" => refused(PublishRefusal::NoBroker),
        "broker_behind" => refused(PublishRefusal::BrokerBehind),
        "broker" => refused(PublishRefusal::Broker),
        "page" => {
            let (top, has_more) = (words.parsed("a position")?, words.parsed("true or false")?);
            RoomAnswer::History(Ok(HistoryPage::new(parse_messages(words)?, top, has_more)))
        }
        "gap" => RoomAnswer::History(Err(gap(words.word())?)),
        "no_presence" => RoomAnswer::Present(None),
        "present" => {
            let (count, has_more) = (words.parsed("a number of names")?, words.parsed("true or false")?);
            let names =
                words.all(|words| Ok(PresentName::new(words.text()?.into(), words.text_or_none()?.map(Into::into))))?;
            RoomAnswer::Present(Some(PresencePage::new(names.into(), count, has_more)))
        }
        "unknown" => RoomAnswer::Unknown,
        _ => return Err("the name of an answer"),
    })
}

fn parse_messages(words: &mut Words<'_>) -> Result<alloc::sync::Arc<[(Position, OutgoingBuf)]>, &'static str> {
    let messages: Vec<_> = words.all(|words| Ok((words.parsed("a position")?, words.outgoing()?)))?;
    Ok(messages.into())
}

fn gap(name: &str) -> Result<Gap, &'static str> {
    Gap::ALL.into_iter().find(|gap| gap.name() == name).ok_or("the name of a gap")
}

/// Parses a value, or `-` for none.
fn or_none<T: FromStr>(words: &mut Words<'_>, expected: &'static str) -> Result<Option<T>, &'static str> {
    match words.word() {
        "-" => Ok(None),
        word => word.parse().map(Some).map_err(|_| expected),
    }
}

/// A quoted text, or `-` for none.
struct QuotedOrNone<'a>(Option<&'a str>);

impl fmt::Display for QuotedOrNone<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => Quoted(text.as_bytes()).fmt(f),
            None => f.write_str("-"),
        }
    }
}

/// A value, or `-` for none.
struct OrNone<T>(Option<T>);

impl<T: fmt::Display> fmt::Display for OrNone<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("-"),
        }
    }
}
