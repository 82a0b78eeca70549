//! Connections that another server of the same process hands over.
//!
//! An application has an HTTP server already, and wants a WebSocket of this server at one of its
//! paths. A listener with the address [`Mounted`](drupe_core::Address::Mounted), such as
//! `ws://mounted:chat`, binds nothing. The other server passes connections to it by its name:
//!
//! - [`Remote::mount_request`] passes the head of a request. This server decides about the upgrade
//!   as on a listener of its own: limits, quarantine, hosts, origins, subprotocols, compression.
//!   The other server sends the [response](MountAnswer), and passes the upgraded stream.
//! - [`Remote::mount`] passes a whole connection of any protocol, as if the listener had accepted it.
//!
//! From then on it is a connection of that listener, with all limits, metrics, drains and reloads.
//! The server reads and writes the stream itself: no task or buffer lies in between, so a slow peer
//! slows down only itself.
//!
//! Limits apply to the peer that the other server names. Behind a proxy, pass the proxy's address
//! and let the listener trust it ([`Http::forwarded`](drupe_core::http::Http::forwarded)), or pass the
//! client's address if the other server knows it. Without such a proxy, the server can't know
//! whether the other server spoke TLS, so it accepts the origin with either scheme.
//!
//! The WebSocket needs HTTP/1.1. Over HTTP/2 (RFC 8441), the request has no upgrade, and the server
//! answers it like any other request without one.

mod channel;
mod error;
mod io;
mod request;

pub(crate) use channel::Handoff;
pub use channel::Mounting;
pub use error::MountError;
pub use io::MountedIo;
pub use request::{MountRequest, MountResponse};

use crate::{DriverMessage, Remote};
use channel::MountedChannel;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use drupe_core::Peer;
use std::sync::Arc;

impl<N> Remote<N> {
    /// Passes a connection to the listener with the address `mounted:` and `name`.
    ///
    /// `read` is what the other server has already read from the stream. The returned future tells
    /// whether the connection was admitted, and need not be awaited. A refused peer gets the same
    /// farewell as on a socket.
    pub fn mount(&self, name: &str, peer: Peer, io: impl MountedIo, read: impl Into<Vec<u8>>) -> Admission {
        Admission(self.hand_over(name, peer, MountedChannel::whole(Box::new(io), read.into())))
    }

    /// Passes the head of a request to the listener with the address `mounted:` and `name`.
    ///
    /// The listener must speak WebSocket, without TLS and PROXY. The returned future is the response.
    /// If it is dropped early, the server treats the connection as reset.
    pub fn mount_request(&self, name: &str, peer: Peer, request: MountRequest) -> Handshake {
        let pending = match request.into_bytes() {
            Ok(head) => self.hand_over(name, peer, MountedChannel::of_request(head)),
            Err(problem) => Pending(Err(MountError::Request(problem))),
        };
        Handshake(Some(Seat(pending)))
    }

    fn hand_over(&self, name: &str, peer: Peer, channel: MountedChannel) -> Pending {
        let handoff = channel.handoff();
        let mounting = Mounting { name: name.to_owned(), peer, channel: Box::new(channel) };
        // The first shard accepts.
        let queued = self.queues.any().put(0, DriverMessage::Mount(Box::new(mounting)));
        Pending(queued.map(|()| handoff).map_err(MountError::from))
    }
}

/// The handoff of a connection that was passed to the server, or the error that prevented it.
struct Pending(Result<Arc<Handoff>, MountError>);

impl Pending {
    fn poll(&self, cx: &mut Context<'_>) -> Poll<Result<MountResponse, MountError>> {
        match &self.0 {
            Ok(handoff) => handoff.poll_outcome(cx),
            Err(error) => Poll::Ready(Err(error.clone())),
        }
    }
}

/// The future of [`Remote::mount`]: whether the server admitted the connection.
pub struct Admission(Pending);

impl Future for Admission {
    type Output = Result<(), MountError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.poll(cx).map_ok(drop)
    }
}

/// The future of [`Remote::mount_request`]: the server's answer.
#[must_use = "dropping it resets the connection"]
pub struct Handshake(Option<Seat>);

impl Future for Handshake {
    type Output = Result<MountAnswer, MountError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(seat) = &self.0 else { return Poll::Ready(Err(MountError::Closed)) };
        let outcome = ready!(seat.0.poll(cx));
        let seat = self.0.take();
        Poll::Ready(outcome.map(|response| match seat {
            Some(seat) if response.status == MountResponse::SWITCHING_PROTOCOLS => {
                MountAnswer::Upgrade(response, MountedWebSocket(seat))
            }
            _ => MountAnswer::Response(response),
        }))
    }
}

/// The server's answer to a request. The other server sends the response to its client.
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "the other server must handle each")]
pub enum MountAnswer {
    /// The connection becomes a WebSocket once the response, with status 101, is sent.
    Upgrade(MountResponse, MountedWebSocket),
    /// The response is final: a refusal, or an answer to a request without an upgrade.
    Response(MountResponse),
}

/// A WebSocket of the server that waits for its stream. Dropping it resets the connection.
///
/// What the server sends in the meantime is queued, with the usual limits in bytes and time.
#[must_use = "dropping it resets the connection"]
pub struct MountedWebSocket(Seat);

impl MountedWebSocket {
    /// Passes the upgraded stream. `read` is what the other server has already read from it.
    pub fn attach(self, io: impl MountedIo, read: impl Into<Vec<u8>>) {
        if let Ok(handoff) = &self.0.0.0 {
            handoff.attach(Box::new(io), read.into());
        }
    }
}

/// The other server's half of a request. Dropping it without a stream resets the connection.
struct Seat(Pending);

impl Drop for Seat {
    fn drop(&mut self) {
        if let Ok(handoff) = &self.0.0 {
            handoff.abandon();
        }
    }
}

impl fmt::Debug for Mounting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mounting").field("name", &self.name).finish_non_exhaustive()
    }
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admission")
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshake")
    }
}

impl fmt::Debug for MountedWebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MountedWebSocket")
    }
}
