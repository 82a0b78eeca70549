//! Records of connections, work and errors for the lists in the metrics.

use super::{State, Ticket};
use crate::base::{ConnId, Peer, Reason, Time, whole_millis};
use crate::metrics::{ConnectionSummary, ErrorSummary, Recent, WorkSummary, is_error, network_of};
use crate::state::conn::Conn;
use alloc::sync::Arc;
use core::time::Duration;

impl State {
    /// Records an ended connection. Unless its end was regular, records an error as well.
    pub(super) fn record_end(&mut self, id: ConnId, reason: Reason, duration: Duration) {
        let Some(conn) = self.conns.get(id) else { return };
        let (at, wire, peer) = (self.now, Conn::wire_name(conn), self.shown(id));
        self.metrics.durations_ms.record(whole_millis(duration));
        self.metrics.connection_longest_ms = self.metrics.connection_longest_ms.max(whole_millis(duration));
        self.recent.ended(ConnectionSummary { at, duration, reason, wire, peer }, &self.config.metrics);
        self.record_error_of(id, reason);
    }

    /// Records an error of a connection, unless the reason is that of a regular end.
    pub(crate) fn record_error_of(&mut self, id: ConnId, reason: Reason) {
        let peer = self.shown(id);
        self.record_error(reason, peer);
    }

    /// Records the refusal of a peer as an error, unless the reason is that of a regular end.
    pub(crate) fn record_refusal(&mut self, peer: Peer, reason: Reason) {
        self.record_error(reason, network_of(peer));
    }

    fn record_error(&mut self, reason: Reason, peer: Arc<str>) {
        if is_error(reason) {
            let (at, unix) = (self.now, self.wall_clock.map(|clock| clock.unix(self.now)));
            if let Some(unix) = unix {
                self.metrics.error_last_unix_secs.raise(reason, unix.as_secs());
            }
            self.recent.failed(ErrorSummary { at, unix, reason, peer }, &self.config.metrics);
        }
    }

    /// Redeems a ticket, and records its work. Returns false if it was no longer valid.
    pub(crate) fn redeem(&mut self, ticket: Ticket, finished: bool) -> bool {
        let issued = self.tickets.issued_at(ticket);
        let redeemed = self.tickets.redeem(ticket);
        if let Some(issued) = issued.filter(|_| redeemed) {
            self.record_work(ticket, issued, finished);
        }
        redeemed
    }

    /// Removes, records and returns the earliest overdue ticket.
    pub(crate) fn take_due_ticket(&mut self) -> Option<Ticket> {
        let (ticket, issued) = self.tickets.take_due(self.now)?;
        self.record_work(ticket, issued, false);
        Some(ticket)
    }

    fn record_work(&mut self, ticket: Ticket, issued: Time, finished: bool) {
        let (at, duration, peer) = (self.now, self.now.since(issued), self.shown(ticket.conn()));
        self.metrics.work_ms.record(whole_millis(duration));
        self.metrics.work_longest_ms = self.metrics.work_longest_ms.max(whole_millis(duration));
        self.recent.worked(WorkSummary { at, duration, finished, peer }, &self.config.metrics);
    }

    /// Clears the recent errors and connections, and the longest durations. Counters stay.
    pub(crate) fn reset_recent(&mut self) {
        self.recent = Recent::default();
        (self.metrics.connection_longest_ms, self.metrics.work_longest_ms) = (0, 0);
    }

    /// Returns the label of a connection, or the network of its peer.
    fn shown(&self, id: ConnId) -> Arc<str> {
        match (self.labels.get(id), self.conns.get(id)) {
            (Some(label), _) => label.into(),
            (None, Some(conn)) => network_of(conn.peer),
            (None, None) => "".into(),
        }
    }
}
