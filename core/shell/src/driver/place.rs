//! A listener of a driver, and its number.

use crate::{OsListener, Sockets};
use drupe_core::{Address, ListenerId};
use std::collections::BTreeMap;
use std::io;

/// Number of the first listener. Listeners count down from it, connections count up from 0.
pub(super) const FIRST_LISTENER: u32 = u32::MAX;

/// A listener of a driver: its address, and its socket if it has one.
pub(super) struct Place<L> {
    /// The listener's address, with the port that the system chose.
    pub(super) address: Address,
    /// The open listener. `None` for tunnels and mounts, and after it was closed to free its port.
    pub(super) door: Option<ListenerState<L>>,
}

/// A listener that is registered with the runtime, and its accept state.
pub(super) struct ListenerState<L> {
    pub(super) listener: L,
    /// Whether accepting is paused because the machine does not accept at the moment.
    pub(super) resting: bool,
}

impl<L> Place<L> {
    /// Creates the entry of a listener without a socket: a mount or a tunnel's listener.
    pub(super) const fn far(address: Address) -> Self {
        Self { address, door: None }
    }

    /// Registers a listener with the runtime, and returns its entry.
    pub(super) fn watched<S: Sockets<Listener = L>>(
        sockets: &mut S,
        id: ListenerId,
        listener: OsListener,
    ) -> io::Result<Self> {
        let address = listener.address()?;
        let listener = sockets.listen(number(id), listener)?;
        Ok(Self { address, door: Some(ListenerState { listener, resting: false }) })
    }
}

/// The listeners of a driver, by id.
pub(super) type Places<L> = BTreeMap<ListenerId, Place<L>>;

/// Returns the number under which the runtime reports the readiness of a listener.
pub(super) const fn number(id: ListenerId) -> u32 {
    FIRST_LISTENER - id.number()
}
