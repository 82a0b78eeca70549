//! A publisher, which numbers its messages and notes what becomes of each.

use super::host::Ports;
use super::record::{Acknowledged, Ledger, Position, Shared, locked};
use super::wire::Connection;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How a publisher works.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Number of messages that it sends before it waits for the answers.
    pub(crate) batch: u64,
    /// The wait after each batch.
    pub(crate) pause: Duration,
    /// Number of messages after which it ends.
    pub(crate) count: u64,
    /// Bytes in each message besides its number.
    pub(crate) padding: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { batch: 4, pause: Duration::from_millis(40), count: u64::MAX, padding: 0 }
    }
}

pub(crate) struct Publisher {
    pub(crate) ledger: Shared<Ledger>,
    stop: Arc<AtomicBool>,
    /// Number of acknowledged messages.
    pub(crate) acknowledged: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Publisher {
    /// Starts a publisher on a host, which sends to these rooms in turn.
    pub(crate) fn start(ports: &Ports, host: usize, number: u32, rooms: &[&str], pace: Pace) -> Self {
        let (ledger, stop, acknowledged) =
            (Shared::<Ledger>::default(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let body = Body {
            ports: Arc::clone(ports),
            host,
            number,
            rooms: rooms.iter().map(|room| (*room).to_owned()).collect(),
            pace,
            ledger: Arc::clone(&ledger),
            stop: Arc::clone(&stop),
            acknowledged: Arc::clone(&acknowledged),
        };
        let thread = Some(std::thread::spawn(move || body.run()));
        Self { ledger, stop, acknowledged, thread }
    }

    /// Waits until it has this many acknowledgements more than now.
    pub(crate) fn wait_for_more(&self, count: u64) {
        let (since, before) = (Instant::now(), self.acknowledged.load(Ordering::Relaxed));
        while self.acknowledged.load(Ordering::Relaxed) < before + count {
            let is_late = since.elapsed() > Duration::from_secs(90);
            assert!(!is_late, "nothing is acknowledged any more: {:?}", locked(&self.ledger).refused.last());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until it has ended by itself.
    pub(crate) fn finish(mut self) -> Ledger {
        self.thread.take().expect("not ended").join().expect("a publisher failed");
        core::mem::take(&mut *locked(&self.ledger))
    }

    /// Ends it.
    pub(crate) fn end(self) -> Ledger {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

struct Body {
    ports: Ports,
    host: usize,
    number: u32,
    rooms: Vec<String>,
    pace: Pace,
    ledger: Shared<Ledger>,
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
}

impl Body {
    fn run(self) {
        let mut next = 1;
        while !self.is_over(next) {
            let port = locked(&self.ports)[self.host];
            let _ = Connection::open(port).and_then(|mut connection| {
                while !self.is_over(next) {
                    self.publish(&mut connection, &mut next)?;
                    std::thread::sleep(self.pace.pause);
                }
                Ok(())
            });
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn is_over(&self, next: u64) -> bool {
        next > self.pace.count || self.stop.load(Ordering::Relaxed)
    }

    /// Sends a batch, and waits for its answers.
    fn publish(&self, connection: &mut Connection, next: &mut u64) -> io::Result<()> {
        let end = next.saturating_add(self.pace.batch).min(self.pace.count.saturating_add(1));
        let (mut waiting, mut batch, padding) = (BTreeMap::new(), Vec::new(), "x".repeat(self.pace.padding));
        let sent_at = Instant::now();
        for number in *next..end {
            let room = &self.rooms[usize::try_from(number).expect("small") % self.rooms.len()];
            let data = json!({ "p": self.number, "n": number, "x": padding });
            batch.push(json!({ "type": "publish", "id": number, "room": room, "data": data }));
            waiting.insert(number, room);
        }
        *next = end;
        let done = connection.send_all(&batch).and_then(|()| {
            while !waiting.is_empty() {
                let is_late = sent_at.elapsed() > Duration::from_secs(60);
                assert!(!is_late, "publisher {}: {} messages without an answer", self.number, waiting.len());
                let Some(answer) = connection.receive()? else { continue };
                if let Some(room) = answer["id"].as_u64().and_then(|number| waiting.remove(&number)) {
                    self.note(room, sent_at, &answer);
                }
            }
            Ok(())
        });
        locked(&self.ledger).unknown += waiting.len();
        done
    }

    fn note(&self, room: &str, sent_at: Instant, answer: &Value) {
        let mut ledger = locked(&self.ledger);
        match (answer["type"].as_str(), answer["code"].as_str()) {
            (Some("published"), _) => {
                let position = Position::parse(answer["position"].as_str().expect("text"));
                let id = (self.number, answer["id"].as_u64().expect("a number"));
                ledger
                    .acknowledged
                    .push((room.to_owned(), Acknowledged { id, position, sent_at, told_at: Instant::now() }));
                self.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            (_, Some("refused")) => ledger.refused.push(answer["reason"].as_str().unwrap_or_default().to_owned()),
            (_, Some("unknown" | "timed_out")) => ledger.unknown += 1,
            _ => panic!("a publisher received {answer}"),
        }
    }
}
