//! Delivery of an event to a handler that has contexts of its own.

use crate::base::ConnId;
use crate::handler::{Contexts, Event, Handler, Hub};

impl<C: Default> Contexts<C> {
    /// Calls a handler with a hub that has these contexts.
    ///
    /// Creates the context of a connection before its `Opened` event, and drops it after its
    /// `Closed` event.
    pub fn deliver<D, H>(&mut self, hub: &mut Hub<'_, D>, event: Event<'_, H::Note>, handler: &mut H)
    where
        H: Handler<Context = C>,
    {
        self.deliver_to(hub.app, hub, event, handler);
    }

    /// As [`deliver`](Self::deliver), for one of several applications.
    pub(crate) fn deliver_to<D, H>(&mut self, app: u8, hub: &mut Hub<'_, D>, event: Event<'_, H::Note>, handler: &mut H)
    where
        H: Handler<Context = C>,
    {
        let closed = event.closes();
        if let Event::Opened { conn, .. } = event {
            self.opened(conn);
        }
        handler.on(&mut Hub { state: hub.state, contexts: self, app }, event);
        if let Some(conn) = closed {
            self.closed(conn);
        }
    }
}

impl<N> Event<'_, N> {
    /// Returns the connection of a `Closed` event.
    pub(crate) const fn closes(&self) -> Option<ConnId> {
        match *self {
            Self::Closed { conn, .. } => Some(conn),
            _ => None,
        }
    }
}
