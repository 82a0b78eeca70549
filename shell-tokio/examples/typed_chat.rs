//! A chat with typed messages, for programs and people.
//!
//! Programs send `{"type":"join","room":"den","name":"ann"}`, people `/join den ann`. Each receives
//! its own format. Try `nc 127.0.0.1 8000`, or `ws://127.0.0.1:8001` from a browser.

use drupe_tokio::Server;
use drupe_tokio::core::history::Keep;
use drupe_tokio::core::kit::{App, Cx, MessageError, RoomRules, Router, Scope, Service, negotiate};
use drupe_tokio::core::{
    Config, ConnId, Event, JoinOptions, NoNote, Presence, PresenceChange, RoomAnswer, RoomMemory, RoomOptions,
    RoomRequest,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;

#[derive(Default)]
struct Chat {
    /// Who has asked for the names in a room.
    asked: BTreeMap<RoomRequest, ConnId>,
}

/// Where a connection is, and under which name.
struct Seat {
    room: String,
    name: String,
}

impl App for Chat {
    type Context = Option<Seat>;
    type Note = NoNote;
}

#[derive(Deserialize)]
struct Join {
    room: String,
    name: String,
}

#[derive(Deserialize)]
struct Say {
    text: String,
}

/// A message from the server.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Update<'a> {
    Joined { name: &'a str },
    Left { name: &'a str },
    Present { names: Vec<&'a str> },
    Said { name: &'a str, text: &'a str },
}

/// The format for people.
impl fmt::Display for Update<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { name } => write!(f, "* {name} joined"),
            Self::Left { name } => write!(f, "* {name} left"),
            Self::Present { names } => write!(f, "* here are {}", names.join(", ")),
            Self::Said { name, text } => write!(f, "<{name}> {}", drupe_tokio::core::text::neutralize(text)),
        }
    }
}

fn join(chat: &mut Chat, cx: &mut Cx<'_, Chat>, Join { room, name }: Join) -> Result<(), MessageError> {
    leave(cx);
    cx.join_with(&room, JoinOptions::new().name(Some(&name)))?;
    // The room's home knows who is there. Its answer comes as an event.
    let request = cx.hub.read_presence(&room, None, 100);
    chat.asked.insert(request, cx.conn());
    *cx.context() = Some(Seat { room, name });
    Ok(())
}

fn leave(cx: &mut Cx<'_, Chat>) {
    let conn = cx.conn();
    if let Some(seat) = cx.context().take() {
        cx.hub.leave(conn, &seat.room);
    }
}

fn say(_: &mut Chat, cx: &mut Cx<'_, Chat>, text: &str) -> Result<(), MessageError> {
    let nowhere = || MessageError::new("nowhere", "join a room first: /join ROOM NAME");
    let Seat { room, name } = cx.context().take().ok_or_else(nowhere)?;
    let said = cx.publish(&room, &Update::Said { name: &name, text });
    *cx.context() = Some(Seat { room, name });
    said?;
    Ok(())
}

/// Tells the members that a name came with its first connection, or went with its last one.
fn tell(scope: &mut Scope<'_, Chat>, PresenceChange { room, name, is_present, .. }: PresenceChange<'_>) {
    let members: Vec<_> = scope.hub.members(room).collect();
    let update = if is_present { Update::Joined { name } } else { Update::Left { name } };
    scope.hub.send_each(&members, &negotiate(&update));
}

fn service() -> Service<Chat> {
    let router = Router::new()
        .on("join", join)
        .on("leave", |_, cx, (): ()| leave(cx))
        .on("say", |chat: &mut Chat, cx, Say { text }| say(chat, cx, &text));
    let open = RoomRules::all_open();
    let service = Service::new(Chat::default()).router(router).rooms(open).on_text(say);
    let service = service.on_room_answer(|chat, scope, request, answer| {
        if let (Some(conn), RoomAnswer::Present(Some(page))) = (chat.asked.remove(&request), answer) {
            scope.send_as(conn, &Update::Present { names: page.names.iter().map(|present| &*present.name).collect() });
        }
    });
    service.on_other(|_, scope, event| {
        if let Event::PresenceChanged(change) = event {
            tell(scope, change);
        }
    })
}

#[expect(clippy::print_stdout, reason = "it prints its addresses")]
fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = vec!["tcp://127.0.0.1:8000".into(), "ws://127.0.0.1:8001".into()];
    }
    let listeners = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
    // Rooms know the names of their members, and keep no messages.
    let rooms = RoomOptions::new("*", Keep::messages(0)).presence(Presence::Names).positions(false);
    let config = Config::listening(listeners).memory(RoomMemory::default().rooms(vec![rooms]));
    let server = Server::bind(config, service())?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    server.run_blocking()?;
    Ok(())
}
