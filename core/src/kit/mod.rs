//! What applications are made of: functions by message type, remote calls, layers, authentication, presence.
//!
//! All of it stands on [`Handler`](crate::Handler) and [`Hub`](crate::Hub), and so runs in virtual time as they do.

#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "auth")]
pub mod client;
mod handlers;
pub mod layer;
mod presence;
#[cfg(feature = "json")]
pub mod rpc;
#[cfg(feature = "json")]
mod service;

pub use handlers::{on_keys, on_lines, on_messages};
pub use presence::Presence;
#[cfg(feature = "json")]
pub use service::{App, Cx, Guard, MessageError, Outcome, RequireScope, RoomError, Router, Scope, Service, Unknown};
