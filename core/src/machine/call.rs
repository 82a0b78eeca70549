//! Calling the handler, and what is done when it panics.

use super::Machine;
use crate::base::Reason;
use crate::handler::Hub;
use crate::handler::{Event, Handler};
use crate::state::Ending;
#[cfg(feature = "std")]
use alloc::boxed::Box;

/// What becomes of the handler's panics, beside that they are counted: outside of tests, nothing.
#[cfg(feature = "std")]
#[derive(Default)]
pub(super) struct Panics {
    keeps: bool,
    first: Option<Box<dyn core::any::Any + Send>>,
}

impl<H: Handler> Machine<H> {
    /// Tells the handler. What comes of it is left to the caller.
    pub(super) fn call(&mut self, event: Event<'_, H::Note>) {
        let conn = event.conn();
        if self.panics(event) {
            self.state.metrics.handler_panics += 1;
            if let Some(conn) = conn {
                self.state.end(conn.slot(), Reason::HandlerPanicked, Ending::Flush);
            }
        }
    }
}

/// The state is between two calls of the hub, and so whole; the handler is the application's to mend.
#[cfg(feature = "std")]
impl<H: Handler> Machine<H> {
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let Self { handler, state, panics, .. } = self;
        let Err(payload) = catch_unwind(AssertUnwindSafe(|| handler.on(&mut Hub { state }, event))) else {
            return false;
        };
        if panics.keeps {
            panics.first.get_or_insert(payload);
        }
        true
    }

    /// From now on [`resume_panic`](Self::resume_panic) goes on with panics of the handler, or no longer.
    pub(crate) fn keep_panics(&mut self, keeps: bool) {
        self.panics = Panics { keeps, first: None };
    }

    /// Goes on with the first panic of the handler since this was last asked, if there was one.
    pub(crate) fn resume_panic(&mut self) {
        if let Some(payload) = self.panics.first.take() {
            std::panic::resume_unwind(payload);
        }
    }
}

/// Without the standard library nobody stops a panic.
#[cfg(not(feature = "std"))]
#[expect(clippy::unused_self, reason = "with the standard library it depends")]
impl<H: Handler> Machine<H> {
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        self.handler.on(&mut Hub { state: &mut self.state }, event);
        false
    }

    pub(crate) const fn keep_panics(&self, _: bool) {}

    pub(crate) const fn resume_panic(&self) {}
}
