//! The interface between a driver and the SSH server of a listener.

use super::{Channel, OsStream};
use drupe_core::Peer;
use drupe_core::wire::ssh::{SshHost, SshServer};
use std::sync::Arc;

/// An SSH server, to which a driver passes the connections of SSH listeners.
///
/// The crate `drupe-ssh` implements it.
pub trait SshAccept: Send + Sync + 'static {
    /// Takes an accepted connection, and returns its session as a channel.
    ///
    /// The channel yields [`SshFrame`](drupe_core::wire::ssh::SshFrame)s, the first of them once the peer
    /// has logged in or has failed to. The call never blocks. Dropping the channel ends the connection.
    fn accept(&self, stream: OsStream, peer: Peer) -> Box<dyn Channel>;
}

/// The SSH server of a listener, as a driver finds it in the configuration.
#[derive(Clone)]
pub struct SshAcceptor(Arc<dyn SshAccept>);

impl SshAcceptor {
    /// Wraps an SSH server for [`SshServer::host`].
    #[must_use]
    pub fn host(server: impl SshAccept) -> SshHost {
        SshHost::new(Self(Arc::new(server)))
    }

    /// Returns the SSH server of a listener, if it is loaded.
    pub(super) fn of(server: &SshServer) -> Option<Self> {
        server.host.get::<Self>().cloned()
    }

    pub(super) fn accept(&self, stream: OsStream, peer: Peer) -> Box<dyn Channel> {
        self.0.accept(stream, peer)
    }
}

impl core::fmt::Debug for SshAcceptor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("SshAcceptor")
    }
}
