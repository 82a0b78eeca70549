use super::since::since_of;
use crate::base::lazy_box::{HasEmpty, LazyBox};
use crate::base::names::{NAME_MAX_CHARS, confusable_key, parse_name};
use crate::base::text::neutralize;
use crate::base::{ConnId, Reason};
use crate::config::JoinOptions;
use crate::handler::{Event, Handler, Hub, NoNote};
use crate::history::Position;
use crate::wire::telnet::Signal;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

const LOBBY: &str = "lobby";
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
/// If its rooms [remember](crate::RoomMemory), a peer that comes back gives the last position that it
/// knows, and gets what was said meanwhile: for the lobby in the query of its WebSocket
/// (`?since=POSITION`), for another room in `/join ROOM POSITION`.
///
/// Lines that begin with `* ` come only from the server. Messages begin with the name of their
/// sender: `<ann> hello`, and `~ ann waves` for `/me waves`. A private message arrives as `[ann]
/// hello`.
#[derive(Debug, Default)]
pub struct Chat {
    /// Map from the [key](confusable_key) of each name in use to the connection of its user.
    names: BTreeMap<String, ConnId>,
    guests: u32,
}

/// State of [`Chat`] for one connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member(LazyBox<Person>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Person {
    name: String,
    room: String,
    /// The text that the user gave with `/quit`, if any.
    last_words: Option<String>,
}

impl HasEmpty for Person {
    const EMPTY: &'static Self = &Self { name: String::new(), room: String::new(), last_words: None };
}

type ChatHub<'a> = Hub<'a, Member>;

impl Handler for Chat {
    type Context = Member;
    type Note = NoNote;

    fn on(&mut self, hub: &mut ChatHub<'_>, event: Event<'_, NoNote>) {
        match event {
            Event::Opened { conn, request, .. } => self.welcome(hub, conn, since_of(request)),
            Event::Message { conn, payload } => {
                let text = String::from_utf8_lossy(payload.as_bytes());
                let text = neutralize(text.trim());
                match text.strip_prefix('/') {
                    Some(command) => self.command(hub, conn, command),
                    None if text.is_empty() => {}
                    None => say(hub, conn, &text),
                }
            }
            // Ctrl-D, if the server edits lines.
            Event::Signal { conn, signal: Signal::EndOfFile } => {
                hub.close_with(conn, "* goodbye");
            }
            Event::Closed { conn, reason } => self.farewell(hub, conn, reason),
            _ => {}
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

impl Chat {
    fn welcome(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, since: Option<Position>) {
        let user = hub.identity(conn).map(|identity| String::from(&*identity.user));
        let known =
            user.and_then(|user| parse_name(&user)).filter(|name| !self.names.contains_key(&confusable_key(name)));
        let name = known.unwrap_or_else(|| self.guest());
        self.names.insert(confusable_key(&name), conn);
        if let Some(member) = hub.context(conn) {
            member.0.name.clone_from(&name);
        }
        hub.set_label(conn, &name);
        hub.send(conn, &format!("* welcome, {name}; type /help for the commands"));
        enter(hub, conn, LOBBY, since);
    }

    fn guest(&mut self) -> String {
        loop {
            self.guests = self.guests.wrapping_add(1);
            let name = format!("guest{}", self.guests);
            if !self.names.contains_key(&confusable_key(&name)) {
                return name;
            }
        }
    }

    fn farewell(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, reason: Reason) {
        let Some(Person { name, room, last_words }) = hub.context(conn).map(|member| member.0.take()) else { return };
        self.names.remove(&confusable_key(&name));
        let words = match (last_words, reason) {
            (Some(words), _) => format!(": {words}"),
            (None, Reason::Application | Reason::PeerClosed) => String::new(),
            (None, reason) => format!(" ({reason})"),
        };
        hub.publish(&room, &format!("* {name} left{words}"));
    }

    fn command(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, command: &str) {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let rest = rest.trim();
        match verb {
            "help" => {
                hub.send(conn, HELP);
            }
            "nick" => self.rename(hub, conn, rest),
            "join" => {
                // A program that comes back appends its position.
                let (room, since) = match rest.split_once(' ').map(|(room, since)| (room, since.parse())) {
                    Some((room, Ok(since))) => (room, Some(since)),
                    _ => (rest, None),
                };
                match parse_name(room) {
                    Some(room) => enter(hub, conn, &room, since),
                    None => tell_name_rule(hub, conn, "a room"),
                }
            }
            "leave" => enter(hub, conn, LOBBY, None),
            "who" => {
                let room = room_of(hub, conn);
                let mut names: Vec<_> = hub.members(&room).collect();
                names.sort_unstable();
                let names: Vec<_> = names.into_iter().map(|member| name_of(hub, member)).collect();
                hub.send(conn, &format!("* in {room}: {}", names.join(", ")));
            }
            "rooms" => {
                let rooms: Vec<_> = hub.rooms().map(|(room, count)| format!("{room} ({count})")).collect();
                hub.send(conn, &format!("* rooms: {}", rooms.join(", ")));
            }
            "me" if rest.is_empty() => usage(hub, conn, "/me ACTION"),
            "me" => {
                let line = format!("~ {} {rest}", name_of(hub, conn));
                let room = room_of(hub, conn);
                hub.publish(&room, &line);
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

    fn rename(&mut self, hub: &mut ChatHub<'_>, conn: ConnId, wanted: &str) {
        let Some(name) = parse_name(wanted) else { return tell_name_rule(hub, conn, "a name") };
        let key = confusable_key(&name);
        if let Some(&owner) = self.names.get(&key).filter(|&&owner| owner != conn) {
            let taken = name_of(hub, owner);
            let words = if name.to_lowercase() == taken.to_lowercase() {
                format!("* {name} is taken")
            } else {
                format!("* {name} looks like {taken}, which is taken")
            };
            hub.send(conn, &words);
            return;
        }
        let Some(member) = hub.context(conn) else { return };
        let (old, room) = (core::mem::replace(&mut member.0.name, name.clone()), member.0.room.clone());
        self.names.remove(&confusable_key(&old));
        self.names.insert(key, conn);
        hub.set_label(conn, &name);
        hub.publish(&room, &format!("* {old} is now {name}"));
    }

    fn whisper(&self, hub: &mut ChatHub<'_>, conn: ConnId, name: &str, text: &str) {
        let Some(&other) = parse_name(name).and_then(|name| self.names.get(&confusable_key(&name))) else {
            hub.send(conn, &format!("* nobody is named {name}"));
            return;
        };
        let from = name_of(hub, conn);
        let to = name_of(hub, other);
        hub.send(other, &format!("[{from}] {text}"));
        hub.send(conn, &format!("[to {to}] {text}"));
    }
}

fn say(hub: &mut ChatHub<'_>, conn: ConnId, text: &str) {
    let Some(member) = hub.context(conn) else { return };
    let (line, room) = (format!("<{}> {text}", member.0.name), member.0.room.clone());
    hub.publish(&room, &line);
}

/// Moves a connection to a room and notifies both rooms. On failure, notifies only the peer.
fn enter(hub: &mut ChatHub<'_>, conn: ConnId, room: &str, since: Option<Position>) {
    let Some(member) = hub.context(conn) else { return };
    let (name, old) = (member.0.name.clone(), member.0.room.clone());
    if old == room {
        hub.send(conn, &format!("* you are already in {room}"));
        return;
    }
    if let Err(error) = hub.join_with(conn, room, JoinOptions::new().since(since)) {
        hub.send(conn, &format!("* cannot join {room}: {error}"));
        return;
    }
    if let Some(member) = hub.context(conn) {
        member.0.room = room.to_string();
    }
    if hub.leave(conn, &old) {
        hub.publish(&old, &format!("* {name} went to {room}"));
    }
    hub.publish(room, &format!("* {name} came to {room}"));
}

fn tell_name_rule(hub: &mut ChatHub<'_>, conn: ConnId, what: &str) {
    hub.send(conn, &format!("* {what} has 1 to {NAME_MAX_CHARS} letters, digits, - _ or ."));
}

fn usage(hub: &mut ChatHub<'_>, conn: ConnId, usage: &str) {
    hub.send(conn, &format!("* usage: {usage}"));
}

fn name_of(hub: &mut ChatHub<'_>, conn: ConnId) -> String {
    hub.context(conn).map(|member| member.0.name.clone()).unwrap_or_default()
}

fn room_of(hub: &mut ChatHub<'_>, conn: ConnId) -> String {
    hub.context(conn).map(|member| member.0.room.clone()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::TestHub;

    fn chat<const N: usize>(names: [&str; N]) -> (TestHub<Chat>, [ConnId; N]) {
        let mut hub = TestHub::new(Chat::default());
        let people = names.map(|name| {
            let conn = hub.connect();
            hub.line(conn, &format!("/nick {name}"));
            conn
        });
        hub.clear();
        (hub, people)
    }

    #[test]
    fn chat_welcomes_and_announces_a_new_peer() {
        let (mut hub, [ann]) = chat(["ann"]);
        let bob = hub.connect();
        assert_eq!(hub.lines(bob), ["* welcome, guest2; type /help for the commands", "* guest2 came to lobby"]);
        assert_eq!(hub.lines(ann), ["* guest2 came to lobby"]);
    }

    #[test]
    fn chat_answers_each_command() {
        for (command, to_ann, to_bob) in [
            ("hi", vec!["<ann> hi"], vec!["<ann> hi"]),
            ("   ", vec![], vec![]),
            ("/nick eve", vec!["* ann is now eve"], vec!["* ann is now eve"]),
            ("/nick Bob", vec!["* Bob is taken"], vec![]),
            ("/nick a b", vec!["* a name has 1 to 24 letters, digits, - _ or ."], vec![]),
            ("/join den", vec!["* ann came to den"], vec!["* ann went to den"]),
            ("/join", vec!["* a room has 1 to 24 letters, digits, - _ or ."], vec![]),
            ("/leave", vec!["* you are already in lobby"], vec![]),
            ("/who", vec!["* in lobby: ann, bob"], vec![]),
            ("/rooms", vec!["* rooms: lobby (2)"], vec![]),
            ("/me waves", vec!["~ ann waves"], vec!["~ ann waves"]),
            ("/me is now root", vec!["~ ann is now root"], vec!["~ ann is now root"]),
            ("/nick b\u{43e}b", vec!["* b\u{43e}b looks like bob, which is taken"], vec![]),
            ("/nick Zoe\u{308}", vec!["* ann is now Zo\u{eb}"], vec!["* ann is now Zo\u{eb}"]),
            ("/msg b\u{43e}b hi", vec!["[to bob] hi"], vec!["[ann] hi"]),
            ("/me", vec!["* usage: /me ACTION"], vec![]),
            ("/msg BOB psst", vec!["[to bob] psst"], vec!["[ann] psst"]),
            ("/msg bob", vec!["* usage: /msg NAME TEXT"], vec![]),
            ("/msg cid hi", vec!["* nobody is named cid"], vec![]),
            ("/dance", vec!["* unknown command /dance; type /help for the commands"], vec![]),
            ("/quit bye all", vec!["* goodbye"], vec!["* ann left: bye all"]),
            ("/quit", vec!["* goodbye"], vec!["* ann left"]),
        ] {
            let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
            hub.line(ann, command);
            assert_eq!(hub.lines(ann), to_ann, "{command}: what ann receives");
            assert_eq!(hub.lines(bob), to_bob, "{command}: what bob receives");
        }
    }

    #[test]
    fn chat_separates_rooms_and_frees_the_name_of_a_closed_peer() {
        let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
        hub.line(ann, "/join den");
        hub.clear();
        hub.line(ann, "alone?");
        assert_eq!(hub.lines(bob), Vec::<String>::new());
        hub.fail(ann, crate::base::Failure::Reset);
        hub.line(bob, "/nick ann");
        assert_eq!(hub.lines(bob), ["* bob is now ann"]);
        assert_eq!(hub.handler().names.len(), 1);
    }

    #[test]
    fn chat_strips_control_characters_from_messages() {
        let (mut hub, [ann, bob]) = chat(["ann", "bob"]);
        hub.line(ann, "\u{1b}[2Jclear\u{9b}2J \u{202e}drow\rfake");
        hub.line(ann, "/nick \u{1b}]0;x\u{7}");
        assert_eq!(hub.lines(bob), ["<ann> [2Jclear2J drowfake"]);
    }
}
