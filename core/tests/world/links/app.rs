//! The application of a world of links: it dials, sends numbered words, and records events.

use drupe_core::tls::{BeginTlsError, ClientTls};
use drupe_core::{ConnId, Dial, DialId, Event, Failure, Handler, Hub, NoNote, Origin, Reason, Time, TlsStart};
use std::collections::{BTreeMap, BTreeSet};

/// The first line of a server whose dial begins TLS when asked.
pub(crate) const INFO: &str = "INFO";

/// Dials at the start and at the commands of its peers, and records the events of the dials.
pub(crate) struct Linker {
    /// The dials from which the peers choose.
    choice: Vec<Dial>,
    /// Dials that are not cancelled, in the order in which they were made.
    ids: Vec<DialId>,
    /// What happened to the dials, in order.
    pub(crate) log: Vec<(Time, DialId, Happened)>,
    /// The words sent to each server, and those received from it, in order, without `INFO`.
    pub(crate) said: BTreeMap<ConnId, Vec<String>>,
    pub(crate) heard: BTreeMap<ConnId, Vec<String>>,
    links: BTreeMap<ConnId, DialId>,
    /// Links that wait for `INFO`.
    plain: BTreeSet<ConnId>,
    /// When the drain of this shard began.
    pub(crate) drains_since: Option<Time>,
    /// Links that a drain should have kept, because other connections were still open.
    pub(crate) lost_early: Vec<(Time, ConnId)>,
    words: u32,
}

/// What happened to a dial.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happened {
    Dialled(Box<Dial>),
    Addresses(Vec<String>),
    Cancelled,
    Opened(ConnId),
    /// The application asked for TLS, with this result.
    Asked(ConnId, Result<(), BeginTlsError>),
    /// The connection closed, possibly during the TLS handshake that was asked for.
    Closed(ConnId, Reason, bool),
    Failed(Failure, Option<Time>),
    Ended,
}

impl Linker {
    pub(crate) fn new(choice: Vec<Dial>) -> Self {
        Self {
            choice,
            ids: Vec::new(),
            log: Vec::new(),
            said: BTreeMap::new(),
            heard: BTreeMap::new(),
            links: BTreeMap::new(),
            plain: BTreeSet::new(),
            drains_since: None,
            lost_early: Vec::new(),
            words: 0,
        }
    }

    /// The same application for a replay, whose trace contains decrypted bytes.
    pub(crate) fn without_keys(mut choice: Vec<Dial>) -> Self {
        for dial in choice.iter_mut().filter(|dial| dial.tls.is_some()) {
            dial.tls = Some(ClientTls::external());
        }
        Self::new(choice)
    }

    fn note(&mut self, hub: &Hub<'_, ()>, dial: DialId, happened: Happened) {
        self.log.push((hub.now(), dial, happened));
    }

    fn dial(&mut self, hub: &mut Hub<'_, ()>, number: usize) {
        if self.choice.is_empty() || self.ids.len() > 12 || hub.is_draining() {
            return;
        }
        let dial = self.choice[number % self.choice.len()].clone();
        let id = hub.dial(dial.clone());
        self.ids.push(id);
        self.note(hub, id, Happened::Dialled(Box::new(dial)));
    }

    fn say(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, length: usize) {
        if self.plain.contains(&conn) {
            return;
        }
        self.words += 1;
        let text = format!("{}{}", self.words, "-".repeat(length));
        if hub.send(conn, &text) {
            self.said.entry(conn).or_default().push(text);
        }
    }

    fn is_kept(&self, id: DialId) -> bool {
        self.log.iter().any(|(_, other, happened)| {
            *other == id && matches!(happened, Happened::Dialled(dial) if dial.kept_in_drain)
        })
    }

    /// Returns `true` if a connection is open that a drain does not keep.
    fn has_others(&self, hub: &Hub<'_, ()>, conn: ConnId) -> bool {
        let is_kept = |other: ConnId| self.links.get(&other).is_some_and(|dial| self.is_kept(*dial));
        hub.connections().any(|other| other != conn && !is_kept(other))
    }

    /// Returns a dial of this shard, if there is one.
    fn pick(&self, number: usize) -> Option<DialId> {
        (!self.ids.is_empty()).then(|| self.ids[number % self.ids.len()])
    }

    /// Runs a command of a peer: a verb and a number.
    fn run_command(&mut self, hub: &mut Hub<'_, ()>, message: &str) {
        let (verb, number) = message.split_once(' ').unwrap_or((message, ""));
        let number: usize = number.parse().unwrap_or(0);
        let link = self.links.iter().nth(number % self.links.len().max(1)).map(|(conn, _)| *conn);
        match (verb, link, self.pick(number)) {
            ("dial", ..) => self.dial(hub, number),
            ("cancel", _, Some(dial)) => {
                self.ids.retain(|id| *id != dial);
                self.note(hub, dial, Happened::Cancelled);
                hub.cancel_dial(dial);
            }
            ("addresses", _, Some(dial)) => {
                // The addresses of another dial of the same kind: their servers have its protocol.
                let choice = &self.choice[number % self.choice.len()];
                let addresses: Vec<String> = std::iter::once(&choice.address).chain(&choice.others).cloned().collect();
                let is_same = self.log.iter().any(|(_, id, happened)| {
                    *id == dial && matches!(happened, Happened::Dialled(dial) if dial.protocol == choice.protocol && dial.tls.is_some() == choice.tls.is_some() && dial.tls_start == choice.tls_start)
                });
                if is_same && hub.set_dial_addresses(dial, addresses.clone()) {
                    self.note(hub, dial, Happened::Addresses(addresses));
                }
            }
            ("link", Some(conn), _) => self.say(hub, conn, number % 40),
            ("flood", Some(conn), _) => (0..30).for_each(|_| self.say(hub, conn, number * 10 % 2_000)),
            ("pause", Some(conn), _) => hub.pause(conn),
            ("resume", Some(conn), _) => hub.resume(conn),
            ("close", Some(conn), _) => hub.close(conn),
            _ => {}
        }
    }

    /// Handles a server's message: `INFO`, or an echoed word.
    fn hear(&mut self, hub: &mut Hub<'_, ()>, conn: ConnId, text: &str) {
        if text != INFO || !self.plain.remove(&conn) {
            self.heard.entry(conn).or_default().push(text.to_owned());
            if hub.random().is_multiple_of(4) {
                self.say(hub, conn, 3);
            }
            return;
        }
        let answer = hub.begin_tls(conn);
        if answer.is_err() {
            hub.close(conn);
        }
        if let Some(dial) = self.links.get(&conn).copied() {
            self.note(hub, dial, Happened::Asked(conn, answer));
        }
        if answer.is_ok() {
            self.say(hub, conn, 0);
        }
    }
}

impl Handler for Linker {
    type Context = ();
    type Note = NoNote;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, NoNote>) {
        match event {
            Event::Started => (0..self.choice.len()).for_each(|number| self.dial(hub, number)),
            Event::Draining => self.drains_since = Some(hub.now()),
            Event::Opened { conn, origin: Origin::Dial(dial), .. } => {
                self.links.insert(conn, dial);
                self.note(hub, dial, Happened::Opened(conn));
                let begins_plain = |(_, id, happened): &(_, DialId, Happened)| {
                    *id == dial && matches!(happened, Happened::Dialled(dial) if dial.tls_start == TlsStart::WhenAsked)
                };
                if self.log.iter().any(begins_plain) {
                    self.plain.insert(conn);
                }
                self.say(hub, conn, 0);
            }
            Event::Message { conn, payload } => {
                let text = String::from_utf8_lossy(payload.as_bytes()).into_owned();
                if self.links.contains_key(&conn) {
                    return self.hear(hub, conn, &text);
                }
                self.run_command(hub, &text);
                hub.send(conn, &text);
            }
            Event::Closed { conn, reason, .. } => {
                if let Some(dial) = self.links.remove(&conn) {
                    let has_asked = |(.., event): &(Time, DialId, Happened)| *event == Happened::Asked(conn, Ok(()));
                    let in_handshake = self.log.iter().any(has_asked) && hub.secured(conn).is_none();
                    self.plain.remove(&conn);
                    if reason == Reason::Shutdown && self.is_kept(dial) && self.has_others(hub, conn) {
                        self.lost_early.push((hub.now(), conn));
                    }
                    self.note(hub, dial, Happened::Closed(conn, reason, in_handshake));
                }
            }
            Event::DialFailed { dial, failure, retry_at, .. } => {
                if retry_at.is_none() {
                    self.ids.retain(|id| *id != dial);
                }
                self.note(hub, dial, Happened::Failed(failure, retry_at));
            }
            Event::DialEnded { dial, .. } => {
                self.ids.retain(|id| *id != dial);
                self.note(hub, dial, Happened::Ended);
            }
            _ => {}
        }
    }
}
