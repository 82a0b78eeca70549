//! Middleware: layers that receive events before the handler that they wrap.
//!
//! For each event, a [`Layer`] may pass on the event itself, another event, several or none. If it
//! does not pass on the [`Opened`](crate::Event::Opened) of a connection, it must pass on no event
//! of that connection. The inner handler cannot detect the layer.
//!
//! ```
//! use drupe_core::app::Echo;
//! use drupe_core::kit::layer::{Layer, Within};
//! use drupe_core::testing::TestHub;
//! use drupe_core::{Event, Handler, Hub};
//!
//! /// Answers messages that end with an exclamation mark, and does not pass them on.
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
//! | layer | what it does |
//! |---|---|
//! | [`Logging`] | logs connections, refusals and failures, one line each |
//! | [`Recording`] | passes each received message to a function, for a transcript |
//! | [`RateLimit`] | limits the message rate of each connection, address or user |
//! | [`ConnectionLimit`] | limits the open and the new connections of each address |
//! | [`Greeting`] | sends the welcome and the prompt of each listener |
//! | [`Heartbeat`] | pings silent peers and closes the connections of those that do not answer |
//! | [`Authentication`](super::auth::Authentication) | refuses peers that do not authenticate |

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

/// Middleware around a handler `H`.
pub trait Layer<H: Handler> {
    /// Handles an event. The inner handler `within` receives only what this method passes to it.
    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>, within: &mut H);

    /// Returns `true` if peers send this layer passwords or tokens: see [`Handler::holds_secrets`].
    fn holds_secrets(&self) -> bool {
        false
    }
}

/// An optional layer. `None` passes every event to the inner handler.
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

/// An extension trait that wraps handlers in layers. Every handler implements it.
pub trait Within: Handler + Sized {
    /// Wraps this handler in a layer. The layer added last is the outermost.
    fn within<L: Layer<Self>>(self, layer: L) -> Layered<L, Self> {
        Layered::new(layer, self)
    }
}

impl<H: Handler> Within for H {}

/// A handler wrapped in a layer, which is itself a handler: see [`Within::within`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Layered<L, H> {
    layer: L,
    within: H,
}

impl<L, H> Layered<L, H> {
    /// Creates a handler from a layer and the handler that it wraps.
    pub const fn new(layer: L, within: H) -> Self {
        Self { layer, within }
    }

    /// Returns the inner handler.
    pub const fn inner(&self) -> &H {
        &self.within
    }

    /// Returns the layer.
    pub const fn layer(&self) -> &L {
        &self.layer
    }

    /// Returns a mutable reference to the inner handler.
    pub const fn inner_mut(&mut self) -> &mut H {
        &mut self.within
    }

    /// Returns a mutable reference to the layer.
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
