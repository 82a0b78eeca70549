//! A room that remembers: a client that comes back gets what it missed, or learns that it cannot.
//!
//! ```text
//! remember tcp://127.0.0.1:7000 ws://127.0.0.1:7001   # the server
//! remember --follow ws://127.0.0.1:7001               # a client, which reconnects
//! nc 127.0.0.1 7000                                   # a person: /publish news hello
//! ```
//!
//! Cut the connection of the client for a while, or restart the server, and see what it prints.

#![allow(clippy::print_stdout, reason = "it prints what it receives")]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test fails where its assumption does"))]

use drupe_tokio::Server;
use drupe_tokio::core::history::Keep;
use drupe_tokio::core::kit::client::ClientOptions;
use drupe_tokio::core::kit::{RoomRules, Service};
use drupe_tokio::core::{Config, Listen, RoomMemory, RoomOptions};
use drupe_tokio::shell::client::Incoming;
use serde::Deserialize;
use serde_json::json;
use std::error::Error;
use std::time::Duration;

const ROOM: &str = "news";

fn config(listeners: Vec<Listen>) -> Config {
    // At most 1,000 messages, and none that is older than ten minutes.
    let keep = Keep::messages(1_000).age(Some(Duration::from_secs(600)));
    Config::listening(listeners).memory(RoomMemory::default().rooms(vec![RoomOptions::new(ROOM, keep)]))
}

fn service() -> Service<()> {
    Service::new(()).rooms(RoomRules::closed().open(ROOM)).room_messages()
}

/// A client that follows the room, on one connection after the other.
#[derive(Default)]
struct Follower {
    /// The position after the last message that it has handled.
    position: Option<String>,
}

/// A message of the server.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum FromServer {
    Message {
        position: String,
        data: serde_json::Value,
    },
    Subscribed {
        position: Option<String>,
        recovered: Option<bool>,
        missed: Option<usize>,
        why: Option<String>,
    },
    #[serde(other)]
    Other,
}

impl Follower {
    /// Returns the message to send on each new connection.
    fn subscribe(&self) -> String {
        json!({ "type": "subscribe", "room": ROOM, "since": self.position }).to_string()
    }

    /// Handles a message. Returns a line about it.
    fn receive(&mut self, text: &str) -> Option<String> {
        match serde_json::from_str(text).ok()? {
            FromServer::Message { position, data } => {
                self.position = Some(position);
                Some(data.as_str().map_or_else(|| data.to_string(), ToOwned::to_owned))
            }
            FromServer::Subscribed { position, recovered, missed, why } => {
                self.position = position;
                Some(match (recovered, missed, why) {
                    (None, ..) => "(new here)".into(),
                    (Some(true), missed, _) => format!("(back; missed {})", missed.unwrap_or(0)),
                    (Some(false), _, why) => format!("(back; some may be missing: {})", why.unwrap_or_default()),
                })
            }
            FromServer::Other => None,
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments[..] {
        [flag, address] if flag == "--follow" => follow(address).await,
        [] => Err("usage: remember ADDRESS... | remember --follow ADDRESS".into()),
        addresses => {
            let listeners = addresses.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
            let server = Server::bind(config(listeners), service())?.drain_on_signals()?;
            for address in server.addresses() {
                println!("listening on {address}");
            }
            server.run().await?;
            Ok(())
        }
    }
}

async fn follow(address: &str) -> Result<(), Box<dyn Error>> {
    let mut client = drupe_tokio::connect(ClientOptions::new(address.parse()?))?;
    let mut follower = Follower::default();
    while let Some(incoming) = client.receive().await {
        match incoming {
            Incoming::Connected(_) => client.send(follower.subscribe()).await?,
            Incoming::Message(message) => {
                let line = message.as_str().and_then(|text| follower.receive(text));
                line.into_iter().for_each(|line| println!("{line}"));
            }
            Incoming::Disconnected(reason) => println!("(disconnected: {reason})"),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use drupe_tokio::core::kit::{Cx, Router};
    use drupe_tokio::core::testing::TestHub;
    use drupe_tokio::core::{ConnId, Failure, Reason};

    /// A server in virtual time. Each start has another seed.
    fn start(seed: u64) -> TestHub<Service<()>> {
        let mut config = config(vec!["tcp://127.0.0.1:1".parse().unwrap()]);
        config.seed = Some(seed);
        TestHub::with_config(config, service())
    }

    impl Follower {
        /// Connects and subscribes. Returns what the client prints.
        fn connect(&mut self, server: &mut TestHub<Service<()>>) -> (ConnId, Vec<String>) {
            let conn = server.connect();
            server.line(conn, &self.subscribe());
            (conn, self.read(server, conn))
        }

        fn read(&mut self, server: &mut TestHub<Service<()>>, conn: ConnId) -> Vec<String> {
            let lines = server.lines(conn);
            server.clear();
            lines.iter().filter_map(|line| self.receive(line)).collect()
        }
    }

    fn say(server: &mut TestHub<Service<()>>, text: &str) {
        let person = server.connect();
        server.line(person, &format!("/publish news {text}"));
        server.line(person, "/unsubscribe news");
    }

    #[test]
    fn client_that_comes_back_after_ten_seconds_has_missed_nothing() {
        let (mut server, mut follower) = (start(1), Follower::default());
        let (conn, lines) = follower.connect(&mut server);
        assert_eq!(lines, ["(new here)"]);
        say(&mut server, "one");
        assert_eq!(follower.read(&mut server, conn), ["one"]);
        server.fail(conn, Failure::Reset);
        for text in ["two", "three"] {
            say(&mut server, text);
        }
        server.advance(Duration::from_secs(10));
        let (conn, lines) = follower.connect(&mut server);
        assert_eq!(lines, ["two", "three", "(back; missed 2)"]);
        say(&mut server, "four");
        assert_eq!(follower.read(&mut server, conn), ["four"]);
    }

    #[test]
    fn client_that_comes_back_after_an_hour_learns_that_messages_are_too_old() {
        let (mut server, mut follower) = (start(1), Follower::default());
        let (conn, _) = follower.connect(&mut server);
        server.fail(conn, Failure::Reset);
        say(&mut server, "one");
        server.advance(Duration::from_secs(3_600));
        assert_eq!(follower.connect(&mut server).1, ["(back; some may be missing: too_old)"]);
    }

    #[test]
    fn client_that_comes_back_after_a_restart_of_the_server_learns_that_the_history_is_another() {
        let (mut server, mut follower) = (start(1), Follower::default());
        let (conn, _) = follower.connect(&mut server);
        say(&mut server, "one");
        assert_eq!(follower.read(&mut server, conn), ["one"]);
        let mut server = start(2);
        // The new server gives the same number to another message.
        say(&mut server, "uno");
        let (conn, lines) = follower.connect(&mut server);
        assert_eq!(lines, ["(back; some may be missing: other_epoch)"]);
        say(&mut server, "due");
        assert_eq!(follower.read(&mut server, conn), ["due"]);
    }

    #[test]
    fn client_reconnects_over_a_websocket_and_recovers() {
        let outage = Router::new().on("outage", |(), cx: &mut Cx<'_, ()>, (): ()| {
            cx.end(Reason::Kicked);
            for text in ["two", "three"] {
                cx.hub.publish(ROOM, text);
            }
        });
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let test = async {
            let listeners = vec!["ws://127.0.0.1:0".parse().unwrap()];
            let server = Server::bind(config(listeners), service().router(outage)).unwrap();
            let (address, remote) = (server.addresses()[0].clone(), server.remote());
            let running = tokio::spawn(server.run());
            let mut client = drupe_tokio::connect(ClientOptions::new(address.parse().unwrap())).unwrap();
            let (mut follower, mut lines) = (Follower::default(), Vec::new());
            while let Some(incoming) = client.receive().await {
                match incoming {
                    Incoming::Connected(_) => client.send(follower.subscribe()).await.unwrap(),
                    Incoming::Message(message) => {
                        let line = message.as_str().and_then(|text| follower.receive(text)).unwrap();
                        lines.push(line.clone());
                        match &*line {
                            "(new here)" => client.send(r#"{"type":"outage"}"#).await.unwrap(),
                            line if line.starts_with("(back") => client.close(),
                            _ => {}
                        }
                    }
                    _ => {}
                }
            }
            assert_eq!(lines, ["(new here)", "two", "three", "(back; missed 2)"]);
            remote.drain().unwrap();
            running.await.unwrap().unwrap();
        };
        runtime.block_on(tokio::time::timeout(Duration::from_secs(60), test)).unwrap();
    }
}
