use crate::handler::{Event, Handler, Hub, NoNote};

/// Echo application: sends every message back to its sender, text as text, binary as binary.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has no options")]
pub struct Echo;

impl Echo {
    pub(super) fn on_event<C, N>(hub: &mut Hub<'_, C>, event: &Event<'_, N>) {
        if let Event::Message { conn, payload } = *event {
            hub.send(conn, payload);
        }
    }
}

impl Handler for Echo {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        Self::on_event(hub, &event);
    }

    fn reads_keys(&self) -> bool {
        false
    }
}
