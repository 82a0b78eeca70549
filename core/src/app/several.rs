use super::{AppName, Chat, Echo, Envelope, Member, Relay};
use crate::base::ConnId;
use crate::handler::{Event, Handler, Hub, NoNote};
use alloc::collections::BTreeMap;

/// Handler that serves each connection with the ready-made application of its listener.
///
/// A connection uses the application that its listener [names](crate::Listen::app), or [`Chat`] if
/// it names none of them. Listeners with the same application share one instance. Dialled
/// connections use [`Chat`].
#[derive(Debug)]
pub struct Several {
    chat: Chat,
    relay: Relay,
    /// The application of each connection.
    ///
    /// It is fixed when the connection opens: a reload may change the listener's application.
    of: BTreeMap<ConnId, AppName>,
}

impl Several {
    /// Creates all ready-made applications. The relay uses `envelope`.
    #[must_use]
    pub fn new(envelope: Envelope) -> Self {
        Self { chat: Chat::default(), relay: Relay::new(envelope), of: BTreeMap::new() }
    }
}

impl Handler for Several {
    type Context = Member;
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, Member>, event: Event<'_, NoNote>) {
        let Some(conn) = event.conn() else { return };
        if let Event::Opened { .. } = event {
            let named = hub.listen(conn).and_then(|listen| listen.app.parse().ok());
            self.of.insert(conn, named.unwrap_or(AppName::Chat));
        }
        let app = self.of.get(&conn).copied();
        if let Event::Closed { .. } = event {
            self.of.remove(&conn);
        }
        match app {
            Some(AppName::Chat) => self.chat.on(hub, event),
            Some(AppName::Relay) => self.relay.on_event(hub, &event),
            Some(AppName::Echo) => Echo::on_event(hub, &event),
            None => {}
        }
    }

    fn reads_keys(&self) -> bool {
        false
    }
}
