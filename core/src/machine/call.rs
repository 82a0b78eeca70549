//! Calls of the handler, and containment of its panics.

use super::Machine;
#[cfg(feature = "std")]
use super::panics::Panics;
use crate::base::Reason;
use crate::handler::{Event, Handler, Hub};
use crate::state::Ending;

impl<H: Handler> Machine<H> {
    /// Calls the handler with an event, and ends the event's connection if the handler panics.
    ///
    /// Creates the context of a connection before `Opened`, and drops it after `Closed`. The caller
    /// handles the effects.
    pub(super) fn call(&mut self, event: Event<'_, H::Note>) {
        if self.take_link_event(&event) {
            return;
        }
        let conn = event.conn();
        let closed = event.closes();
        if let Event::Opened { conn, .. } = event {
            self.contexts.opened(conn);
        }
        let panics = self.panics(event);
        if let Some(conn) = closed {
            self.contexts.closed(conn);
        }
        if panics {
            self.state.metrics.handler_panics += 1;
            if let Some(conn) = conn {
                self.state.end(conn.slot(), Reason::HandlerPanicked, Ending::Flush);
            }
        }
    }
}

/// Catches panics of the handler.
///
/// This is safe: the machine's state is consistent between two calls of the hub. The handler's own
/// state is the application's concern.
#[cfg(feature = "std")]
impl<H: Handler> Machine<H> {
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let Self { handler, contexts, state, panics, .. } = self;
        let called = catch_unwind(AssertUnwindSafe(|| handler.on(&mut Hub { state, contexts, app: 0 }, event)));
        let Err(payload) = called else {
            return false;
        };
        if panics.keeps {
            panics.first.get_or_insert(payload);
        }
        true
    }

    /// Sets whether to keep a panic for [`resume_panic`](Self::resume_panic), and drops a kept one.
    pub(crate) fn keep_panics(&mut self, keeps: bool) {
        self.panics = Panics { keeps, first: None };
    }

    /// Resumes the first kept panic of the handler since the last call, if any.
    pub(crate) fn resume_panic(&mut self) {
        if let Some(payload) = self.panics.first.take() {
            std::panic::resume_unwind(payload);
        }
    }
}

/// Calls the handler without catching its panics: only the standard library can catch them.
#[cfg(not(feature = "std"))]
#[expect(clippy::unused_self, reason = "with the standard library it depends")]
impl<H: Handler> Machine<H> {
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        self.handler.on(&mut Hub { state: &mut self.state, contexts: &mut self.contexts, app: 0 }, event);
        false
    }

    pub(crate) const fn keep_panics(&self, _: bool) {}

    pub(crate) const fn resume_panic(&self) {}
}
