//! The program `drupe`, on any runtime.

use crate::{Program, SharedKeySet};
use drupe_core::app::{Chat, Echo, Relay};
use drupe_core::kit::auth::KeySet;
use drupe_core::kit::pubsub::{Hooks, PubSub, PubSubOptions, Session};
use drupe_core::settings::{PubSubSettings, RelaySettings};
use drupe_core::{Event, Handler, Hub, NoNote};
use drupe_shell::Runtime;
use std::sync::Arc;

/// Returns the program `drupe`, with the applications `chat`, `relay`, `echo` and `pubsub`.
#[must_use]
pub fn drupe<R: Runtime + 'static>(version: &'static str) -> Program<R> {
    Program::new("drupe")
        .version(version)
        .about("A chat, relay, echo or pubsub server over telnet, TCP lines, length-prefixed frames and WebSocket")
        .app("chat", |_| Chat::default())
        .app("relay", |start| ConfiguredRelay(Relay::new(start.settings::<RelaySettings>().envelope.into())))
        .app("echo", |_| Echo)
        .app("pubsub", |start| {
            let keys = FetchedKeys(start.key_set::<PubSubSettings>());
            ConfiguredPubSub(PubSub::new(options(&start.settings()), keys))
        })
        .with_api()
        .section::<RelaySettings>()
        .section::<PubSubSettings>()
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

/// Channels whose rules follow the configuration.
struct ConfiguredPubSub(PubSub<FetchedKeys>);

/// The public keys of tokens, from the file or the URL that the configuration names.
struct FetchedKeys(SharedKeySet);

impl Hooks for FetchedKeys {
    fn key_set(&mut self) -> Option<Arc<KeySet>> {
        self.0.current()
    }

    fn key_is_unknown(&mut self) -> bool {
        self.0.refresh()
    }
}

/// Returns the options in a section. Its check has refused an invalid key before.
fn options(settings: &PubSubSettings) -> PubSubOptions {
    settings.options().unwrap_or_default()
}

impl Handler for ConfiguredPubSub {
    type Context = Session;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Session>, event: Event<'_, NoNote>) {
        if let (Event::Reconfigured, Some(settings)) = (&event, hub.settings::<PubSubSettings>()) {
            self.0.set_options(options(&settings));
        }
        self.0.on(hub, event);
    }

    fn holds_secrets(&self) -> bool {
        true
    }

    fn reads_keys(&self) -> bool {
        false
    }
}
