//! What applications are made of: functions by message type, remote calls, layers, authentication, presence.
//!
//! All of it stands on [`Handler`](crate::Handler) and [`Hub`](crate::Hub), and so runs in virtual time as they do.
//!
//! | for | take | feature |
//! |---|---|---|
//! | lines, messages or keys, one function each | [`on_lines`], [`on_messages`], [`on_keys`] | |
//! | typed messages and commands, hooks, periodic tasks | `Service` and `Router` | `json` |
//! | calls in both directions | `rpc` | `json` |
//! | what stands around any handler | [`layer`] | |
//! | who is at the other end | `auth` | `auth` |
//! | who is connected, for people who may know | `monitor` | `json` |
//! | who is in which room | [`Presence`] | |
//! | the other end | `client`, and on a shell `drupe_shell::client` | `auth` |
//! | one `async fn` for each connection | `drupe_shell::stream` | |
//! | work that is done elsewhere | [`Hub::ticket`](crate::Hub::ticket) | |

#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "auth")]
pub mod client;
mod handlers;
pub mod layer;
#[cfg(all(feature = "json", feature = "std"))]
pub mod monitor;
mod presence;
#[cfg(feature = "json")]
pub mod rpc;
#[cfg(feature = "json")]
mod service;

pub use handlers::{on_keys, on_lines, on_messages};
pub use presence::Presence;
#[cfg(feature = "json")]
pub use service::{
    App, Cx, Guard, MessageError, Outcome, RequireScope, RoomError, RoomRules, Router, Scope, Service, Unknown,
};
