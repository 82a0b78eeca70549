//! A chat with typed messages, for programs and people.
//!
//! Programs send `{"type":"join","room":"den","name":"ann"}`, people `/join den ann`. Each receives
//! its own format. Try `nc 127.0.0.1 8000`, or `ws://127.0.0.1:8001` from a browser.

use drupe_tokio::Server;
use drupe_tokio::core::kit::{App, Cx, MessageError, Presence, RoomRules, Router, Service};
use drupe_tokio::core::{Config, NoNote, Reason};
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::fmt;

#[derive(Default)]
struct Chat {
    presence: Presence,
}

impl App for Chat {
    type Context = Option<String>; // the room of the connection
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
    Joined { name: &'a str, present: Vec<&'a str> },
    Left { name: &'a str },
    Said { name: &'a str, text: &'a str },
}

/// The format for people.
impl fmt::Display for Update<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined { name, present } => write!(f, "* {name} joined; here are {}", present.join(", ")),
            Self::Left { name } => write!(f, "* {name} left"),
            Self::Said { name, text } => write!(f, "<{name}> {}", drupe_tokio::core::text::neutralize(text)),
        }
    }
}

fn join(chat: &mut Chat, cx: &mut Cx<'_, Chat>, Join { room, name }: Join) -> Result<(), MessageError> {
    leave(chat, cx, ());
    let conn = cx.conn();
    chat.presence.join(&mut cx.hub, conn, &room, &name)?;
    let present = chat.presence.names(&room).collect();
    cx.scope().publish_as(&room, &Update::Joined { name: &name, present });
    *cx.context() = Some(room);
    Ok(())
}

fn leave(chat: &mut Chat, cx: &mut Cx<'_, Chat>, (): ()) {
    let conn = cx.conn();
    if let Some(room) = cx.context().take()
        && let Some(name) = chat.presence.leave(&mut cx.hub, conn, &room)
    {
        cx.scope().publish_as(&room, &Update::Left { name: &name });
    }
}

fn say(chat: &mut Chat, cx: &mut Cx<'_, Chat>, text: &str) -> Result<(), MessageError> {
    let nowhere = || MessageError::new("nowhere", "join a room first: /join ROOM NAME");
    let room = cx.context().clone().ok_or_else(nowhere)?;
    let name = chat.presence.name(cx.conn(), &room).ok_or_else(nowhere)?;
    cx.publish(&room, &Update::Said { name, text })?;
    Ok(())
}

fn service() -> Service<Chat> {
    let router =
        Router::new().on("join", join).on("leave", leave).on("say", |chat, cx, Say { text }| say(chat, cx, &text));
    let open = RoomRules::all_open();
    Service::new(Chat::default()).router(router).rooms(open).on_text(say).on_close(|chat, cx, _: Reason| {
        for (room, name) in chat.presence.closed(cx.conn()) {
            cx.scope().publish_as(&room, &Update::Left { name: &name });
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
    let server = Server::bind(Config::listening(listeners), service())?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    server.run_blocking()?;
    Ok(())
}
