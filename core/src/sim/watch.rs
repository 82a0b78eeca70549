use crate::handler::{Event, Handler};
use crate::{ConnId, Hub};
use alloc::collections::BTreeSet;

/// Watches what a handler is told: each connection opens once, closes once, and is named only in between.
pub(super) struct Watch<H> {
    inner: H,
    open: BTreeSet<ConnId>,
    closed: u64,
    broken: Option<&'static str>,
}

impl<H> Watch<H> {
    pub(super) fn new(inner: H) -> Self {
        Self { inner, open: BTreeSet::new(), closed: 0, broken: None }
    }

    pub(super) fn inner(&self) -> &H {
        &self.inner
    }

    pub(super) fn closed(&self) -> u64 {
        self.closed
    }

    /// The first promise that was broken.
    pub(super) fn broken(&self) -> Option<&'static str> {
        self.broken
    }

    fn expect(&mut self, kept: bool, promise: &'static str) {
        if !kept {
            self.broken.get_or_insert(promise);
        }
    }
}

impl<H: Handler> Handler for Watch<H> {
    type Context = H::Context;
    type Note = H::Note;

    fn on(&mut self, hub: &mut Hub<'_, H::Context>, event: Event<'_, H::Note>) {
        match event {
            Event::Opened { conn, .. } => {
                let new = self.open.insert(conn);
                self.expect(new, "a connection opens once");
            }
            Event::Closed { conn, .. } => {
                let was_open = self.open.remove(&conn);
                self.expect(was_open, "a connection closes once, after it opened");
                self.expect(hub.context(conn).is_some(), "a context can be read when its connection closes");
                self.expect(!hub.is_open(conn) && hub.rooms_of(conn).next().is_none(), "who is closed is in no room");
                self.closed += 1;
            }
            Event::Message { conn, .. }
            | Event::InputEnded { conn }
            | Event::Stalled { conn, .. }
            | Event::Drained { conn } => {
                self.expect(self.open.contains(&conn), "only open connections are named");
            }
            Event::Timer(timer) => {
                self.expect(
                    timer.conn.is_none_or(|conn| self.open.contains(&conn)),
                    "a timer ends with its connection",
                );
            }
            _ => {}
        }
        self.inner.on(hub, event);
    }
}
