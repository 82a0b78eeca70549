//! Ready-made applications [`Echo`], [`Relay`] and [`Chat`], and [`Apps`], which hosts several.

mod apps;
mod chat;
mod echo;
mod relay;
mod since;
mod unsent;

pub use crate::base::AppIndex;
pub use apps::{AppNote, Apps};
pub use chat::{Chat, Member};
pub use echo::Echo;
pub use relay::{Envelope, Relay};

use crate::handler::{Event, Handler, Hub, NoNote};
use core::fmt;
use core::str::FromStr;

/// A ready-made application, chosen at run time.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuiltIn {
    /// [`Echo`], which sends every message back to its sender.
    Echo(Echo),
    /// [`Relay`], which sends every message to all other peers.
    Relay(Relay),
    /// [`Chat`], with names and rooms.
    Chat(Chat),
}

impl Handler for BuiltIn {
    type Context = Member;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Member>, event: Event<'_, NoNote>) {
        match self {
            Self::Echo(Echo) => Echo::on_event(hub, &event),
            Self::Relay(app) => app.on_event(hub, &event),
            Self::Chat(app) => app.on(hub, event),
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}

/// The name of a ready-made application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AppName {
    /// The name of [`Chat`], `chat`.
    Chat,
    /// The name of [`Relay`], `relay`.
    Relay,
    /// The name of [`Echo`], `echo`.
    Echo,
}

impl AppName {
    /// Creates the application with this name. Only [`Relay`] uses `envelope`.
    #[must_use]
    pub fn make(self, envelope: Envelope) -> BuiltIn {
        match self {
            Self::Chat => BuiltIn::Chat(Chat::default()),
            Self::Relay => BuiltIn::Relay(Relay::new(envelope)),
            Self::Echo => BuiltIn::Echo(Echo),
        }
    }
}

impl FromStr for AppName {
    type Err = AppNameError;

    fn from_str(name: &str) -> Result<Self, AppNameError> {
        match name {
            "chat" => Ok(Self::Chat),
            "relay" => Ok(Self::Relay),
            "echo" => Ok(Self::Echo),
            _ => Err(AppNameError),
        }
    }
}

impl fmt::Display for AppName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Chat => "chat",
            Self::Relay => "relay",
            Self::Echo => "echo",
        })
    }
}

/// The error returned when a text is not the name of a ready-made application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected chat, relay or echo")]
#[non_exhaustive]
pub struct AppNameError;
