//! Layers around a handler (middleware): each sees every event first and decides what the handler within sees.
//!
//! A layer is a [`Handler`] that is given another one. It may pass an event on, pass another one on, pass several,
//! or none. One rule holds for all: about a connection whose `Opened` it did not pass on, it passes nothing on. The handler
//! within can't tell whether there is a layer.
//!
//! ```
//! use drupe_core::app::Echo;
//! use drupe_core::kit::layer::{Layer, Within};
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Event, Handler, Hub};
//!
//! /// Lets no message pass that shouts.
//! struct Quiet;
//!
//! impl<H: Handler> Layer<H> for Quiet {
//!     fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
//!         match event {
//!             Event::Message { conn, payload } if payload.as_bytes().ends_with(b"!") => {
//!                 hub.send(conn, "hush");
//!             }
//!             other => within.on(hub, other),
//!         }
//!     }
//! }
//!
//! let mut hub = TestHub::new(Echo.within(Quiet));
//! let peer = hub.connect();
//! hub.line(peer, "hello");
//! hub.line(peer, "HELLO!");
//! assert_eq!(hub.lines(peer), ["hello", "hush"]);
//! ```
//!
//! | layer | does |
//! |---|---|
//! | [`Logging`] | tells a log who comes and goes |
//! | [`Recording`] | keeps what is said, connection by connection |
//! | [`RateLimit`] | so many messages for each connection, address or user, also if it comes back |
//! | [`ConnectionLimit`] | so many connections, and so many new ones in a time, from each address, but for those on a list |
//! | [`Greeting`] | a welcome and a prompt for each listener |
//! | [`Heartbeat`] | asks silent peers for a sign of life, and ends those that give none |
//! | [`Authentication`](super::auth::Authentication) | lets nobody in who has not proven who they are |

mod connections;
mod greeting;
mod heartbeat;
mod logging;
mod rate;
mod recording;

pub use connections::ConnectionLimit;
pub use greeting::Greeting;
pub use heartbeat::{Heartbeat, PING, PING_TEXT, PONG};
pub use logging::Logging;
pub use rate::{RateBy, RateLimit};
pub use recording::{Entry, Recording, What};

use crate::handler::{Event, Handler, Hub};

/// What stands around a handler.
pub trait Layer<H: Handler> {
    /// Something happened; `within` is told of it by this layer or not at all.
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H);

    /// Whether peers send this layer passwords or tokens; see [`Handler::holds_secrets`].
    fn holds_secrets(&self) -> bool {
        false
    }
}

/// A layer that may be missing: then everything passes.
impl<H: Handler, L: Layer<H>> Layer<H> for Option<L> {
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H) {
        match self {
            Some(layer) => layer.on(hub, event, within),
            None => within.on(hub, event),
        }
    }

    fn holds_secrets(&self) -> bool {
        self.as_ref().is_some_and(Layer::<H>::holds_secrets)
    }
}

/// Puts layers around handlers: every handler has it.
pub trait Within: Handler + Sized {
    /// This handler within a layer. The layer that is put around last is the outermost.
    fn within<L: Layer<Self>>(self, layer: L) -> Layered<L, Self> {
        Layered::new(layer, self)
    }
}

impl<H: Handler> Within for H {}

/// A handler within a layer, which is a handler again: [`Within::within`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Layered<L, H> {
    layer: L,
    within: H,
}

impl<L, H> Layered<L, H> {
    /// Puts a layer around a handler.
    pub const fn new(layer: L, within: H) -> Self {
        Self { layer, within }
    }

    /// The handler within.
    pub const fn inner(&self) -> &H {
        &self.within
    }

    /// The layer.
    pub const fn layer(&self) -> &L {
        &self.layer
    }

    /// The handler within, to be changed.
    pub const fn inner_mut(&mut self) -> &mut H {
        &mut self.within
    }

    /// The layer, to be changed.
    pub const fn layer_mut(&mut self) -> &mut L {
        &mut self.layer
    }
}

impl<L: Layer<H>, H: Handler> Handler for Layered<L, H> {
    type Context = H::Context;
    type Note = H::Note;

    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>) {
        self.layer.on(hub, event, &mut self.within);
    }

    fn holds_secrets(&self) -> bool {
        self.layer.holds_secrets() || self.within.holds_secrets()
    }

    fn reads_keys(&self) -> bool {
        self.within.reads_keys()
    }
}
