//! A machine that is driven without sockets, as a shell drives it.

use super::extra::{Extra, Watching};
use super::wire::Wire;
use core::fmt;
use drupe_core::{ConnId, Handler, ListenerId, Machine, Peer, Time};
use std::hint::black_box;
use std::time::Duration;

/// So long that no default rate is exceeded, and so short that it counts as no pause of the shell.
const ROUND: Duration = Duration::from_millis(900);

/// A server of one listener.
pub struct Server<H: Handler> {
    machine: Machine<Watching<H>>,
    wire: Wire,
    now: Time,
    /// Where input is given to the machine, which may change it.
    input: Vec<u8>,
}

impl<H: Handler> Server<H> {
    /// Starts a server.
    pub fn new(wire: Wire, handler: H, extra: Extra) -> Self {
        let mut machine = Machine::new(extra.config(wire.listen()), extra.handler(handler));
        extra.record(&mut machine);
        machine.started(Time::START);
        Self { machine, wire, now: Time::START, input: Vec::new() }
    }

    /// Begins a round, after some time.
    pub fn pass_time(&mut self) {
        self.now = self.now + ROUND;
        if self.machine.deadline().is_some_and(|deadline| deadline.at <= self.now) {
            self.machine.elapsed(self.now);
            self.write();
        }
    }

    /// Connects a client.
    pub fn connect(&mut self) -> ConnId {
        let conn = self.machine.accepted(self.now, ListenerId::new(0), Peer::Local).expect("room for all");
        self.turn(conn, self.wire.opening());
        conn
    }

    /// Ends a client's connection.
    pub fn disconnect(&mut self, conn: ConnId) {
        self.machine.ended(self.now, conn);
        self.write();
        assert!(self.machine.intent(conn).is_none(), "the connection has ended");
    }

    /// Receives the input, and writes all that the machine has queued. Returns the number of these bytes.
    pub fn turn(&mut self, conn: ConnId, input: &[u8]) -> usize {
        self.input.clear();
        self.input.extend_from_slice(input);
        if !self.input.is_empty() {
            self.machine.received(self.now, conn, &mut self.input);
        }
        self.write()
    }

    fn write(&mut self) -> usize {
        let mut written = 0;
        while let Some(id) = self.machine.next_changed() {
            let Some(intent) = self.machine.intent(id) else { continue };
            // As shells do: most often there is one slice.
            let bytes = intent.transmit.len();
            if black_box(intent.transmit.first()).len() < bytes {
                black_box(intent.transmit.slices().count());
            }
            if bytes > 0 {
                self.machine.wrote(self.now, id, bytes);
                written += bytes;
            }
        }
        self.machine.turn_ended(self.now);
        written
    }
}

impl<H: Handler> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("wire", &self.wire).finish_non_exhaustive()
    }
}
