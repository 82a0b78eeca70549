//! A wrapper around the handler that checks the guarantees about events.

use super::digest::Digest;
use crate::base::{ConnId, Reason};
use crate::handler::Hub;
use crate::handler::{Event, Handler};
use alloc::collections::{BTreeMap, BTreeSet};

/// A handler that checks each event, stores the first broken guarantee, and calls `inner`.
pub(super) struct Watch<H> {
    inner: H,
    open: BTreeSet<ConnId>,
    stalled: BTreeSet<ConnId>,
    reasons: BTreeMap<ConnId, Reason>,
    /// Digest of all events, in order.
    digest: Digest,
    broken: Option<&'static str>,
}

impl<H> Watch<H> {
    pub(super) fn new(inner: H) -> Self {
        let (open, stalled, reasons) = (BTreeSet::new(), BTreeSet::new(), BTreeMap::new());
        Self { inner, open, stalled, reasons, digest: Digest::default(), broken: None }
    }

    pub(super) const fn inner(&self) -> &H {
        &self.inner
    }

    pub(super) const fn inner_mut(&mut self) -> &mut H {
        &mut self.inner
    }

    /// Returns the number of connections with `Opened` and without `Closed`.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Returns the number of connections with `Stalled` and without a later `Drained` or `Closed`.
    pub(super) fn stalled(&self) -> usize {
        self.stalled.len()
    }

    pub(super) fn closed(&self) -> usize {
        self.reasons.len()
    }

    /// Returns the reason in the connection's `Closed`, if it was emitted.
    pub(super) fn reason(&self, conn: ConnId) -> Option<Reason> {
        self.reasons.get(&conn).copied()
    }

    pub(super) const fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns the first guarantee that was broken, if any.
    pub(super) const fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    fn expect(&mut self, kept: bool, promise: &'static str) {
        if !kept {
            self.broken.get_or_insert(promise);
        }
    }
}

impl<H: Handler> Watch<H> {
    fn digest_event(&mut self, event: &Event<'_, H::Note>) {
        if let Some(conn) = event.conn() {
            self.digest.mix(&conn.slot().to_be_bytes());
            self.digest.mix(&conn.generation().to_be_bytes());
        }
        match event {
            Event::Opened { .. } => self.digest.mix(b"opened"),
            Event::Message { payload, .. } => self.digest.mix(payload.as_bytes()),
            Event::Closed { reason, .. } => self.digest.mix(&reason.number().to_be_bytes()),
            Event::Stalled { queued, .. } => self.digest.mix(&queued.to_be_bytes()),
            Event::Drained { .. } => self.digest.mix(b"drained"),
            Event::Sent { bytes, .. } => self.digest.mix(&bytes.to_be_bytes()),
            Event::Timer(timer) => self.digest.mix(timer.name.as_bytes()),
            _ => self.digest.mix(b"."),
        }
    }
}

impl<H: Handler> Handler for Watch<H> {
    type Context = H::Context;
    type Note = H::Note;

    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>) {
        self.digest_event(&event);
        match event {
            Event::Opened { conn, .. } => {
                let new = self.open.insert(conn) && !self.reasons.contains_key(&conn);
                self.expect(new, "a connection opens once");
            }
            Event::Closed { conn, reason } => {
                let was_open = self.open.remove(&conn) && self.reasons.insert(conn, reason).is_none();
                self.stalled.remove(&conn);
                self.expect(was_open, "a connection closes once, after it opened");
                self.expect(hub.context(conn).is_some(), "a context can be read when its connection closes");
                self.expect(
                    !hub.is_open(conn) && hub.rooms_of(conn).next().is_none(),
                    "a closed connection is in no room",
                );
                self.expect(hub.tickets(conn).next().is_none(), "a closed connection has no tickets");
            }
            Event::Stalled { conn, .. } => {
                let was_not = self.stalled.insert(conn);
                self.expect(was_not, "Stalled and Drained alternate, and Stalled comes first");
            }
            Event::Drained { conn } => {
                let was = self.stalled.remove(&conn);
                self.expect(was, "Stalled and Drained alternate, and Stalled comes first");
            }
            Event::Timer(timer) => {
                let is_open = timer.conn.is_none_or(|conn| self.open.contains(&conn));
                self.expect(is_open, "a timer ends with its connection");
            }
            Event::TicketExpired(ticket) => {
                self.expect(self.open.contains(&ticket.conn()), "a ticket ends with its connection");
            }
            _ => {}
        }
        if let Some(conn) = event.conn().filter(|_| !matches!(event, Event::Closed { .. })) {
            self.expect(self.open.contains(&conn), "events name only open connections");
        }
        self.inner.on(hub, event);
    }

    fn holds_secrets(&self) -> bool {
        self.inner.holds_secrets()
    }
}
