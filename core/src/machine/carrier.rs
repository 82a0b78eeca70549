//! A stream of bytes in the messages of a WebSocket (`ws+telnet`).

use super::Machine;
use crate::ConnId;
use crate::Reason;
use crate::handler::Handler;
use crate::state::Ending;
use crate::wire::{Decoded, Item};
use alloc::vec::Vec;

impl<H: Handler> Machine<H> {
    /// Takes the stream out of what carries it; `None` if nothing does. What else is in it is done at once.
    pub(super) fn unwrap(&mut self, conn: ConnId, bytes: &mut [u8]) -> Option<Vec<u8>> {
        let found = self.state.conns.get_mut(conn).filter(|found| found.is_open())?;
        let mut carrier = found.carrier.take()?;
        let budget = self.state.budget(conn);
        let mut scratch = core::mem::take(&mut self.scratch);
        let (mut at, mut stream, mut end) = (0, Vec::new(), None);
        while at < bytes.len() && end.is_none() {
            match carrier.decode(&mut bytes[at..], &mut scratch, &budget) {
                Ok(Decoded { used, units, item, .. }) => {
                    at += used;
                    // What is in messages is charged as it is served.
                    let carried = match item {
                        Some(Item::Message(payload)) => payload.as_bytes().len(),
                        _ => 0,
                    };
                    let units = if carried > 0 { 0 } else { u64::from(units) };
                    self.state.charge(conn.slot(), units, used.saturating_sub(carried) as u64);
                    if self.state.open_slot(conn).is_none() {
                        stream.clear();
                        break;
                    }
                    match item {
                        Some(Item::Message(payload)) => stream.extend_from_slice(payload.as_bytes()),
                        Some(Item::Pong(sent_at)) => self.state.answered_ping(conn.slot(), sent_at),
                        Some(Item::Closed(_)) => end = Some(Reason::PeerClosed),
                        _ => {}
                    }
                }
                Err(error) => end = Some(error.reason()),
            }
            if let Some(replies) = carrier.replies() {
                self.state.outbound.control(conn.slot(), &replies.control);
                self.state.outbound.send_raw(conn.slot(), &replies.output, None);
            }
        }
        scratch.shrink();
        self.scratch = scratch;
        if let Some(found) = self.state.conns.get_mut(conn) {
            found.carrier = Some(carrier);
        }
        if let Some(reason) = end {
            self.digest(conn, &mut stream);
            self.state.end(conn.slot(), reason, Ending::Flush);
            stream.clear();
        }
        Some(stream)
    }
}
