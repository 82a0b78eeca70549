//! Calling the handler, and what is done when it panics.

use super::Machine;
use crate::handler::{Event, Handler};
use crate::state::Ending;
use crate::{Hub, Reason};

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

    /// The state is between two calls of the hub, and so whole; the handler is the application's to mend.
    #[cfg(feature = "std")]
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        use std::panic::{AssertUnwindSafe, catch_unwind};
        let Self { handler, state, .. } = self;
        catch_unwind(AssertUnwindSafe(|| handler.on(&mut Hub { state }, event))).is_err()
    }

    #[cfg(not(feature = "std"))]
    fn panics(&mut self, event: Event<'_, H::Note>) -> bool {
        self.handler.on(&mut Hub { state: &mut self.state }, event);
        false
    }
}
