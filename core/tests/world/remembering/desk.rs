//! The application of the worlds with rooms that remember: it runs commands, and records events.

use super::people::{People, presence};
use crate::hall::Wanted;
use drupe_core::history::{Gap, Position, Recovery};
use drupe_core::outbound::SlowPolicy;
use drupe_core::{
    ConnId, Event, Handler, HistoryRange, Hub, JoinOptions, Outgoing, Presence, PublishOptions, RoomAnswer, RoomRequest,
};
use std::collections::BTreeMap;

/// Runs each message as a command; see [`Desk::obey`].
#[derive(Default)]
pub(crate) struct Desk {
    shard: u8,
    /// The memberships, in the order in which they began.
    pub(crate) members: Vec<Member>,
    /// The number of the membership of each present member.
    present: BTreeMap<(ConnId, String), usize>,
    /// The published messages, by their names.
    pub(crate) said: BTreeMap<String, Said>,
    /// The requests, each with its answers.
    pub(crate) requests: BTreeMap<RoomRequest, Request>,
    pub(crate) people: People,
    /// Events that name no member or no request, and other surprises: a panic may be caught.
    pub(crate) strays: Vec<String>,
}

/// A connection in a room, from joining to leaving.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) conn: ConnId,
    pub(crate) room: String,
    pub(crate) since: Option<Position>,
    /// The name under which it is present.
    pub(crate) name: Option<String>,
    pub(crate) joined: Vec<(Option<Position>, Recovery)>,
    /// Why messages may be missing, and whether only this member is concerned.
    pub(crate) gaps: Vec<(Gap, bool)>,
    pub(crate) has_left: bool,
}

/// A published message.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) room: String,
    /// The length in all representations.
    pub(crate) bytes: usize,
    pub(crate) request: Option<RoomRequest>,
    pub(crate) key: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Request {
    /// The message that it publishes, if it is no request for a history or for names.
    pub(crate) said: Option<String>,
    pub(crate) room: String,
    pub(crate) answers: Vec<RoomAnswer>,
}

impl Desk {
    pub(crate) fn new(shard: u8) -> Self {
        Self { shard, ..Self::default() }
    }

    fn join(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, room: &str, since: Option<Position>, name: &str) {
        if self.present.contains_key(&(conn, room.to_string())) {
            if hub.join_with(conn, room, JoinOptions::new().since(since)) != Ok(false) {
                self.stray("a second membership", conn, room);
            }
            return;
        }
        let number = self.members.len();
        let has_home = hub.room_options(room).is_some();
        // All that the room sends to this member comes between this and the same with `left`.
        hub.send(conn, &format!("asked {room} {number}"));
        let (room, gaps, has_left) = (room.to_string(), Vec::new(), false);
        // Without a home and a position, no event follows.
        let joined = if has_home || since.is_some() { Vec::new() } else { vec![(None, Recovery::New)] };
        // The name, and whether there is information about it: "ann" or "ann!".
        let name = Some(name).filter(|name| !name.is_empty() && presence(hub, &room) != Presence::Off);
        let info =
            name.filter(|name| name.ends_with('!')).map(|_| if number.is_multiple_of(2) { "here" } else { "away" });
        let name = name.map(|name| name.trim_end_matches('!').to_string());
        let options = JoinOptions::new().since(since).name(name.as_deref()).info(info);
        if hub.join_with(conn, &room, options) == Ok(true) {
            self.present.insert((conn, room.clone()), number);
            self.members.push(Member { conn, room, since, name, joined, gaps, has_left });
        }
    }

    fn leave(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, room: &str) {
        if !hub.leave(conn, room) {
            return;
        }
        if let Some(number) = self.present.remove(&(conn, room.to_string())) {
            self.members[number].has_left = true;
            hub.send(conn, &format!("left {room} {number}"));
        }
    }

    /// Enters a new message, and returns its name and its text.
    fn text(&mut self, room: &str, length: usize) -> (String, String) {
        let name = format!("{}-{}", self.shard, self.said.len());
        let text = format!("m {room} {name} {};", "-".repeat(length));
        let said = Said { room: room.into(), bytes: text.len(), request: None, key: None };
        self.said.insert(name.clone(), said);
        (name, text)
    }

    fn keep(&mut self, hub: &mut Hub<'_, ()>, room: &str, length: usize, key: Option<&str>) {
        let (name, text) = self.text(room, length);
        let options = key.into_iter().fold(PublishOptions::new(), PublishOptions::key);
        let request = hub.publish_with(room, &text, options);
        let said = self.said.get_mut(&name).expect("just entered");
        (said.request, said.key) = (Some(request), key.map(Into::into));
        self.issued(request, room, Some(name));
    }

    fn issued(&mut self, request: RoomRequest, room: &str, said: Option<String>) {
        let new = self.requests.insert(request, Request { said, room: room.into(), answers: Vec::new() });
        if new.is_some() {
            self.strays.push(format!("request {request} was issued twice"));
        }
    }

    /// Runs a command: a verb, a room, and further words.
    fn obey(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, message: &str) {
        let mut words = message.split(' ');
        let (verb, room) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let word = words.next().unwrap_or_default();
        let number = word.parse::<usize>().unwrap_or(0);
        match verb {
            "join" => self.join(hub, conn, room, None, word),
            "back" => self.join(hub, conn, room, word.parse().ok(), words.next().unwrap_or_default()),
            "leave" => self.leave(hub, conn, room),
            "say" => {
                let (_, text) = self.text(room, number);
                hub.publish(room, &text);
            }
            // For programs, it is JSON.
            "both" => {
                let (name, text) = self.text(room, number);
                let json = format!("\"{text}\"");
                self.said.get_mut(&name).expect("just entered").bytes += json.len();
                hub.publish(room, Outgoing::Negotiated { json: &json, text: &text });
            }
            "some" => {
                let all: Vec<ConnId> = hub.connections().collect();
                let (_, text) = self.text(room, number % 60);
                hub.publish_except(room, &all[..number % (all.len() + 1)], &text);
            }
            "keep" => self.keep(hub, room, number, None),
            "key" => self.keep(hub, room, number, Some(&format!("key {}", number % 3))),
            "long" => self.keep(hub, room, number, Some(&"k".repeat(number))),
            "read" => {
                let range = match word.parse() {
                    Ok(position) => HistoryRange::After(position),
                    Err(_) if word == "latest" => HistoryRange::Latest,
                    Err(_) => HistoryRange::Oldest,
                };
                let request =
                    hub.read_history(room, range, words.next().and_then(|most| most.parse().ok()).unwrap_or(3));
                self.issued(request, room, None);
            }
            "who" => {
                let request = hub.read_presence(room, Some(word), 1);
                self.issued(request, room, None);
            }
            "panic" => std::panic::panic_any(Wanted),
            "remove" => hub.remove_history(room),
            "policy" => {
                let policies =
                    [SlowPolicy::SkipOldest, SlowPolicy::SkipNewest, SlowPolicy::KeepLatest, SlowPolicy::Close];
                let _ = hub.set_slow_policy(room, policies[number % 4]);
            }
            "close" => hub.close(conn),
            _ => {}
        }
    }

    fn ask_anew(&mut self, hub: &mut Hub<'_, ()>) {
        let asked = self.people.ask_anew(hub);
        asked.into_iter().for_each(|(request, room)| self.issued(request, room, None));
    }

    fn roll_call(&mut self, hub: &mut Hub<'_, ()>) {
        let Self { people, members, present, .. } = self;
        let named = present
            .iter()
            .filter_map(|((conn, room), &number)| Some((*conn, room.as_str(), members[number].name.as_deref()?)));
        let asked = people.roll_call(hub, &named);
        asked.into_iter().for_each(|(request, room)| self.issued(request, room, None));
    }

    fn stray(&mut self, event: &str, conn: ConnId, room: &str) {
        self.strays.push(format!("{event} of {conn} in {room}"));
    }
}

impl Handler for Desk {
    type Context = ();
    /// Each note asks who is present.
    type Note = u8;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, u8>) {
        self.people.forget_empty(hub);
        match event {
            Event::Message { conn, payload } => {
                let message = payload.as_str().unwrap_or_default().to_string();
                self.obey(hub, conn, &message);
            }
            Event::Joined { conn, room, position, recovery, .. } => {
                let Some(&number) = self.present.get(&(conn, room.to_string())) else {
                    return self.stray("joined", conn, room);
                };
                self.members[number].joined.push((position, recovery));
                let position = position.map_or("-".into(), |position| position.to_string());
                hub.send(conn, &format!("joined {room} {position}"));
                if let Some(request) = self.people.ask(hub, room) {
                    self.issued(request, room, None);
                }
            }
            Event::RoomGap(gap) => {
                let concerned = |at: &ConnId, room: &str| room == gap.room && gap.conn.is_none_or(|conn| conn == *at);
                let numbers: Vec<usize> = self
                    .present
                    .iter()
                    .filter(|((conn, room), _)| concerned(conn, room))
                    .map(|(_, &number)| number)
                    .collect();
                if let (Some(conn), true) = (gap.conn, numbers.is_empty()) {
                    self.stray("a gap", conn, gap.room);
                }
                for number in numbers {
                    self.members[number].gaps.push((gap.why, gap.conn.is_some()));
                }
            }
            Event::RoomAnswered { request, answer, .. } => match self.requests.get_mut(&request) {
                Some(found) => {
                    found.answers.push(answer.clone());
                    if let RoomAnswer::Present(Some(page)) = answer {
                        self.people.answered(request, page);
                    }
                }
                None => self.strays.push(format!("an answer to {request}")),
            },
            Event::PresenceChanged(change) => self.people.changed(&change),
            Event::Reconfigured => self.ask_anew(hub),
            Event::Note(_) => self.roll_call(hub),
            Event::Closed { conn, .. } => self.present.retain(|(other, _), _| *other != conn),
            _ => {}
        }
    }
}
