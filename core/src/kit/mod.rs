//! Building blocks for applications: routing, JSON-RPC, layers, authentication, presence.
//!
//! They use only [`Handler`](crate::Handler) and [`Hub`](crate::Hub), so all but those of
//! `drupe_shell` also run in virtual time.
//!
//! | for | use | feature |
//! |---|---|---|
//! | one function for all lines, messages or keys | [`on_lines`], [`on_messages`], [`on_keys`] | |
//! | typed messages and commands, hooks, periodic tasks | `Service` and `Router` | `json` |
//! | lengths, ranges and counts of what peers send | `constraints` | `json` |
//! | JSON-RPC 2.0 in both directions | `rpc` | `json` |
//! | subscriptions, messages and histories of rooms that remember | `Service::room_messages` | `json` |
//! | middleware around any handler | [`layer`] | |
//! | authentication | `auth` | `auth` |
//! | channels for the clients of the Centrifuge protocol | `pubsub` | `auth` |
//! | a view of all connections, for operators | `monitor` | `json` and `std` |
//! | names that people choose | [`names`] | |
//! | clients | `client`, and on a shell `drupe_shell::client` | `auth` |
//! | one `async fn` per connection | `drupe_shell::stream` | |
//! | work on another thread | [`Hub::ticket`](crate::Hub::ticket), [`Hub::offload`](crate::Hub::offload) | |

#[cfg(feature = "auth")]
pub mod auth;
#[cfg(feature = "auth")]
mod backend;
#[cfg(feature = "auth")]
pub mod client;
#[cfg(feature = "json")]
mod compact_json;
#[cfg(feature = "json")]
pub mod constraints;
mod handlers;
pub mod layer;
#[cfg(all(feature = "json", feature = "std"))]
pub mod monitor;

#[cfg(feature = "auth")]
pub mod pubsub;
#[cfg(feature = "json")]
pub mod rpc;
#[cfg(feature = "json")]
mod service;

pub use crate::base::names;
pub use handlers::{on_keys, on_lines, on_messages};
#[cfg(feature = "json")]
pub use service::{
    App, Cx, Guard, Joined, MessageError, Outcome, RawMessage, RequireScope, RoomError, RoomRules, Router, Scope,
    Service, Unknown, negotiate,
};
