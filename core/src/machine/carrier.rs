//! A stream of bytes in the messages of a WebSocket (`ws+telnet`).

use super::Machine;
use crate::handler::Handler;
use crate::state::Ending;
use crate::wire::Item;
use crate::{ConnId, Reason};
use alloc::vec::Vec;

impl<H: Handler> Machine<H> {
    /// Takes the stream out of what carries it; `None` if nothing does. What else is in it is done at once.
    pub(super) fn unwrap(&mut self, conn: ConnId, bytes: &mut [u8]) -> Option<Vec<u8>> {
        self.state.conns.get(conn).filter(|found| found.is_open() && found.carrier.is_some())?;
        let budget = self.state.budget(conn);
        let mut scratch = core::mem::take(&mut self.scratch);
        let (mut at, mut stream, mut end) = (0, Vec::new(), None);
        while at < bytes.len() && end.is_none() {
            let Some(carrier) = self.state.conns.get_mut(conn).and_then(|found| found.carrier.as_mut()) else { break };
            let (mut units, mut cost, mut pong) = (0, 0, None);
            match carrier.decode(&mut bytes[at..], &mut scratch, &budget) {
                Ok(decoded) => {
                    at += decoded.used;
                    (units, cost) = (decoded.units, decoded.used);
                    match decoded.item {
                        Some(Item::Message(payload)) => {
                            let content = payload.as_bytes();
                            stream.extend_from_slice(content);
                            // What is in messages is charged as it is served.
                            units = u32::from(content.is_empty());
                            cost = cost.saturating_sub(content.len());
                        }
                        Some(Item::Pong(sent_at)) => pong = Some(sent_at),
                        Some(Item::Closed(_)) => end = Some(Reason::PeerClosed),
                        Some(Item::Signal(_)) | None => {}
                    }
                }
                Err(error) => end = Some(error.reason()),
            }
            if let Some(replies) = carrier.replies() {
                self.state.outbound.control(conn.slot(), &replies.control);
                self.state.outbound.send_raw(conn.slot(), &replies.output, None);
            }
            if let Some(sent_at) = pong {
                self.state.answered_ping(conn.slot(), sent_at);
            }
            self.state.charge(conn.slot(), units.into(), cost as u64);
            if self.state.open_slot(conn).is_none() {
                stream.clear();
                break;
            }
        }
        scratch.shrink();
        self.scratch = scratch;
        if let Some(reason) = end {
            let _ = self.digest(conn, &mut stream);
            self.state.end(conn.slot(), reason, Ending::Flush);
            stream.clear();
        }
        Some(stream)
    }
}
