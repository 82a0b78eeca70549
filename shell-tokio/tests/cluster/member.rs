//! A member of rooms, which records what it receives and comes back with its positions.

use super::host::Ports;
use super::record::{Position, Seen, Shared, What, locked};
use super::wire::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What a member has received.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) rooms: BTreeMap<String, Vec<Seen>>,
    /// The position after which messages follow, for each room.
    pub(crate) positions: BTreeMap<String, Position>,
    /// Names that came and went: the room, the name, and whether it came.
    pub(crate) presence: Vec<(Instant, String, String, bool)>,
    /// Rooms whose subscription was answered on the present connection.
    pub(crate) subscribed: BTreeMap<String, bool>,
    pub(crate) connections: usize,
}

pub(crate) struct Member {
    pub(crate) record: Shared<Record>,
    pub(crate) host: usize,
    pub(crate) rooms: Vec<String>,
    stop: Arc<AtomicBool>,
    stays: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Member {
    /// Starts a member on a host. It logs in if it has a name.
    pub(crate) fn start(ports: &Ports, host: usize, rooms: &[&str], name: Option<&str>) -> Self {
        Self::start_body(ports, host, rooms, name, usize::MAX)
    }

    /// Starts a member that goes to the next host after so many messages, until it is told to [stay](Self::stay).
    pub(crate) fn start_hopping(ports: &Ports, host: usize, rooms: &[&str], messages: usize) -> Self {
        Self::start_body(ports, host, rooms, None, messages)
    }

    fn start_body(ports: &Ports, host: usize, rooms: &[&str], name: Option<&str>, messages: usize) -> Self {
        let (record, stop) = (Shared::<Record>::default(), Arc::new(AtomicBool::new(false)));
        let stays = Arc::new(AtomicBool::new(messages == usize::MAX));
        let rooms: Vec<String> = rooms.iter().map(|room| (*room).to_owned()).collect();
        let body = Body {
            ports: Arc::clone(ports),
            host,
            rooms: rooms.clone(),
            name: name.map(ToOwned::to_owned),
            messages,
            record: Arc::clone(&record),
            stop: Arc::clone(&stop),
            stays: Arc::clone(&stays),
        };
        let thread = Some(std::thread::spawn(move || body.run()));
        Self { record, host, rooms, stop, stays, thread }
    }

    /// Makes it stay where it is.
    pub(crate) fn stay(&self) {
        self.stays.store(true, Ordering::Relaxed);
    }

    /// Waits until something about its record is true.
    pub(crate) fn wait(&self, what: &str, is_true: impl Fn(&Record) -> bool) {
        let since = Instant::now();
        while !is_true(&locked(&self.record)) {
            let is_late = since.elapsed() > Duration::from_secs(90);
            assert!(!is_late, "a member on host {}: {what} never happened: {}", self.host, self.summary());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the last things that it has received.
    pub(crate) fn summary(&self) -> String {
        let record = locked(&self.record);
        let tail = |seen: &Vec<Seen>| {
            let last = seen.iter().rev().take(4).rev();
            last.map(|seen| format!("{:?}", seen.what)).collect::<Vec<_>>().join(", ")
        };
        let rooms = record.rooms.iter().map(|(room, seen)| format!("{room} ({}): {}", seen.len(), tail(seen)));
        format!("{} connections; {}", record.connections, rooms.collect::<Vec<_>>().join("; "))
    }

    /// Ends it, and fails if it has failed.
    pub(crate) fn end(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("not ended").join().expect("a member failed");
        core::mem::take(&mut *locked(&self.record))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Body {
    ports: Ports,
    host: usize,
    rooms: Vec<String>,
    name: Option<String>,
    /// Number of messages after which it goes to the next host.
    messages: usize,
    record: Shared<Record>,
    stop: Arc<AtomicBool>,
    stays: Arc<AtomicBool>,
}

impl Body {
    fn run(mut self) {
        while !self.stop.load(Ordering::Relaxed) {
            let port = locked(&self.ports)[self.host];
            // The connection ends with its host, and then it comes back.
            match Connection::open(port).and_then(|connection| self.follow(connection)) {
                Ok(()) => self.host = (self.host + 1) % 3,
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn follow(&self, mut connection: Connection) -> io::Result<()> {
        if let Some(name) = &self.name {
            connection.send(&json!({ "type": "login", "name": name }))?;
        }
        {
            let mut record = locked(&self.record);
            record.connections += 1;
            record.subscribed.clear();
        }
        for room in &self.rooms {
            self.subscribe(&mut connection, room)?;
        }
        let mut received = 0;
        while !self.stop.load(Ordering::Relaxed) {
            if received >= self.messages && !self.stays.load(Ordering::Relaxed) {
                return Ok(());
            }
            if let Some(message) = connection.receive()? {
                received += usize::from(message["type"] == "message");
                self.handle(&message)?;
            }
        }
        Ok(())
    }

    fn subscribe(&self, connection: &mut Connection, room: &str) -> io::Result<()> {
        let since = locked(&self.record).positions.get(room).map(|position| position.text());
        connection.send(&json!({ "type": "subscribe", "room": room, "since": since }))
    }

    fn handle(&self, message: &Value) -> io::Result<()> {
        let text = |field: &str| message[field].as_str().map(ToOwned::to_owned);
        let position = || message["position"].as_str().map(Position::parse);
        let room = text("room").unwrap_or_default();
        let what = match message["type"].as_str().unwrap_or_default() {
            "subscribed" => {
                let position = position().expect("shared rooms have positions");
                let is_recovered = message["recovered"].as_bool();
                locked(&self.record).subscribed.insert(room.clone(), is_recovered.unwrap_or(true));
                match is_recovered {
                    None => What::New(position),
                    Some(true) => What::Recovered(position),
                    Some(false) => What::NotRecovered(position, text("why").unwrap_or_default()),
                }
            }
            "message" => What::Message(position().expect("shared rooms have positions"), id(&message["data"])),
            "gap" => What::Gap(position(), text("why").unwrap_or_default()),
            "presence_changed" => {
                let is_present = message["present"].as_bool().expect("a truth");
                let change = (Instant::now(), room, text("name").unwrap_or_default(), is_present);
                locked(&self.record).presence.push(change);
                return Ok(());
            }
            "error" if message["of"] == "subscribe" => {
                // Such as a request that took too long. Another connection tries again.
                return Err(io::Error::other(message.to_string()));
            }
            _ => panic!("a member received {message}"),
        };
        let mut record = locked(&self.record);
        let known = match &what {
            What::New(position)
            | What::Recovered(position)
            | What::NotRecovered(position, _)
            | What::Message(position, _) => Some(*position),
            What::Gap(position, _) => *position,
        };
        if let Some(position) = known {
            record.positions.insert(room.clone(), position);
        }
        record.rooms.entry(room).or_default().push(Seen { at: Instant::now(), what });
        Ok(())
    }
}

/// Reads the publisher and the number in the data of a message.
fn id(data: &Value) -> super::record::Id {
    let number = |field: &str| data[field].as_u64().expect("a number");
    (u32::try_from(number("p")).expect("small"), number("n"))
}
