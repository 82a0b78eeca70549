//! Accessors for a connection's identity, request, representation, origin and wire.

use super::connection::{Connection, Sender};
use drupe_core::http::Request;
use drupe_core::{Identity, Origin, Representation};

/// # Properties of the connection
///
/// For all else, such as the listener's options or the traffic, ask the hub:
/// `connection.with_hub(|hub, conn| hub.traffic(conn)).await`.
impl Connection {
    /// Returns the connection's identity, with user and scopes, if it is authenticated.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.sender.identity()
    }

    /// Returns the HTTP request that opened this WebSocket, with its path, query and fields.
    ///
    /// `None` on other wires and for dialled connections.
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.sender.request()
    }

    /// Returns which representation of messages the peer receives now: JSON or text.
    #[must_use]
    pub fn representation(&self) -> Representation {
        self.sender.representation()
    }

    /// Returns the listener that accepted the connection, or the dial that made it.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.sender.origin()
    }

    /// Returns the name that the wire had when the connection opened: see [`Hub::wire_name`].
    ///
    /// [`Hub::wire_name`]: drupe_core::Hub::wire_name
    #[must_use]
    pub fn wire_name(&self) -> &'static str {
        self.sender.wire_name()
    }
}

/// # Properties of the connection
impl Sender {
    /// Returns the identity of the connection: see [`Connection::identity`].
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.shared.live.lock().identity.clone()
    }

    /// Returns the request that opened this WebSocket: see [`Connection::request`].
    #[must_use]
    pub fn request(&self) -> Option<&Request> {
        self.shared.opening.request.as_ref()
    }

    /// Returns which representation the peer receives: see [`Connection::representation`].
    #[must_use]
    pub fn representation(&self) -> Representation {
        let default = if self.shared.opening.has_lines { Representation::Text } else { Representation::Json };
        self.shared.live.lock().representation.unwrap_or(default)
    }

    /// Returns the listener or the dial of the connection: see [`Connection::origin`].
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.shared.opening.origin
    }

    /// Returns the name of the wire: see [`Connection::wire_name`].
    #[must_use]
    pub fn wire_name(&self) -> &'static str {
        self.shared.opening.wire_name
    }
}
