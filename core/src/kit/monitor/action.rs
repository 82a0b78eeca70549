//! Commands of watchers: which shard executes them, and how they are answered.

use super::command::Command;
use super::message::{Message, Order, Request, post, post_to_others, tell};
use super::{Asked, Audit, Monitor, Recorder, What};
use crate::base::text::neutralize;
use crate::base::{AddressKey, ConnId, Payload, Peer, Reason};
use crate::facts::{ClusterAnswer, EndTarget};
use crate::handler::Hub;
use crate::state::ClusterRequest;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;
use serde_json::json;

/// Maximum number of requests to other shards that wait for their reply.
const ASKED_MAX: usize = 256;
/// How long a request to another shard waits for its reply.
const REPLY_WITHIN: Duration = Duration::from_secs(10);
/// The error for a watcher that tries to quarantine its own address.
const OWN_ADDRESS: &str = "own_address";
const TOO_MANY: &str = "too many requests are waiting for answers";
const NOT_FOUND: &str = "Session not found";
const NOT_QUARANTINED: &str = "the address is not in quarantine";

impl Monitor {
    /// Executes a command of a watcher, here or on the shard that can.
    pub(super) fn command<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId, payload: Payload<'_>) {
        let command: Command = match serde_json::from_slice(payload.as_bytes()) {
            Ok(command) => command,
            Err(error) => return answer(hub, from, "unknown", Err(error.to_string())),
        };
        let peer = hub.peer(from).map(|peer| peer.to_string()).unwrap_or_default();
        if let Some(Audit(audit)) = &mut self.audit {
            audit(&format!("monitor {from} from {peer}: {}", neutralize(&command.words())));
        }
        match command {
            Command::WatchSession { session_id } => self.watch(hub, from, &session_id),
            Command::StopWatching { session_id } => {
                self.stop(hub, from);
                let message = json!({ "type": "watch_response", "session_id": session_id, "status": "stopped" });
                tell(hub, from, &message);
            }
            action if !self.limits.may_act => {
                answer(hub, from, action.name(), Err("actions are disabled on this monitor".into()));
            }
            action => {
                if let Some(done) = self.act(hub, from, &action) {
                    answer(hub, from, action.name(), done);
                }
            }
        }
    }

    fn watch<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId, session_id: &str) {
        self.stop(hub, from);
        let conn = session_id.parse::<ConnId>().ok().filter(|conn| conn.shard() < hub.shard().count());
        let done = match conn {
            _ if !self.limits.may_watch => Some(Err("watching is disabled on this monitor".into())),
            None => Some(Err(NOT_FOUND.into())),
            Some(conn) if conn.shard() == hub.shard().number() => {
                let done = self.begin_watching(hub, conn);
                if let Some(watcher) = self.watchers.get_mut(&from).filter(|_| done.is_ok()) {
                    watcher.watches = Some(conn);
                }
                Some(done)
            }
            Some(conn) => {
                let request = Request::Watch { session: conn.to_string() };
                let done = self.ask(hub, from, conn.shard(), What::Watch(session_id.into()), request);
                // Its messages may come at the same time as the reply.
                if let Some(watcher) = self.watchers.get_mut(&from).filter(|_| done.is_none()) {
                    watcher.watches = Some(conn);
                }
                done
            }
        };
        if let Some(done) = done {
            answer_watch(hub, from, session_id, done);
        }
    }

    /// Ends what a watcher watches. No reply to an earlier request of it follows.
    pub(super) fn stop<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId) {
        self.asked.retain(|_, asked| asked.watcher != from || !matches!(asked.what, What::Watch(_)));
        let Some(watcher) = self.watchers.get_mut(&from) else { return };
        // What it missed belongs to the session that it watched.
        watcher.missed = 0;
        if let Some(watched) = watcher.watches.take() {
            self.end_watching(hub, watched);
        }
    }

    /// Has messages of a session of this shard reported.
    fn begin_watching<C>(&self, hub: &mut Hub<'_, C>, conn: ConnId) -> Result<(), String> {
        if !self.clients.contains_key(&conn) || !hub.is_open(conn) {
            return Err(NOT_FOUND.into());
        }
        hub.watch(conn, true);
        Ok(())
    }

    /// Ends the reports of a session's messages, unless another watcher or shard watches it.
    pub(super) fn end_watching<C>(&self, hub: &mut Hub<'_, C>, conn: ConnId) {
        if self.watchers.values().any(|watcher| watcher.watches == Some(conn)) {
            return;
        }
        if conn.shard() != hub.shard().number() {
            post(hub, conn.shard(), &Message::Unwatch { session: conn.to_string() });
        } else if !self.subscribers.values().any(|subscriber| subscriber.watched.contains_key(&conn)) {
            hub.watch(conn, false);
        }
    }

    /// Performs an action. `None` if another shard performs it and replies.
    fn act<C>(&mut self, hub: &mut Hub<'_, C>, from: ConnId, action: &Command) -> Option<Result<(), String>> {
        let name = action.name();
        match action {
            Command::Kick { session_id } => match session_id.parse::<ConnId>() {
                Ok(conn) if conn.shard() == hub.shard().number() => Some(self.kick(hub, conn)),
                Ok(conn) if conn.shard() < hub.shard().count() => {
                    let request = Request::Kick { session: conn.to_string() };
                    self.ask(hub, from, conn.shard(), What::Action(name), request)
                }
                _ => Some(Err(NOT_FOUND.into())),
            },
            Command::Quarantine { address, force } => {
                let Ok(address) = address.parse::<IpAddr>() else { return Some(Err(no_address(address))) };
                if !force && key_of(hub, from) == Some(address.into()) {
                    return Some(Err(OWN_ADDRESS.into()));
                }
                hub.quarantine(address);
                self.end_everywhere(hub, (from, name), EndTarget::Address(address), Reason::Quarantined)
            }
            Command::KickUser { user } if user.is_empty() => Some(Err("the user has no name".into())),
            Command::KickUser { user } => {
                self.end_everywhere(hub, (from, name), EndTarget::user(user.as_str()), Reason::Kicked)
            }
            Command::Release { address } => {
                // For IPv6, the quarantine lists the network.
                let bare = address.split('/').next().unwrap_or_default();
                let Ok(bare) = bare.parse::<IpAddr>() else { return Some(Err(no_address(address))) };
                // The first shard has the quarantine.
                if hub.shard().number() == 0 {
                    return Some(release(hub, bare));
                }
                self.ask(hub, from, 0, What::Action(name), Request::Release { address: bare.to_string() })
            }
            Command::ResetMetrics => {
                Self::order_all(hub, &Order::ResetMetrics);
                Some(Ok(()))
            }
            Command::Record => Some(match &mut self.recorder {
                Some(Recorder(record)) => record(),
                None => Err("this server has no recorder".into()),
            }),
            Command::Drain => {
                Self::order_all(hub, &Order::Drain);
                Some(Ok(()))
            }
            Command::WatchSession { .. } | Command::StopWatching { .. } => None,
        }
    }

    fn kick<C>(&self, hub: &mut Hub<'_, C>, conn: ConnId) -> Result<(), String> {
        if !self.clients.contains_key(&conn) || !hub.is_open(conn) {
            return Err(NOT_FOUND.into());
        }
        hub.end(conn, Reason::Kicked);
        Ok(())
    }

    /// Ends connections on all hosts. The watcher gets the answer once they have answered.
    fn end_everywhere<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        (watcher, action): (ConnId, &'static str),
        target: EndTarget,
        reason: Reason,
    ) -> Option<Result<(), String>> {
        if self.asked_hosts.len() >= ASKED_MAX {
            return Some(Err(TOO_MANY.into()));
        }
        self.asked_hosts.insert(hub.end_everywhere(target, reason), (watcher, action));
        None
    }

    /// Tells a watcher how many connections its action has ended.
    pub(super) fn hosts_answered<C>(&mut self, hub: &mut Hub<'_, C>, request: ClusterRequest, found: &ClusterAnswer) {
        let Some((watcher, action)) = self.asked_hosts.remove(&request) else { return };
        let ClusterAnswer::Ended(ended) = found else { return answer(hub, watcher, action, Err(TOO_MANY.into())) };
        let message = json!({
            "type": "action_response", "action": action, "status": "success", "connections": ended.connections,
            "hosts": ended.hosts, "hosts_known": ended.hosts_known,
        });
        tell(hub, watcher, &message);
    }

    /// Executes an order on all shards.
    fn order_all<C>(hub: &mut Hub<'_, C>, order: &Order) {
        post_to_others(hub, &Message::Order(order.clone()));
        Self::order(hub, order);
    }

    /// Executes an order on this shard.
    pub(super) fn order<C>(hub: &mut Hub<'_, C>, order: &Order) {
        match order {
            Order::ResetMetrics => hub.reset_recent_metrics(),
            Order::Drain => hub.drain(),
        }
    }

    /// Sends a request of a watcher to another shard. Returns the error if it cannot be sent.
    fn ask<C>(
        &mut self,
        hub: &mut Hub<'_, C>,
        watcher: ConnId,
        shard: u8,
        what: What,
        request: Request,
    ) -> Option<Result<(), String>> {
        if self.asked.len() >= ASKED_MAX {
            return Some(Err(TOO_MANY.into()));
        }
        self.number += 1;
        let number = self.number;
        self.asked.insert(number, Asked { watcher, shard, what, at: hub.now() });
        post(hub, shard, &Message::Request { number, request });
        None
    }

    /// Executes a request of another shard's watcher.
    pub(super) fn requested<C>(&mut self, hub: &mut Hub<'_, C>, from: u8, number: u64, request: &Request) {
        let done = match request {
            Request::Watch { session } => match session.parse() {
                Ok(conn) => self.begin_watching(hub, conn).map(|()| {
                    // A shard without watchers would never end it.
                    match self.subscribers.get_mut(&from) {
                        Some(subscriber) => drop(subscriber.watched.entry(conn).or_default()),
                        None => self.end_watching(hub, conn),
                    }
                }),
                Err(_) => Err(NOT_FOUND.into()),
            },
            Request::Kick { session } => match session.parse() {
                Ok(conn) => self.kick(hub, conn),
                Err(_) => Err(NOT_FOUND.into()),
            },
            Request::Release { address } => match address.parse() {
                Ok(address) => release(hub, address),
                Err(_) => Err(no_address(address)),
            },
        };
        post(hub, from, &Message::Reply { number, error: done.err() });
    }

    /// Passes the reply of another shard on to the watcher that asked, if it still waits.
    pub(super) fn replied<C>(&mut self, hub: &mut Hub<'_, C>, from: u8, number: u64, error: Option<String>) {
        let Some(asked) = self.asked.remove(&number) else { return };
        if asked.shard == from {
            self.conclude(hub, asked, error.map_or(Ok(()), Err));
        }
    }

    /// Ends requests to other shards that got no reply in time.
    pub(super) fn end_late_requests<C>(&mut self, hub: &mut Hub<'_, C>) {
        let now = hub.now();
        let late = self.asked.iter().filter(|(_, asked)| now.since(asked.at) >= REPLY_WITHIN);
        let late: Vec<_> = late.map(|(number, _)| *number).collect();
        for number in late {
            if let Some(asked) = self.asked.remove(&number) {
                let error = format!("worker {} does not answer", asked.shard);
                self.conclude(hub, asked, Err(error));
            }
        }
    }

    fn conclude<C>(&mut self, hub: &mut Hub<'_, C>, asked: Asked, done: Result<(), String>) {
        match asked.what {
            What::Action(name) => answer(hub, asked.watcher, name, done),
            What::Watch(session_id) => {
                if done.is_err() {
                    self.stop(hub, asked.watcher);
                }
                answer_watch(hub, asked.watcher, &session_id, done);
            }
        }
    }
}

fn release<C>(hub: &mut Hub<'_, C>, address: IpAddr) -> Result<(), String> {
    if hub.release(address) { Ok(()) } else { Err(NOT_QUARANTINED.into()) }
}

fn no_address(text: &str) -> String {
    format!("{text:?} is not an IP address")
}

/// Returns the address of a peer as the quarantine counts it.
pub(super) fn key_of<C>(hub: &Hub<'_, C>, conn: ConnId) -> Option<AddressKey> {
    hub.peer(conn).and_then(Peer::key)
}

fn answer<C>(hub: &mut Hub<'_, C>, conn: ConnId, action: &str, done: Result<(), String>) {
    let message = match done {
        Ok(()) => json!({ "type": "action_response", "action": action, "status": "success" }),
        Err(error) => json!({ "type": "action_response", "action": action, "status": "error", "error": error }),
    };
    tell(hub, conn, &message);
}

fn answer_watch<C>(hub: &mut Hub<'_, C>, conn: ConnId, session_id: &str, done: Result<(), String>) {
    let message = match done {
        Ok(()) => json!({ "type": "watch_response", "session_id": session_id, "status": "success" }),
        Err(error) => json!({ "type": "watch_response", "session_id": session_id, "status": "error", "error": error }),
    };
    tell(hub, conn, &message);
}
