//! Tools for tests of applications and codecs without sockets, threads or waiting.
//!
//! [`TestHub`] is a whole machine. Its sockets accept everything, and its clock moves only when a
//! test moves it. Its peers can be WebSocket, telnet, HTTP and JSON-RPC clients. The [`guide`] shows
//! how to test a handler with them.
//!
//! ```
//! use drupe_core::app::Chat;
//! use drupe_core::testing::TestHub;
//!
//! let mut hub = TestHub::new(Chat::default());
//! let (ann, bob) = (hub.connect(), hub.connect());
//! hub.line(ann, "/nick ann");
//! hub.line(bob, "/nick bob");
//! hub.clear();
//! hub.line(ann, "hello, Bob");
//! assert_eq!(hub.lines(bob), ["<ann> hello, Bob"]);
//! hub.line(bob, "/quit");
//! assert!(hub.is_closed(bob));
//! assert_eq!(hub.lines(ann), ["<ann> hello, Bob", "* bob left"]);
//! ```

mod check_wire;
mod end;
mod http;
mod hub;
mod netstrings;
#[cfg(feature = "json")]
mod rpc;
mod screen;
#[cfg(feature = "sim")]
pub mod sim;
mod telnet;
mod telnet_end;
mod websocket;
mod websocket_end;

pub use check_wire::{WireDefect, WireOutcome, check_wire};
pub use http::{TestRequest, TestResponse};
pub use hub::TestHub;
pub use netstrings::Netstrings;
#[cfg(feature = "json")]
pub use rpc::{Notification, TestRpc};
pub use telnet::TestTelnet;
pub use websocket::TestWebSocket;
pub use websocket_end::WebSocketMessage;

/// # Test your handler
///
/// You wrote a handler. This page goes from one assertion to a property that holds in a network
/// with faults. Nothing here opens a socket, starts a thread or waits: each test runs a whole server
/// in virtual time, with the same result each time.
///
/// The handler of this page keeps count of the people in a hall. A peer sends `enter`, `leave` or
/// `count`. A minute after it entered, it receives a reminder.
///
/// ```
#[doc = include_str!("../../examples/hall/handler.rs")]
/// ```
///
#[doc = include_str!("guide.md")]
pub mod guide {}
