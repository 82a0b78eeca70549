//! The program `drupe`: a chat, a relay and an echo, with everything that operators need.

use drupe_tokio::core::app::{Chat, Echo, Relay};
use drupe_tokio::core::settings::RelaySettings;
use drupe_tokio::core::{Event, Handler, Hub, NoNote};
use std::process::ExitCode;

fn main() -> ExitCode {
    drupe_tokio::program("drupe")
        .version(env!("CARGO_PKG_VERSION"))
        .about("A chat, relay or echo server over telnet, TCP lines, length-prefixed frames and WebSocket")
        .app("chat", |_| Chat::default())
        .one_worker()
        .app("relay", |start| ConfiguredRelay(Relay::new(start.settings::<RelaySettings>().envelope.into())))
        .app("echo", |_| Echo)
        .section::<RelaySettings>()
        .flag("envelope", "relay.envelope", "The envelope in which the relay puts each message: none or json")
        .run()
}

/// A relay whose envelope follows the configuration.
struct ConfiguredRelay(Relay);

impl Handler for ConfiguredRelay {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        if let (Event::Reconfigured, Some(settings)) = (&event, hub.settings::<RelaySettings>()) {
            self.0 = Relay::new(settings.envelope.into());
        }
        self.0.on(hub, event);
    }

    fn reads_keys(&self) -> bool {
        false
    }
}
