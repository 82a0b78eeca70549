//! The host that is measured.

use crate::processes::Broker;
use drupe_core::history::Keep;
use drupe_core::{
    Config, ConnId, Event, Handler, Home, Hub, Listen, NoNote, PublishOptions, Published, RoomAnswer, RoomLimits,
    RoomMemory, RoomOptions, RoomRequest,
};
use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroU8;

/// Messages that a home keeps of a room, if it keeps any.
pub(super) const KEPT: u32 = 100;

/// Joins (`j ROOM`), publishes (`p ROOM TEXT`), and publishes with an answer (`k ROOM TEXT`).
///
/// The first character of the name of a room decides its home: `h` this host, `k` the broker, which keeps messages,
/// and `p` the broker, which keeps none.
#[derive(Debug, Default)]
struct Desk {
    asked: BTreeMap<RoomRequest, ConnId>,
}

impl Handler for Desk {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Message { conn, payload } => {
                let mut words = payload.as_str().unwrap_or_default().splitn(3, ' ');
                match (words.next(), words.next(), words.next()) {
                    (Some("j"), Some(room), _) => drop(hub.join(conn, room)),
                    (Some("p"), Some(room), Some(text)) => drop(hub.publish(room, text)),
                    (Some("k"), Some(room), Some(text)) => {
                        self.asked.insert(hub.publish_with(room, text, PublishOptions::new()), conn);
                    }
                    _ => {}
                }
            }
            Event::Joined { conn, .. } => drop(hub.send(conn, "j")),
            Event::RoomAnswered { request, answer, .. } => {
                if let Some(conn) = self.asked.remove(&request) {
                    let is_kept = matches!(answer, RoomAnswer::Published(Published::Kept { .. }));
                    hub.send(conn, if is_kept { "k" } else { "refused" });
                }
            }
            _ => {}
        }
    }
}

/// Serves until the process ends. The arguments are an address, the number of workers, and the broker if there is one,
/// such as `redis 127.0.0.1:6379`.
///
/// # Errors
/// If an argument is missing or wrong, or the address cannot be bound.
pub fn serve(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [address, workers, broker @ ..] = arguments else { return Err("an address and workers are needed".into()) };
    let listen: Listen = format!("tcp://{address}").parse()?;
    let workers: NonZeroU8 = workers.parse()?;
    let broker = match broker.first() {
        Some(text) => Some(Broker::from_argument(text).ok_or("the broker is wrong")?),
        None => None,
    };
    let rooms = [("h*", KEPT, Home::Memory), ("k*", KEPT, Home::Shared), ("p*", 0, Home::Shared)];
    let rooms = rooms.map(|(name, keep, home)| RoomOptions::new(name, Keep::messages(keep)).home(home));
    let config = Config::listening([listen])
        .unlimited()
        .rooms(RoomLimits::default().total(u32::MAX).per_connection(u32::MAX))
        .memory(RoomMemory::default().rooms(rooms.into()))
        .cluster(broker.map(Broker::cluster));
    let server = drupe_tokio::Server::bind_sharded(config, workers, |_| Desk::default())?;
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(server.run())?;
    Ok(())
}
