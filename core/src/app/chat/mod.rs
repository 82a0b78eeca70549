mod abroad;
mod directory;
mod hosts;
#[cfg(test)]
mod hosts_tests;
mod messages;
#[cfg(test)]
mod tests;

use super::since::since_of;
use super::unsent::Unsent;
use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::base::names::{NAME_MAX_CHARS, parse_name};
use crate::base::text::neutralize;
use crate::base::{ConnId, HostId, Reason};
use crate::config::JoinOptions;
use crate::handler::{Event, Handler, Hub, NoNote};
use crate::history::Position;
use crate::wire::telnet::Signal;
use abroad::News;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use hosts::{Hosts, LIST};
use messages::{Answer, Message, Request};

const LOBBY: &str = "lobby";
/// First part of the topic of messages between shards and hosts. The index of the application follows, so that
/// two chats of one server are apart.
const TOPIC: &str = "drupe::app::chat::";
const HELP: &str = "\
/nick NAME      change your name
/join ROOM      move to another room
/leave          return to the lobby
/who            list the names in this room
/rooms          list the rooms
/me ACTION      describe what you are doing
/msg NAME TEXT  send a private message
/quit [TEXT]    leave the chat";

/// Chat application with user names, rooms and private messages.
///
/// Everyone starts in the room `lobby` and is in one room at a time. An authenticated user starts
/// under the user name, if it is valid and free, and anyone else under a name like `guest7`. Names
/// and rooms have 1 to 24 letters of any script, combining marks, digits, `-`, `_` or `.`. A name
/// is refused if it looks like one in use, or differs from it only in case (UTS #39). Messages are
/// stripped of characters that could control a terminal ([`neutralize`]).
///
/// If its rooms [remember](crate::RoomMemory), a peer that comes back may give the last position that
/// it received, and gets the messages after it. For the lobby, the position is in the query of the
/// WebSocket's URL (`?since=POSITION`); for another room, it follows the name: `/join ROOM POSITION`.
/// If a room is [shared](crate::Home::Shared) and the broker does not take a line, its author gets a notice.
///
/// Lines that begin with `* ` come only from the server. Messages begin with the name of their
/// sender: `<ann> hello`, and `~ ann waves` for `/me waves`. A private message arrives as `[ann]
/// hello`.
///
/// On a server of several [shards](crate::Shard), the first one keeps all names and rooms, so that
/// the chat is the same as on one shard. What is granted there is published afterwards: a name that
/// someone was seen to give up is free. While a connection of another shard waits for an answer of the
/// first, its input is paused, so that its lines keep their order.
///
/// On a server of several [hosts](crate::Cluster), each host knows the names on the others, up to 100,000 of them. So names
/// are unique, and `/who`, `/rooms` and `/msg` cover all hosts. Two people who take a name on two hosts at the same moment,
/// or while the hosts cannot reach each other, both have it at first. Once the hosts have told each other, the one who had
/// the name later gets another name, and is told so.
///
/// A server has one chat for each of its [applications](crate::app::Apps).
#[derive(Debug, Default)]
pub struct Chat {
    /// Everyone in the chat. Only the first shard has it.
    hosts: Option<Hosts>,
    /// The last line of each connection that has ended and whose name is not free yet.
    leaving: BTreeMap<ConnId, Farewell>,
    unsent: Unsent,
}

#[derive(Debug)]
struct Farewell {
    room: String,
    line: String,
}

/// State of [`Chat`] for one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member(LazyBox<Person>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Person {
    /// The name. Empty until the directory has assigned one.
    name: String,
    room: String,
    /// The text that the user gave with `/quit`, if any.
    last_words: Option<String>,
    pending: Option<Pending>,
}

/// A request that waits for its answer, and what is needed to apply the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Pending {
    /// The position that the peer knows in the lobby, if any.
    Arrival {
        since: Option<Position>,
    },
    Rename {
        name: String,
    },
    Enter {
        room: String,
    },
    Who,
    Rooms,
    /// A private message. The name is as the sender typed it.
    Whisper {
        name: String,
        text: String,
    },
}

impl HasEmpty for Person {
    const EMPTY: &'static Self = &Self { name: String::new(), room: String::new(), last_words: None, pending: None };
}

type ChatHub<'a> = Hub<'a, Member>;

impl Handler for Chat {
    type Context = Member;
    type Note = NoNote;

    fn on(&mut self, hub: &mut ChatHub<'_>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, request, .. } => {
                let since = since_of(request);
                let user = hub.identity(conn).and_then(|identity| parse_name(&identity.user));
                self.request(hub, conn, Request::Arrive { user }, Pending::Arrival { since });
            }
            Event::Message { conn, payload } => {
                let text = String::from_utf8_lossy(payload.as_bytes());
                let text = neutralize(text.trim());
                match text.strip_prefix('/') {
                    _ if is_waiting(hub, conn) => refuse_early(hub, conn),
                    Some(command) => self.command(hub, conn, command),
                    None if text.is_empty() => {}
                    None => self.say(hub, conn, &text),
                }
            }
            // Ctrl-D, if the server edits lines.
            Event::Signal { conn, signal: Signal::EndOfFile } => {
                hub.close_with(conn, "* goodbye");
            }
            Event::ShardMessage { from, topic, content } if is_topic_of(hub, topic) => {
                self.shard_message(hub, from, content);
            }
            Event::HostMessage { from, topic, content } if is_topic_of(hub, topic) => {
                self.host_message(hub, from, content);
            }
            Event::Broker { is_up: true, .. } => self.linked(hub),
            Event::Timer(timer) if timer.name == LIST.name => {
                let topic = topic(hub);
                self.hosts.get_or_insert_default().tell_all(hub, &topic);
            }
            Event::RoomAnswered { request, answer } => self.unsent.answered(hub, request, answer),
            Event::Closed { conn, reason } => self.farewell(hub, conn, reason),
            _ => {}
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

/// Commands of a connection.
impl Chat {
    fn command(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, command: &str) {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match verb {
            "help" => {
                hub.send(conn, HELP);
            }
            "nick" => match parse_name(rest) {
                Some(name) => {
                    self.request(hub, conn, Request::Rename { name: name.clone() }, Pending::Rename { name });
                }
                None => tell_name_rule(hub, conn, "a name"),
            },
            "join" => {
                // A program that comes back appends its position.
                let (room, since) = match rest.split_once(' ').map(|(room, since)| (room, since.parse())) {
                    Some((room, Ok(since))) => (room, Some(since)),
                    _ => (rest, None),
                };
                match parse_name(room) {
                    Some(room) => self.enter(hub, conn, room, since),
                    None => tell_name_rule(hub, conn, "a room"),
                }
            }
            "leave" => self.enter(hub, conn, LOBBY.into(), None),
            "who" => self.request(hub, conn, Request::Who, Pending::Who),
            "rooms" => self.request(hub, conn, Request::Rooms, Pending::Rooms),
            "me" if rest.is_empty() => usage(hub, conn, "/me ACTION"),
            "me" => {
                let (name, room) = name_and_room(hub, conn);
                self.unsent.publish(hub, conn, &room, &[], &format!("~ {name} {rest}"));
            }
            "msg" => match rest.split_once(' ') {
                Some((name, text)) => self.whisper(hub, conn, name, text.trim()),
                None => usage(hub, conn, "/msg NAME TEXT"),
            },
            "quit" => {
                if let Some(member) = hub.context(conn) {
                    member.0.last_words = Some(rest.to_string()).filter(|words| !words.is_empty());
                }
                hub.close_with(conn, "* goodbye");
            }
            _ => {
                hub.send(conn, &format!("* unknown command /{verb}; type /help for the commands"));
            }
        }
    }

    fn say(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, text: &str) {
        let (name, room) = name_and_room(hub, conn);
        self.unsent.publish(hub, conn, &room, &[], &format!("<{name}> {text}"));
    }

    /// Joins a room and requests to be listed in it. On failure, notifies only the peer.
    fn enter(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, room: String, since: Option<Position>) {
        let (_, old) = name_and_room(hub, conn);
        if old == room {
            hub.send(conn, &format!("* you are already in {room}"));
            return;
        }
        if let Err(error) = hub.join_with(conn, &room, JoinOptions::new().since(since)) {
            hub.send(conn, &format!("* cannot join {room}: {error}"));
            return;
        }
        self.request(hub, conn, Request::Enter { room: room.clone() }, Pending::Enter { room });
    }

    fn whisper(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, name: &str, text: &str) {
        let Some(valid) = parse_name(name) else { return tell_nobody(hub, conn, name) };
        let pending = Pending::Whisper { name: name.into(), text: text.into() };
        self.request(hub, conn, Request::Find { name: valid }, pending);
    }

    fn farewell(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, reason: Reason) {
        let Some(Person { name, room, last_words, pending }) = hub.context(conn).map(|member| member.0.take()) else {
            return;
        };
        if !name.is_empty() {
            let words = match (last_words, reason) {
                (Some(words), _) => format!(": {words}"),
                (None, Reason::Application | Reason::PeerClosed) => String::new(),
                (None, reason) => format!(" ({reason})"),
            };
            self.leaving.insert(conn, Farewell { room, line: format!("* {name} left{words}") });
        } else if pending.is_none() {
            // It has never arrived.
            return;
        }
        self.ask(hub, conn, Request::Leave);
    }
}

/// Requests to the directory, and their answers.
impl Chat {
    /// Sends a request to the directory, and reads no further lines until it is answered.
    fn request(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, request: Request, pending: Pending) {
        let Some(member) = hub.context(conn) else { return };
        member.0.pending = Some(pending);
        if hub.shard().number() > 0 {
            hub.pause(conn);
        }
        self.ask(hub, conn, request);
    }

    /// Sends a request to the directory. On the first shard, the answer is applied at once.
    fn ask(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, request: Request) {
        if hub.shard().number() > 0 {
            send(hub, 0, &Message::Request { conn, request });
        } else {
            let answer = self.look_up(hub, conn, request);
            self.answered(hub, conn, answer);
        }
    }

    /// Answers a request from the directory. Only on the first shard.
    fn look_up(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, request: Request) -> Answer {
        let topic = topic(hub);
        self.hosts.get_or_insert_default().look_up(hub, &topic, conn, request)
    }

    /// The link to the broker works.
    fn linked(&mut self, hub: &mut ChatHub<'_>) {
        if hub.shard().number() > 0 {
            return send(hub, 0, &Message::Linked);
        }
        let topic = topic(hub);
        self.hosts.get_or_insert_default().linked(hub, &topic);
    }

    fn host_message(&mut self, hub: &mut ChatHub<'_>, from: HostId, content: &str) {
        let is_first = hub.shard().number() == 0;
        match News::parse(content) {
            // The connection may be of another application.
            Some(News::Whisper { host, to, from, text })
                if hub.host_id() == Some(host) && hub.context(to).is_some() =>
            {
                hub.send(to, &format!("[{from}] {text}"));
            }
            Some(News::Ask) if is_first => self.hosts.get_or_insert_default().asked(hub),
            Some(news) if is_first => {
                let topic = topic(hub);
                for (conn, name) in self.hosts.get_or_insert_default().heard(hub, &topic, from, news) {
                    if conn.shard() == 0 {
                        lose(hub, conn, &name);
                    } else {
                        send(hub, conn.shard(), &Message::Lost { conn, name });
                    }
                }
            }
            _ => {}
        }
    }

    fn shard_message(&mut self, hub: &mut ChatHub<'_>, from: u8, content: &str) {
        match Message::parse(content) {
            Some(Message::Request { conn, request }) if hub.shard().number() == 0 && conn.shard() == from => {
                let answer = self.look_up(hub, conn, request);
                send(hub, from, &Message::Answer { conn, answer });
            }
            Some(Message::Answer { conn, answer }) if from == 0 => self.answered(hub, conn, answer),
            // Unless the connection is of another application.
            Some(Message::Whisper { to, from, text }) if hub.context(to).is_some() => {
                hub.send(to, &format!("[{from}] {text}"));
            }
            Some(Message::Lost { conn, name }) if from == 0 => lose(hub, conn, &name),
            Some(Message::Linked) if hub.shard().number() == 0 => self.linked(hub),
            _ => {}
        }
    }

    /// Applies an answer of the directory, and reads again.
    fn answered(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, answer: Answer) {
        if answer == Answer::Left {
            if let Some(Farewell { room, line }) = self.leaving.remove(&conn) {
                hub.publish(&room, &line);
            }
            return;
        }
        // If the connection has ended, its end has reached the directory after this answer.
        let Some(pending) = hub.context(conn).and_then(|member| member.0.pending.take()) else { return };
        if hub.shard().number() > 0 {
            hub.resume(conn);
        }
        match (pending, answer) {
            (Pending::Arrival { since }, Answer::Named { name }) => {
                if let Some(member) = hub.context(conn) {
                    member.0.name.clone_from(&name);
                }
                hub.set_label(conn, &name);
                hub.send(conn, &format!("* welcome, {name}; type /help for the commands"));
                self.enter(hub, conn, LOBBY.into(), since);
            }
            (Pending::Rename { name }, Answer::Renamed) => rename(hub, conn, &name),
            (Pending::Rename { name }, Answer::Taken { by }) => {
                let words = if name.to_lowercase() == by.to_lowercase() {
                    format!("* {name} is taken")
                } else {
                    format!("* {name} looks like {by}, which is taken")
                };
                hub.send(conn, &words);
            }
            (Pending::Enter { room }, Answer::Entered) => move_to(hub, conn, &room),
            (Pending::Who, Answer::Names { names, others }) => {
                let (_, room) = name_and_room(hub, conn);
                hub.send(conn, &format!("* in {room}: {}{}", names.join(", "), and_others(others)));
            }
            (Pending::Rooms, Answer::Rooms { rooms, others }) => {
                let rooms = rooms.iter().map(|(room, count)| format!("{room} ({count})")).collect::<Vec<_>>();
                hub.send(conn, &format!("* rooms: {}{}", rooms.join(", "), and_others(others)));
            }
            (Pending::Whisper { text, .. }, Answer::Found { other, name }) => deliver(hub, conn, other, &name, &text),
            (Pending::Whisper { text, .. }, Answer::Abroad { host, other, name }) => {
                let (from, _) = name_and_room(hub, conn);
                if !hub.is_linked() {
                    hub.send(conn, &format!("* {name} cannot be reached: the broker cannot be reached"));
                    return;
                }
                hub.send(conn, &format!("[to {name}] {text}"));
                let topic = topic(hub);
                hosts::tell(hub, &topic, &News::Whisper { host, to: other, from, text });
            }
            (Pending::Whisper { name, .. }, Answer::Nobody) => tell_nobody(hub, conn, &name),
            _ => {}
        }
    }
}

fn is_waiting(hub: &mut ChatHub<'_>, conn: ConnId) -> bool {
    hub.context(conn).is_some_and(|member| member.0.pending.is_some())
}

/// Pauses the input of a waiting connection again, after another handler has resumed it.
fn refuse_early(hub: &mut ChatHub<'_>, conn: ConnId) {
    hub.pause(conn);
    hub.send(conn, "* your last line is not done yet; this one is ignored");
}

fn is_topic_of(hub: &ChatHub<'_>, topic: &str) -> bool {
    topic.strip_prefix(TOPIC).and_then(|app| app.parse::<u8>().ok()) == Some(hub.app)
}

fn topic(hub: &ChatHub<'_>) -> String {
    format!("{TOPIC}{}", hub.app)
}

fn send(hub: &mut ChatHub<'_>, shard: u8, message: &Message) {
    let topic = topic(hub);
    hub.send_to_shard(shard, &topic, &message.to_string());
}

/// Gives a connection its new name. A person on another host took the old one earlier.
fn lose(hub: &mut ChatHub<'_>, conn: ConnId, name: &str) {
    let Some(old) = hub.context(conn).map(|member| member.0.name.clone()) else { return };
    hub.send(conn, &format!("* {old} has been in use on another host for longer; you are {name} now"));
    rename(hub, conn, name);
}

fn rename(hub: &mut ChatHub<'_>, conn: ConnId, name: &str) {
    let Some(member) = hub.context(conn) else { return };
    let (old, room) = (core::mem::replace(&mut member.0.name, name.into()), member.0.room.clone());
    hub.set_label(conn, name);
    hub.publish(&room, &format!("* {old} is now {name}"));
}

/// Leaves the old room, and notifies both rooms.
fn move_to(hub: &mut ChatHub<'_>, conn: ConnId, room: &str) {
    let Some(member) = hub.context(conn) else { return };
    let (name, old) = (member.0.name.clone(), core::mem::replace(&mut member.0.room, room.into()));
    if hub.leave(conn, &old) {
        hub.publish(&old, &format!("* {name} went to {room}"));
    }
    hub.publish(room, &format!("* {name} came to {room}"));
}

/// Sends a private message to `other`, on whichever shard it is, and a copy to the sender.
fn deliver(hub: &mut ChatHub<'_>, conn: ConnId, other: ConnId, name: &str, text: &str) {
    let (from, _) = name_and_room(hub, conn);
    if other.shard() == hub.shard().number() {
        hub.send(other, &format!("[{from}] {text}"));
    } else {
        send(hub, other.shard(), &Message::Whisper { to: other, from, text: text.into() });
    }
    hub.send(conn, &format!("[to {name}] {text}"));
}

fn and_others(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => " and 1 other".into(),
        _ => format!(" and {others} others"),
    }
}

fn tell_nobody(hub: &mut ChatHub<'_>, conn: ConnId, name: &str) {
    hub.send(conn, &format!("* nobody is named {name}"));
}

fn tell_name_rule(hub: &mut ChatHub<'_>, conn: ConnId, what: &str) {
    hub.send(conn, &format!("* {what} has 1 to {NAME_MAX_CHARS} letters, digits, - _ or ."));
}

fn usage(hub: &mut ChatHub<'_>, conn: ConnId, usage: &str) {
    hub.send(conn, &format!("* usage: {usage}"));
}

fn name_and_room(hub: &mut ChatHub<'_>, conn: ConnId) -> (String, String) {
    hub.context(conn).map(|member| (member.0.name.clone(), member.0.room.clone())).unwrap_or_default()
}
