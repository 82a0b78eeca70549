//! Channels for the clients of the Centrifuge protocol, in an application that checks their messages.
//!
//! ```text
//! channels tcp://127.0.0.1:7000 ws://127.0.0.1:7001
//! nc 127.0.0.1 7000           # /sub news:1, /pub news:1 hello
//! ```
//!
//! A client for JavaScript connects to `ws://127.0.0.1:7001`, subscribes to `news:1`, and calls `count`.

use drupe_tokio::Server;
use drupe_tokio::core::kit::pubsub::{Caller, ChannelRules, Channels, Hooks, PubSub, PubSubOptions, Refusal};
use drupe_tokio::core::{Config, RoomMemory};
use std::error::Error;
use std::time::Duration;

/// Counts messages, and refuses those in capital letters.
#[derive(Clone, Copy, Default)]
struct Calm {
    messages: u64,
}

impl Hooks for Calm {
    fn publish(&mut self, _: Caller<'_>, _: &str, data: &str) -> Result<Option<bool>, Refusal> {
        if data.chars().any(char::is_alphabetic) && data.to_uppercase() == data {
            return Err(Refusal::new(1_000, "please speak quietly"));
        }
        self.messages += 1;
        // The rules of the channel decide the rest.
        Ok(None)
    }

    fn rpc(&mut self, _: Caller<'_>, method: &str, _: &str) -> Result<String, Refusal> {
        match method {
            "count" => Ok(self.messages.to_string()),
            _ => Err(Refusal::new(1_001, "the only method is count")),
        }
    }
}

fn channels() -> Channels {
    let mut news = ChannelRules::default();
    (news.history_size, news.history_ttl, news.force_recovery) = (100, Duration::from_secs(600), true);
    (news.allow_subscribe_for_client, news.allow_subscribe_for_anonymous) = (true, true);
    (news.allow_publish_for_subscriber, news.allow_publish_for_anonymous) = (true, true);
    let mut channels = Channels::default();
    channels.namespaces.insert("news".into(), news);
    channels
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it prints its addresses")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addresses: Vec<String> = std::env::args().skip(1).collect();
    if addresses.is_empty() {
        addresses = vec!["tcp://127.0.0.1:7000".into(), "ws://127.0.0.1:7001".into()];
    }
    let listeners = addresses.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?;
    let channels = channels();
    let config = Config::listening(listeners).memory(RoomMemory::default().rooms(channels.rooms()));
    let options = PubSubOptions::default().channels(channels).allow_anonymous(true);
    let server = Server::bind(config, PubSub::new(options, Calm::default()))?.drain_on_signals()?;
    server.addresses().iter().for_each(|address| println!("listening on {address}"));
    server.run().await?;
    Ok(())
}
