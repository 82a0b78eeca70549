//! What the shards of a chat send to each other, and its text form.
//!
//! A message consists of words with one space between them. Names and rooms contain no space, and the
//! text of a private message comes last.

use crate::base::names::parse_name;
use crate::base::{ConnId, HostId};
use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

/// Maximum number of names or rooms in an answer.
pub(super) const LISTED_MAX: usize = 200;

/// A message between two shards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// A request of a connection to the directory.
    Request { conn: ConnId, request: Request },
    /// The directory's answer to a request.
    Answer { conn: ConnId, answer: Answer },
    /// A private message to a connection of the receiving shard.
    Whisper { to: ConnId, from: String, text: String },
    /// The first shard gave a connection of the receiving shard a new name. A person on another host took the old one
    /// earlier.
    Lost { conn: ConnId, name: String },
    /// The link to the broker works. For the first shard, from the one with the link.
    Linked,
}

/// A request of a connection to the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Registers the connection, under the name of its user if that is free.
    ///
    /// Answered with [`Answer::Named`].
    Arrive { user: Option<String> },
    /// Changes the name. Answered with [`Answer::Renamed`] or [`Answer::Taken`].
    Rename { name: String },
    /// Changes the room. Answered with [`Answer::Entered`].
    Enter { room: String },
    /// Lists the names in the connection's room. Answered with [`Answer::Names`].
    Who,
    /// Lists the rooms. Answered with [`Answer::Rooms`].
    Rooms,
    /// Finds the connection of a name. The answer is [`Answer::Found`] or [`Answer::Nobody`].
    Find { name: String },
    /// Removes the connection, which has ended. Answered with [`Answer::Left`].
    Leave,
}

/// The directory's answer to a [`Request`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The connection is registered under this name.
    Named { name: String },
    /// The connection has the name that it requested.
    Renamed,
    /// Another connection has the name `by`, which is the requested name or looks like it.
    Taken { by: String },
    /// The connection is in the room that it requested.
    Entered,
    /// At most [`LISTED_MAX`] names, and the number of the others.
    Names { names: Vec<String>, others: usize },
    /// At most [`LISTED_MAX`] rooms with their numbers of members, and the number of the others.
    Rooms { rooms: Vec<(String, usize)>, others: usize },
    /// The connection with the requested name, and the name as its user writes it.
    Found { other: ConnId, name: String },
    /// The same, on another host.
    Abroad { host: HostId, other: ConnId, name: String },
    /// There is no such person.
    Nobody,
    /// The connection is removed, and its name is free.
    Left,
}

impl Message {
    /// Parses a message. Returns `None` if it is malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "linked" {
            return Some(Self::Linked);
        }
        let (kind, rest) = text.split_once(' ')?;
        let (conn, rest) = rest.split_once(' ')?;
        let conn = conn.parse().ok()?;
        Some(match kind {
            "request" => Self::Request { conn, request: Request::parse(rest)? },
            "answer" => Self::Answer { conn, answer: Answer::parse(rest)? },
            "whisper" => {
                let (from, text) = rest.split_once(' ')?;
                Self::Whisper { to: conn, from: valid(from)?, text: text.to_owned() }
            }
            "lost" => Self::Lost { conn, name: valid(rest)? },
            _ => return None,
        })
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { conn, request } => write!(f, "request {conn} {request}"),
            Self::Answer { conn, answer } => write!(f, "answer {conn} {answer}"),
            Self::Whisper { to, from, text } => write!(f, "whisper {to} {from} {text}"),
            Self::Lost { conn, name } => write!(f, "lost {conn} {name}"),
            Self::Linked => f.write_str("linked"),
        }
    }
}

impl Request {
    fn parse(text: &str) -> Option<Self> {
        let (verb, name) = verb(text);
        Some(match (verb, name) {
            ("arrive", None) => Self::Arrive { user: None },
            ("arrive", Some(user)) => Self::Arrive { user: Some(valid(user)?) },
            ("rename", Some(name)) => Self::Rename { name: valid(name)? },
            ("enter", Some(room)) => Self::Enter { room: valid(room)? },
            ("who", None) => Self::Who,
            ("rooms", None) => Self::Rooms,
            ("find", Some(name)) => Self::Find { name: valid(name)? },
            ("leave", None) => Self::Leave,
            _ => return None,
        })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Arrive { user: None } => f.write_str("arrive"),
            Self::Arrive { user: Some(user) } => write!(f, "arrive {user}"),
            Self::Rename { name } => write!(f, "rename {name}"),
            Self::Enter { room } => write!(f, "enter {room}"),
            Self::Who => f.write_str("who"),
            Self::Rooms => f.write_str("rooms"),
            Self::Find { name } => write!(f, "find {name}"),
            Self::Leave => f.write_str("leave"),
        }
    }
}

impl Answer {
    fn parse(text: &str) -> Option<Self> {
        Some(match verb(text) {
            ("named", Some(name)) => Self::Named { name: valid(name)? },
            ("renamed", None) => Self::Renamed,
            ("taken", Some(by)) => Self::Taken { by: valid(by)? },
            ("entered", None) => Self::Entered,
            ("names", Some(rest)) => {
                let (others, names) = verb(rest);
                Self::Names { names: listed(names, valid)?, others: number(others)? }
            }
            ("rooms", Some(rest)) => {
                let (others, rooms) = verb(rest);
                Self::Rooms { rooms: listed(rooms, room_and_count)?, others: number(others)? }
            }
            ("found", Some(rest)) => {
                let (other, name) = rest.split_once(' ')?;
                Self::Found { other: other.parse().ok()?, name: valid(name)? }
            }
            ("abroad", Some(rest)) => {
                let (host, rest) = rest.split_once(' ')?;
                let (other, name) = rest.split_once(' ')?;
                Self::Abroad { host: host.parse().ok()?, other: other.parse().ok()?, name: valid(name)? }
            }
            ("nobody", None) => Self::Nobody,
            ("left", None) => Self::Left,
            _ => return None,
        })
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named { name } => write!(f, "named {name}"),
            Self::Renamed => f.write_str("renamed"),
            Self::Taken { by } => write!(f, "taken {by}"),
            Self::Entered => f.write_str("entered"),
            Self::Names { names, others } => {
                write!(f, "names {others}")?;
                names.iter().try_for_each(|name| write!(f, " {name}"))
            }
            Self::Rooms { rooms, others } => {
                write!(f, "rooms {others}")?;
                // No name contains a comma.
                rooms.iter().try_for_each(|(room, count)| write!(f, " {room},{count}"))
            }
            Self::Found { other, name } => write!(f, "found {other} {name}"),
            Self::Abroad { host, other, name } => write!(f, "abroad {host} {other} {name}"),
            Self::Nobody => f.write_str("nobody"),
            Self::Left => f.write_str("left"),
        }
    }
}

/// Splits off the first word. The rest is `None` if there is no space.
fn verb(text: &str) -> (&str, Option<&str>) {
    text.split_once(' ').map_or((text, None), |(verb, rest)| (verb, Some(rest)))
}

/// Parses at most [`LISTED_MAX`] words. Returns `None` if there are more, or one is malformed.
fn listed<T>(words: Option<&str>, parse: impl Fn(&str) -> Option<T>) -> Option<Vec<T>> {
    let words = words.into_iter().flat_map(|words| words.split(' '));
    let list: Vec<T> = words.take(LISTED_MAX + 1).map(parse).collect::<Option<_>>()?;
    (list.len() <= LISTED_MAX).then_some(list)
}

fn room_and_count(word: &str) -> Option<(String, usize)> {
    let (room, count) = word.split_once(',')?;
    Some((valid(room)?, number(count)?))
}

fn number(word: &str) -> Option<usize> {
    word.parse().ok()
}

/// Returns a name in the form in which it was stored, or `None` if it is not in that form.
pub(super) fn valid(name: &str) -> Option<String> {
    parse_name(name).filter(|parsed| parsed == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> impl Strategy<Value = String> {
        let any_script = "[\\PC]{1,24}".prop_filter_map("a name", |text| parse_name(&text));
        prop_oneof![3 => "[a-zA-Z0-9._-]{1,24}", 1 => any_script]
    }

    fn conn() -> impl Strategy<Value = ConnId> {
        (any::<u8>(), 0..1_000u32, any::<u32>()).prop_map(|(shard, index, generation)| {
            format!("{shard}:{index}.{generation}").parse().expect("a connection")
        })
    }

    fn request() -> impl Strategy<Value = Request> {
        prop_oneof![
            prop::option::of(name()).prop_map(|user| Request::Arrive { user }),
            name().prop_map(|name| Request::Rename { name }),
            name().prop_map(|room| Request::Enter { room }),
            Just(Request::Who),
            Just(Request::Rooms),
            name().prop_map(|name| Request::Find { name }),
            Just(Request::Leave),
        ]
    }

    fn answer() -> impl Strategy<Value = Answer> {
        prop_oneof![
            name().prop_map(|name| Answer::Named { name }),
            Just(Answer::Renamed),
            name().prop_map(|by| Answer::Taken { by }),
            Just(Answer::Entered),
            (prop::collection::vec(name(), 0..5), any::<usize>())
                .prop_map(|(names, others)| Answer::Names { names, others }),
            (prop::collection::vec((name(), any::<usize>()), 0..5), any::<usize>())
                .prop_map(|(rooms, others)| Answer::Rooms { rooms, others }),
            (conn(), name()).prop_map(|(other, name)| Answer::Found { other, name }),
            (any::<u64>(), conn(), name()).prop_map(|(host, other, name)| Answer::Abroad {
                host: HostId::new(host),
                other,
                name
            }),
            Just(Answer::Nobody),
            Just(Answer::Left),
        ]
    }

    fn message() -> impl Strategy<Value = Message> {
        prop_oneof![
            (conn(), request()).prop_map(|(conn, request)| Message::Request { conn, request }),
            (conn(), answer()).prop_map(|(conn, answer)| Message::Answer { conn, answer }),
            (conn(), name(), any::<String>()).prop_map(|(to, from, text)| Message::Whisper { to, from, text }),
            (conn(), name()).prop_map(|(conn, name)| Message::Lost { conn, name }),
            Just(Message::Linked),
        ]
    }

    proptest! {
        #[test]
        fn message_is_parsed_as_it_was_formatted(message in message()) {
            prop_assert_eq!(Message::parse(&message.to_string()), Some(message));
        }

        /// One change of a good message is refused, or it is another good message.
        #[test]
        fn changed_message_is_refused_or_has_one_meaning(
            message in message(),
            at: prop::sample::Index,
            put in prop_oneof![Just(String::new()), Just(" ".to_owned()), Just(",".to_owned()), any::<char>().prop_map(String::from)],
        ) {
            let mut chars: Vec<String> = message.to_string().chars().map(String::from).collect();
            *at.get_mut(&mut chars) = put;
            if let Some(parsed) = Message::parse(&chars.concat()) {
                prop_assert_eq!(Message::parse(&parsed.to_string()), Some(parsed));
            }
        }
    }

    #[test]
    fn malformed_messages_are_refused() {
        for text in [
            "",
            "request",
            "request 1.1",
            "request x who",
            "request 1.1 who me",
            "request 1.1 rename",
            "request 1.1 rename ",
            "request 1.1 rename a b",
            "request 1.1 rename an\u{200b}n",
            "request 1.1 dance",
            "answer 1.1 names",
            "answer 1.1 names -1 ann",
            "answer 1.1 names 0 ",
            "answer 1.1 names 0 ann  bob",
            "answer 1.1 rooms 0 den",
            "answer 1.1 rooms 0 den,",
            "answer 1.1 found ann",
            "answer 1.1 left ",
            "whisper 1.1 ann",
            "linked 1.1",
            "lost 1.1",
            "lost 1.1 a b",
            "answer 1.1 abroad 0 1.1 ann",
            "answer 1.1 abroad 0123456789abcdef ann",
            "shout 1.1 ann hi",
        ] {
            assert_eq!(Message::parse(text), None, "{text:?}");
        }
        let names = |count: usize| format!("answer 1.1 names 0{}", " ann".repeat(count));
        assert!(Message::parse(&names(LISTED_MAX)).is_some() && Message::parse(&names(LISTED_MAX + 1)).is_none());
    }
}
