//! Per-connection state of a handler.

use crate::base::ConnId;
use alloc::vec::Vec;
use core::fmt;

/// The [contexts](crate::Handler::Context) of one handler, by connection.
///
/// A machine keeps those of its handler. A handler that passes events to other handlers, each with
/// a context type of its own, keeps one `Contexts` for each of them.
///
/// ```
/// use drupe_core::app::{Chat, Relay};
/// use drupe_core::testing::TestHub;
/// use drupe_core::{Contexts, Event, Handler, Hub, NoNote};
///
/// /// A chat for listeners of the application `chat`, and a relay for all others.
/// #[derive(Default)]
/// struct Both {
///     chat: Chat,
///     chatting: Contexts<<Chat as Handler>::Context>,
///     relay: Relay,
/// }
///
/// impl Handler for Both {
///     type Context = ();
///     type Note = NoNote;
///
///     fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
///         let Some(conn) = event.conn() else { return };
///         let is_chat = hub.listen(conn).is_some_and(|listen| listen.app == "chat");
///         match is_chat {
///             true => self.chatting.deliver(hub, event, &mut self.chat),
///             false => self.relay.on(hub, event),
///         }
///     }
/// }
///
/// let mut hub = TestHub::new(Both::default());
/// let peer = hub.connect();
/// hub.line(peer, "/who");
/// ```
pub struct Contexts<C> {
    /// The contexts with their connections, by the connection's slot.
    slots: Vec<Option<(ConnId, C)>>,
}

impl<C: Default> Contexts<C> {
    /// Creates the context of a connection, before its `Opened` event.
    pub(crate) fn opened(&mut self, conn: ConnId) {
        if self.slots.len() <= conn.index() {
            self.slots.resize_with(conn.index() + 1, || None);
        }
        self.slots[conn.index()] = Some((conn, C::default()));
    }
}

impl<C> Contexts<C> {
    /// Drops the context of a connection, after its `Closed` event.
    pub(crate) fn closed(&mut self, conn: ConnId) {
        if self.get(conn).is_some() {
            self.slots[conn.index()] = None;
        }
    }

    /// Returns a connection's context, from its `Opened` event to the end of its `Closed` event.
    pub(crate) fn get(&mut self, conn: ConnId) -> Option<&mut C> {
        let (owner, context) = self.slots.get_mut(conn.index())?.as_mut()?;
        (*owner == conn).then_some(context)
    }

    /// Returns the number of contexts.
    #[cfg(feature = "sim")]
    pub(crate) fn count(&self) -> usize {
        self.slots.iter().flatten().count()
    }
}

impl<C> Default for Contexts<C> {
    fn default() -> Self {
        Self { slots: Vec::new() }
    }
}

impl<C> fmt::Debug for Contexts<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let contexts = self.slots.iter().flatten().count();
        f.debug_struct("Contexts").field("contexts", &contexts).finish_non_exhaustive()
    }
}
