//! Events of the link to the broker of shared rooms, which the application does not get.

use super::Machine;
#[cfg(feature = "sim")]
use crate::base::ConnId;
use crate::base::Origin;
use crate::handler::{Event, Handler};
use crate::state::State;
#[cfg(feature = "sim")]
use alloc::vec::Vec;

impl<H: Handler> Machine<H> {
    /// Handles an event of the link. Returns `false` if it is one of the application.
    pub(super) fn take_link_event(&mut self, event: &Event<'_, H::Note>) -> bool {
        match *event {
            Event::Opened { conn, origin: Origin::Dial(dial), .. } if State::is_link_dial(dial) => {
                self.state.link_opened(conn, dial);
            }
            Event::DialFailed { dial, failure, .. } if State::is_link_dial(dial) => {
                self.state.link_dial_failed(dial, failure);
            }
            Event::DialEnded { dial } if State::is_link_dial(dial) => {}
            Event::Message { conn, payload } if self.state.is_link(conn) => self.state.link_received(conn, payload),
            Event::Closed { conn, reason } if self.state.is_link(conn) => self.state.link_closed(conn, reason),
            _ => return event.conn().is_some_and(|conn| self.state.is_link(conn)),
        }
        true
    }

    /// Returns the number of open connections to the broker, and how many of them are stalled.
    #[cfg(feature = "sim")]
    pub(crate) fn open_links(&self) -> (u64, u64) {
        let is_open_link = |id: &ConnId| self.state.open_slot(*id).is_some() && self.state.is_link(*id);
        let links: Vec<ConnId> = self.state.conns.ids().filter(is_open_link).collect();
        let stalled = links.iter().filter(|id| self.state.outbound.is_stalled(id.slot())).count();
        (links.len() as u64, stalled as u64)
    }
}
