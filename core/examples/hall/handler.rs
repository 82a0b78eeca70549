use drupe_core::{ConnId, Event, Handler, Hub, NoNote, Payload, Timer};
use std::collections::BTreeSet;
use std::time::Duration;

/// Keeps count of the people in a hall.
#[derive(Default)]
pub(crate) struct Hall {
    pub(crate) present: BTreeSet<ConnId>,
}

impl Handler for Hall {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload: Payload::Text("enter") } => {
                self.present.insert(conn);
                hub.wake(Timer::of(conn, "reminder"), Duration::from_secs(60));
            }
            Event::Message { conn, payload: Payload::Text("leave") } => {
                self.present.remove(&conn);
            }
            Event::Message { conn, .. } => {
                hub.send(conn, format!("{} present", self.present.len()).as_str());
            }
            Event::Timer(Timer { conn: Some(conn), .. }) if self.present.contains(&conn) => {
                hub.send(conn, "are you still here?");
            }
            _ => {}
        }
    }
}
