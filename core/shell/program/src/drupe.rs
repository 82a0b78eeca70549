//! The program `drupe`, on any runtime.

use crate::Program;
use drupe_core::app::{Chat, Echo, Relay};
use drupe_core::settings::RelaySettings;
use drupe_core::{Event, Handler, Hub, NoNote};
use drupe_shell::Runtime;

/// Returns the program `drupe`, with the applications `chat`, `relay` and `echo`.
#[must_use]
pub fn drupe<R: Runtime + 'static>(version: &'static str) -> Program<R> {
    Program::new("drupe")
        .version(version)
        .about("A chat, relay or echo server over telnet, TCP lines, length-prefixed frames and WebSocket")
        .app("chat", |_| Chat::default())
        .app("relay", |start| ConfiguredRelay(Relay::new(start.settings::<RelaySettings>().envelope.into())))
        .app("echo", |_| Echo)
        .section::<RelaySettings>()
        .flag("envelope", "relay.envelope", "The envelope in which the relay puts each message: none or json")
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
