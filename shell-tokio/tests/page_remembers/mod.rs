//! The built-in page resumes where it was, in rooms that remember.

use crate::page_login::browser;
use crate::support::Client;
use drupe_tokio::Server;
use drupe_tokio::core::app::{Chat, Member};
use drupe_tokio::core::history::Keep;
use drupe_tokio::core::{Config, Event, Handler, Hub, Reason, RoomMemory, RoomOptions};

const SCRIPT: &str = include_str!("browser.py");

/// A chat in which notes speak, close all connections, or remove a history.
struct Talked(Chat);

impl Handler for Talked {
    type Context = Member;
    type Note = String;

    fn on(&mut self, hub: &mut Hub<'_, Member>, event: Event<'_, String>) {
        let note = match event.with_other_notes() {
            Ok(event) => return self.0.on(hub, event),
            Err(note) => note,
        };
        match note.split_once(' ') {
            None => {
                let rooms: Vec<String> = hub.rooms().map(|(room, _)| room.to_owned()).collect();
                let members: Vec<_> = rooms.iter().flat_map(|room| hub.members(room)).collect();
                members.into_iter().for_each(|conn| drop(hub.end(conn, Reason::Application)));
            }
            Some(("forget", room)) => hub.remove_history(room),
            Some((room, text)) => drop(hub.publish(room, &format!("<other> {text}"))),
        }
    }
}

#[test]
fn page_shows_what_was_said_while_it_was_away() {
    let Some((python, browser)) = browser() else { return };
    let (started, port) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let memory = RoomMemory::default().rooms(vec![RoomOptions::new("*", Keep::messages(100))]);
            let config = Config::listening(["ws://127.0.0.1:0".parse().expect("an address")]).memory(memory);
            let running = Server::bind(config, Talked(Chat::default())).expect("it listens");
            let address = running.addresses()[0].clone();
            started.send((running.remote(), address)).expect("somebody waits");
            running.run().await.expect("a reactor");
        });
    });
    let (remote, address) = port.recv().expect("it starts");
    let url = format!("http://{}/", address.trim_start_matches("ws://").trim_end_matches('/'));
    let mut page = Client::start(&python, &["-c", SCRIPT, &url, browser]).expect("it is installed");
    for (words, notes) in [
        ("in the lobby", &["lobby before"][..]),
        ("away", &["close", "lobby meanwhile"]),
        ("reloading", &["lobby during the reload"]),
        ("in the den", &["den before"]),
        ("away", &["close", "den meanwhile"]),
        ("forget", &["close", "den lost", "forget den"]),
    ] {
        page.hear_until(&format!("{words}\n"));
        notes.iter().for_each(|note| remote.note((*note).to_owned()).expect("it runs"));
        page.say("go\n");
    }
    page.hear_until("done\n");
    remote.drain().expect("it runs");
    server.join().expect("no panic");
}
