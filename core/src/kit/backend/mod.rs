//! Requests to an HTTP server over connections that the machine dials.
//!
//! A handler contains a [`Backend`], and passes events to it. There are two kinds of calls:
//!
//! - A question has a time limit, which includes the wait for a connection. Its caller gets one answer.
//! - A notice has no answer. It is repeated after a failure, up to 5 attempts in all.

mod breaker;
mod options;

pub(in crate::kit) use options::BackendOptions;

use crate::base::{ConnId, DialId, Origin, Outgoing, Payload, Reason};
use crate::config::{Dial, PeerLimits, Rates};
use crate::handler::{Event, Hub};
use crate::state::Timer;
use crate::wire::http::{Incoming, ResponseReader};
use crate::wire::{Raw, Wire};
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;
use breaker::Breaker;
use core::time::Duration;

/// Maximum number of attempts to send a notice.
const TRIES: u32 = 5;
/// Wait after the first failed attempt of a notice. It doubles after each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// Time after which an unused connection is closed. Servers usually wait longer, so that no request meets a
/// connection that its server is closing.
const IDLE: Duration = Duration::from_secs(2);
/// Maximum length of the body of a response, in bytes.
const BODY_MAX: u32 = 64 << 10;
/// Maximum number of calls that wait or are under way.
const CALLS_MAX: usize = 1_000;

const CALL_TIMER: &str = "backend call";
const IDLE_TIMER: &str = "backend idle";

/// A server to which requests are made, and its connections.
#[derive(Debug)]
pub(in crate::kit) struct Backend {
    options: BackendOptions,
    breaker: Breaker,
    calls: BTreeMap<u64, Call>,
    /// The calls that wait for a connection, in order.
    queue: VecDeque<u64>,
    dials: BTreeSet<DialId>,
    links: BTreeMap<ConnId, Link>,
    /// Number of calls so far.
    numbered: u64,
    /// Number of lost notices since [`take_lost`](Self::take_lost) was called.
    lost: u64,
}

#[derive(Debug)]
struct Call {
    /// The request, with its head.
    request: Vec<u8>,
    kind: Kind,
    /// The connection that carries the request.
    conn: Option<ConnId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Question,
    /// A notice, with its number of failed attempts.
    Notice(u32),
}

/// A connection to the server.
#[derive(Debug)]
struct Link {
    dial: DialId,
    reader: ResponseReader,
    call: Option<u64>,
}

/// The error of a question without a response with the status 200.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kit) struct Unanswered;

/// The number of a question, and its answer: the body of a response with the status 200.
pub(in crate::kit) type Answered = (u64, Result<Vec<u8>, Unanswered>);

impl Backend {
    pub(in crate::kit) fn new(options: BackendOptions) -> Self {
        Self {
            options,
            breaker: Breaker::default(),
            calls: BTreeMap::new(),
            queue: VecDeque::new(),
            dials: BTreeSet::new(),
            links: BTreeMap::new(),
            numbered: 0,
            lost: 0,
        }
    }

    /// Replaces the options. Calls that have begun continue.
    pub(in crate::kit) fn set_options(&mut self, options: BackendOptions) {
        self.options = options;
    }

    /// Asks a question. Returns its number, or `None` if the breaker is open or too many calls wait.
    pub(in crate::kit) fn ask<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        path: &str,
        fields: Fields<'_>,
        body: &str,
    ) -> Option<u64> {
        if self.calls.len() >= CALLS_MAX || !self.breaker.admits(hub.now()) {
            return None;
        }
        let number = self.add(path, fields, body, Kind::Question);
        hub.wake(Timer::named(CALL_TIMER).keyed(number), self.options.timeout);
        self.send_waiting(hub);
        Some(number)
    }

    /// Sends a notice, and repeats it after a failure. It is lost at once if too many calls wait.
    pub(in crate::kit) fn tell<C>(&mut self, hub: &mut Hub<'_, C>, path: &str, fields: Fields<'_>, body: &str) {
        if self.calls.len() >= CALLS_MAX {
            self.lost += 1;
            return;
        }
        let number = self.add(path, fields, body, Kind::Notice(0));
        self.try_to_tell(hub, number);
    }

    /// Returns the number of notices that were lost since the last call of this function.
    pub(in crate::kit) const fn take_lost(&mut self) -> u64 {
        core::mem::replace(&mut self.lost, 0)
    }

    /// Returns `true` if a connection leads to this server.
    pub(in crate::kit) fn has(&self, conn: ConnId) -> bool {
        self.links.contains_key(&conn)
    }

    /// Handles an event. Returns the answers to the questions that it ends.
    ///
    /// `None`: the event does not belong to this server.
    pub(in crate::kit) fn on_event<C, N>(
        &mut self,
        hub: &mut Hub<'_, C>,
        event: &Event<'_, N>,
    ) -> Option<Vec<Answered>> {
        let mut answered = Vec::new();
        match *event {
            Event::Opened { conn, origin: Origin::Dial(dial), .. } if self.dials.remove(&dial) => {
                let link = Link { dial, reader: ResponseReader::new(BODY_MAX), call: None };
                self.links.insert(conn, link);
                hub.wake(Timer::of(conn, IDLE_TIMER), IDLE);
            }
            Event::DialFailed { dial, .. } if self.dials.remove(&dial) => {
                // The oldest waiting call fails.
                if let Some(number) = self.queue.pop_front() {
                    self.fail(hub, number, &mut answered);
                } else {
                    self.breaker.failed(hub.now());
                }
            }
            Event::Message { conn, payload } if self.has(conn) => self.received(hub, conn, payload, &mut answered),
            Event::Closed { conn, .. } if self.has(conn) => {
                let Some(Link { reader, call, .. }) = self.links.remove(&conn) else { return Some(answered) };
                if let Some(number) = call {
                    match reader.end() {
                        Some(response) => self.end(hub, number, response, &mut answered),
                        None => self.fail(hub, number, &mut answered),
                    }
                }
            }
            Event::Timer(Timer { conn: Some(conn), name: IDLE_TIMER, .. }) if self.has(conn) => self.close(hub, conn),
            Event::Timer(Timer { conn: None, name: CALL_TIMER, key, .. }) => self.time_is_up(hub, key, &mut answered),
            _ if event.conn().is_some_and(|conn| self.has(conn)) => {}
            _ => return None,
        }
        self.send_waiting(hub);
        Some(answered)
    }

    #[cfg(test)]
    pub(in crate::kit) fn first_dial(&self) -> Option<DialId> {
        self.dials.first().copied()
    }

    #[cfg(test)]
    pub(in crate::kit) fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.dials.is_empty() && self.links.is_empty()
    }

    fn add(&mut self, path: &str, fields: Fields<'_>, body: &str, kind: Kind) -> u64 {
        self.numbered += 1;
        let request = self.options.request(path, fields, body);
        self.calls.insert(self.numbered, Call { request, kind, conn: None });
        self.queue.push_back(self.numbered);
        self.numbered
    }

    fn try_to_tell<C>(&mut self, hub: &mut Hub<'_, C>, number: u64) {
        hub.wake(Timer::named(CALL_TIMER).keyed(number), self.options.timeout);
        self.send_waiting(hub);
    }

    /// Sends the calls that wait over free connections, and dials for the rest.
    fn send_waiting<C>(&mut self, hub: &mut Hub<'_, C>) {
        while let Some(number) = self.queue.front().copied() {
            let free = self.links.iter_mut().find(|(_, link)| link.call.is_none());
            let (Some((conn, link)), Some(call)) = (free, self.calls.get_mut(&number)) else { break };
            self.queue.pop_front();
            (link.call, call.conn) = (Some(number), Some(*conn));
            hub.cancel(Timer::of(*conn, IDLE_TIMER));
            hub.send(*conn, Outgoing::Same(Payload::Binary(&call.request)));
        }
        let most = usize::from(self.options.connections_max.max(1));
        while self.dials.len() < self.queue.len() && self.dials.len() + self.links.len() < most {
            let limits = PeerLimits {
                rates: Rates { messages: None, bytes: None, ..Rates::default() },
                ..PeerLimits::default()
            };
            let dial = Dial {
                limits: Some(limits),
                backoff: None,
                timeout: self.options.timeout,
                ..self.options.dial.clone()
            };
            self.dials.insert(hub.dial(Dial {
                protocol: Wire::Raw(Raw::default()).into(),
                kept_in_drain: true,
                ..dial
            }));
        }
    }

    fn received<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId, payload: Payload<'_>, answered: &mut Vec<Answered>) {
        let Some(link) = self.links.get_mut(&conn) else { return };
        let Some(number) = link.call else { return self.close(hub, conn) };
        match link.reader.read(payload.as_bytes()) {
            Ok(None) => {}
            Ok(Some(response)) => {
                (link.call, link.reader) = (None, ResponseReader::new(BODY_MAX));
                if response.keeps_alive {
                    hub.wake(Timer::of(conn, IDLE_TIMER), IDLE);
                } else {
                    self.close(hub, conn);
                }
                self.end(hub, number, response, answered);
            }
            Err(_) => {
                link.call = None;
                self.close(hub, conn);
                self.fail(hub, number, answered);
            }
        }
    }

    fn close<C>(&mut self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if let Some(link) = self.links.remove(&conn) {
            hub.cancel_dial(link.dial);
            hub.end(conn, Reason::Application);
        }
    }

    /// Handles the timer of a call: its time limit has passed, or a notice is due again.
    fn time_is_up<C>(&mut self, hub: &mut Hub<'_, C>, number: u64, answered: &mut Vec<Answered>) {
        let Some(call) = self.calls.get(&number) else { return };
        let is_queued = self.queue.contains(&number);
        if let (Kind::Notice(1..), None, false) = (call.kind, call.conn, is_queued) {
            self.queue.push_back(number);
            return self.try_to_tell(hub, number);
        }
        if let Some(conn) = call.conn {
            self.close(hub, conn);
        }
        self.queue.retain(|waiting| *waiting != number);
        self.fail(hub, number, answered);
    }

    /// Ends a call with a response.
    fn end<C>(&mut self, hub: &mut Hub<'_, C>, number: u64, response: Incoming, answered: &mut Vec<Answered>) {
        // A server that refuses a request (4xx) works.
        if response.status >= 500 {
            return self.fail(hub, number, answered);
        }
        self.breaker.succeeded();
        hub.cancel(Timer::named(CALL_TIMER).keyed(number));
        let Some(Call { kind: Kind::Question, .. }) = self.calls.remove(&number) else { return };
        answered.push((number, if response.status == 200 { Ok(response.body) } else { Err(Unanswered) }));
    }

    fn fail<C>(&mut self, hub: &mut Hub<'_, C>, number: u64, answered: &mut Vec<Answered>) {
        self.breaker.failed(hub.now());
        let timer = Timer::named(CALL_TIMER).keyed(number);
        hub.cancel(timer);
        let Some(call) = self.calls.get_mut(&number) else { return };
        call.conn = None;
        match &mut call.kind {
            Kind::Notice(failed) if *failed + 1 < TRIES => {
                let wait = FIRST_WAIT * (1 << *failed);
                *failed += 1;
                hub.wake(timer, wait);
            }
            kind => {
                let kind = *kind;
                self.calls.remove(&number);
                match kind {
                    Kind::Question => answered.push((number, Err(Unanswered))),
                    Kind::Notice(_) => self.lost += 1,
                }
            }
        }
    }
}

/// Header fields of one request, besides those of the options.
pub(in crate::kit) type Fields<'a> = &'a [(String, String)];
