//! The connection to the broker: a dial of the machine, whose events the application never gets.

use super::tables::Sharing;
use crate::base::{ConnId, DialId, Failure, HostId, Origin, Payload, Reason, Time};
use crate::cluster::{Cluster, LinkFault, Output, WantedLink};
use crate::config::{self, BrokerLogin, Dial, Engine, Marks, PeerLimits, Rates, TlsStart, WithoutBroker};
use crate::facts::{Addressee, ClusterAnswer, Shard, ShardMessage};
use crate::state::dials::AskedTls;
use crate::state::whole::OWN_TOPIC;
use crate::state::{Ending, Pending, State};
use crate::wire::{Budget, Raw, Wire};
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// The index of an application that no server has: its dials are those of the machine itself.
const OWN_APP: u8 = u8::MAX;
/// Output of the link that may wait. What waits for answers is bounded in the link.
const QUEUED_MAX: u32 = 64 << 20;
/// Time limit of an attempt to connect, and of the handshake of TLS.
const CONNECTS_WITHIN: Duration = Duration::from_secs(5);

impl State {
    /// Returns the number of the shard with the link.
    pub(crate) const fn link_shard(shard: Shard) -> u8 {
        shard.count() - 1
    }

    /// Returns `true` if this shard has the link, or would have it if there were a cluster.
    pub(in crate::state) const fn has_link_shard(&self) -> bool {
        self.outbox.shard.number() == Self::link_shard(self.outbox.shard)
    }

    /// Queues a message for the shard with the link.
    pub(in crate::state) fn queue_for_link(&mut self, message: ShardMessage) {
        self.queue_for(Addressee::Shard(Self::link_shard(self.outbox.shard)), message);
    }

    /// Begins to make the link, if this shard has it.
    pub(crate) fn start_sharing(&mut self) {
        if let Some(options) = self.config.cluster.clone()
            && self.has_link_shard()
        {
            let cluster = Cluster::new(self.now, options, self.random.next_u64());
            let (holders, local) = (BTreeMap::new(), BTreeSet::new());
            let down_since = Some(self.now);
            self.sharing =
                Some(Box::new(Sharing { cluster, dial: None, conn: None, down_since, ended: None, holders, local }));
            self.drive_link();
        }
    }

    /// Returns `true` if a connection is the link to the broker, or was it.
    pub(crate) fn is_link(&self, conn: ConnId) -> bool {
        // Events of all connections ask, and only one shard of a cluster has a link.
        if self.sharing.is_none() {
            return false;
        }
        let origin = self.conns.get(conn).map(|conn| conn.origin);
        matches!(origin, Some(Origin::Dial(dial)) if Self::is_link_dial(dial))
    }

    /// Returns `true` if a dial is one of the link to the broker.
    pub(crate) const fn is_link_dial(dial: DialId) -> bool {
        dial.app() == OWN_APP
    }

    /// Handles the success of an attempt to connect.
    pub(crate) fn link_opened(&mut self, conn: ConnId, dial: DialId) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut().filter(|sharing| sharing.dial == Some(dial)) {
            sharing.conn = Some(conn);
            sharing.cluster.link_connected(now);
            self.drive_link();
        }
    }

    /// Handles bytes from the broker.
    pub(crate) fn link_received(&mut self, conn: ConnId, payload: Payload<'_>) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut().filter(|sharing| sharing.conn == Some(conn)) {
            sharing.cluster.received(now, payload.as_bytes());
            self.drive_link();
        }
    }

    /// Handles the end of the connection to the broker.
    pub(crate) fn link_closed(&mut self, conn: ConnId, reason: Reason) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut().filter(|sharing| sharing.conn == Some(conn)) {
            let tls = sharing.dial.map(|dial| self.dials.asked_tls(dial, conn));
            (sharing.conn, sharing.dial) = (None, None);
            sharing.ended = Some(match tls {
                Some(AskedTls::Failed(failure)) => failure.to_string(),
                _ => alloc::format!("the connection has ended: {reason}"),
            });
            sharing.cluster.link_ended(now);
            self.drive_link();
        }
    }

    /// Handles a failed attempt to connect.
    pub(crate) fn link_dial_failed(&mut self, dial: DialId, failure: Failure) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut().filter(|sharing| sharing.dial == Some(dial)) {
            (sharing.conn, sharing.dial) = (None, None);
            sharing.ended = Some(failure.to_string());
            sharing.cluster.link_ended(now);
            self.drive_link();
        }
    }

    /// Returns when the link has something to do.
    pub(crate) fn link_deadline(&self) -> Option<Time> {
        let link = self.sharing.as_ref().and_then(|sharing| sharing.cluster.deadline());
        [link, self.whole_deadline()].into_iter().flatten().min()
    }

    /// Handles the passing of time for the link. Returns `true` if something was due.
    pub(crate) fn pass_time_for_link(&mut self) -> bool {
        let now = self.now;
        let mut is_due = false;
        if let Some(sharing) = self.sharing.as_mut() {
            is_due = sharing.cluster.deadline().is_some_and(|at| at <= now);
            if is_due {
                sharing.cluster.elapsed(now);
            }
        }
        let was_due = self.pass_time_for_whole() | is_due;
        if was_due {
            self.drive_link();
        }
        was_due
    }

    /// Carries out what the cluster still wants. Returns `false` if there is nothing.
    pub(crate) fn drive_link_further(&mut self) -> bool {
        let wants =
            self.sharing.as_ref().is_some_and(|sharing| sharing.cluster.has_output() || sharing.cluster.has_bytes());
        if wants {
            self.drive_link();
        }
        wants
    }

    /// Carries out what the cluster wants.
    ///
    /// The rest waits while there are events for the application, so that it has them before the next change. Otherwise,
    /// the answer to a new member could come after a later message of the room.
    pub(super) fn drive_link(&mut self) {
        while self.pending.is_empty()
            && let Some(output) = self.sharing.as_mut().and_then(|sharing| sharing.cluster.next_output())
        {
            match output {
                Output::ToShard(shard, message) => self.pass_to(shard, message),
                Output::ToHolders(message) => self.pass_to_holders(&message),
                Output::FromHost { from, topic, content } => self.host_said(from, &topic, &content),
                Output::HostGone(host) => self.host_is_gone(host),
                Output::Claimed(shard, request, claim) => {
                    self.answer_shard(shard, request, ClusterAnswer::Claimed(claim));
                }
                Output::Refused(words) => {
                    self.pending.push_back(Pending::Broker { is_up: true, why: Some(words.into()) });
                }
                Output::Up => self.link_is_up(),
                Output::Down(fault) => self.link_is_down(fault.as_ref()),
            }
        }
        let (now, Some(sharing)) = (self.now, self.sharing.as_mut()) else { return };
        if sharing.cluster.take_must_close() {
            self.close_link();
        }
        self.begin_link_tls(now);
        let Some(sharing) = self.sharing.as_mut() else { return };
        let output = sharing.cluster.take_output();
        if let Some(conn) = sharing.conn.filter(|_| !output.is_empty()) {
            self.send(conn, Payload::Binary(&output).into());
        }
        self.dial_link(now);
    }

    /// Begins TLS if the link asks for it. Otherwise, its login would cross the network in the clear.
    fn begin_link_tls(&mut self, now: Time) {
        let Some(sharing) = self.sharing.as_mut() else { return };
        let Some(conn) = sharing.conn.filter(|_| sharing.cluster.take_begins_tls()) else { return };
        if let Err(why) = self.ask_for_tls(conn) {
            if let Some(sharing) = self.sharing.as_mut() {
                sharing.cluster.tls_not_begun(now, why);
            }
            self.close_link();
        }
    }

    /// Sends a message to the applications on all other hosts. Returns `false` if there is no cluster.
    pub(crate) fn send_to_hosts(&mut self, topic: &str, content: &str) -> bool {
        if self.config.cluster.is_none() {
            return false;
        }
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut() {
            sharing.cluster.tell_hosts(now, topic, content);
            self.drive_link();
        } else {
            let message = ShardMessage::ToHosts { topic: topic.into(), content: content.into() };
            self.queue_for_link(message);
        }
        true
    }

    /// Passes a message of another host on to the application on all shards.
    fn host_said(&mut self, from: HostId, topic: &Arc<str>, content: &Arc<str>) {
        if &**topic == OWN_TOPIC {
            return self.host_news_came(from, content);
        }
        let (topic, content) = (Arc::clone(topic), Arc::clone(content));
        if self.outbox.shard.count() > 1 {
            let message = ShardMessage::FromHost { from, topic: Arc::clone(&topic), content: Arc::clone(&content) };
            self.queue_for(Addressee::Others, message);
        }
        self.pending.push_back(Pending::HostMessage { from, topic, content });
    }

    /// Ends what this host has at the broker. The link ends next.
    pub(crate) fn leave_cluster(&mut self) {
        let now = self.now;
        if let Some(sharing) = self.sharing.as_mut() {
            sharing.cluster.say_goodbye(now);
            self.drive_link();
        }
    }

    fn close_link(&mut self) {
        let Some(sharing) = self.sharing.as_mut() else { return };
        let conn = sharing.conn.take();
        if let Some(dial) = sharing.dial.take() {
            self.dials.remove(dial);
        }
        if let Some(conn) = conn {
            self.end(conn.slot(), Reason::Application, Ending::Drop);
        }
    }

    fn dial_link(&mut self, now: Time) {
        let Some(sharing) = self.sharing.as_mut().filter(|sharing| sharing.dial.is_none()) else { return };
        let Some(wanted) = sharing.cluster.take_wanted_link(now) else { return };
        let Some(options) = self.config.cluster.as_ref() else { return };
        let dial = link_dial(options, wanted);
        let id = self.dials.add(now, dial, OWN_APP, &mut self.random);
        if let Some(sharing) = self.sharing.as_mut() {
            sharing.dial = Some(id);
        }
    }

    fn link_is_up(&mut self) {
        self.metrics.cluster.up = 1;
        self.metrics.cluster.links += 1;
        self.pending.push_back(Pending::Broker { is_up: true, why: None });
        let Some(sharing) = self.sharing.as_mut() else { return };
        (sharing.down_since, sharing.ended) = (None, None);
        let local = core::mem::take(&mut sharing.local);
        self.cluster_is_up();
        // What was published here alone is told as a gap everywhere.
        for room in local {
            self.memory.forget_history(&room);
            let keep = self.shared_keep_of(&room);
            if let Some(sharing) = self.sharing.as_mut() {
                sharing.cluster.renew(self.now, &room, keep);
            }
        }
    }

    fn link_is_down(&mut self, fault: Option<&LinkFault>) {
        self.metrics.cluster.up = 0;
        self.cluster_is_down();
        self.metrics.cluster.losses += 1;
        let now = self.now;
        let ended = self.sharing.as_mut().and_then(|sharing| {
            sharing.down_since.get_or_insert(now);
            sharing.ended.take()
        });
        let fault = fault.map(|fault| without_passwords(fault.to_string(), self.config.cluster.as_ref()));
        let why = fault.or(ended).map(Into::into);
        self.pending.push_back(Pending::Broker { is_up: false, why });
    }

    /// Returns `true` if messages to shared rooms go to members on this host alone now.
    pub(super) fn is_local(&self) -> bool {
        let is_allowed =
            self.config.cluster.as_ref().is_some_and(|cluster| cluster.without_broker == WithoutBroker::Local);
        is_allowed && self.sharing.as_ref().is_some_and(|sharing| !sharing.cluster.is_up())
    }
}

/// Removes from the text of a fault what the server repeats of our commands, which contain the passwords.
fn without_passwords(mut text: String, options: Option<&config::Cluster>) -> String {
    // Redis before 6.0 repeats the arguments of a greeting that it does not know, and cuts them anywhere.
    if let Some(end) = text.find(", with args beginning with") {
        text.truncate(end);
    }
    let secrets = match options.map(|options| &options.engine) {
        Some(Engine::Redis(redis)) => {
            let password = |login: Option<&'_ BrokerLogin>| login.map_or("", |login| &login.password).to_string();
            [password(redis.login.as_ref()), password(redis.sentinel.as_ref().and_then(|found| found.login.as_ref()))]
        }
        Some(Engine::Nats(nats)) => {
            nats.login.as_ref().map(|login| login.secrets().map(String::from)).unwrap_or_default()
        }
        None => return text,
    };
    secrets.iter().filter(|secret| !secret.is_empty()).fold(text, |text, secret| text.replace(secret, "(secret)"))
}

/// Returns the dial of a link: the addresses and the security are the operator's, and the limits are ours.
fn link_dial(cluster: &config::Cluster, wanted: WantedLink) -> Dial {
    let options = &*cluster.dial;
    let WantedLink { addresses, learned, skipped } = wanted;
    let marks = Marks::new(QUEUED_MAX / 2, QUEUED_MAX / 2, QUEUED_MAX).unwrap_or_default();
    let limits = PeerLimits {
        rates: Rates { messages: None, bytes: None, ..Rates::default() },
        budget: Budget::default(),
        idle: None,
        idle_warning: None,
        silence: None,
        lifetime: None,
    };
    let mut dial = Dial {
        protocol: Wire::Raw(Raw::default()).into(),
        backoff: None,
        limits: Some(limits),
        marks: Some(marks),
        always_read: true,
        kept_in_drain: true,
        timeout: options.timeout.min(CONNECTS_WITHIN),
        tls_start: match &cluster.engine {
            Engine::Nats(nats) if !nats.is_tls_first => TlsStart::WhenAsked,
            Engine::Nats(_) | Engine::Redis(_) => TlsStart::AtOnce,
        },
        ..options.clone()
    };
    let mut all = addresses;
    if all.is_empty() {
        all.push(core::mem::take(&mut dial.address));
        all.append(&mut dial.others);
        let is_new = |address: &String| !all.contains(address);
        let mut new: Vec<_> = learned.into_iter().filter(is_new).collect();
        all.append(&mut new);
        all.truncate(Dial::OTHERS_MAX + 1);
    }
    let first = skipped as usize % all.len().max(1);
    all.rotate_left(first);
    dial.address = all.remove(0);
    dial.others = all;
    dial
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Redis, Sentinel};

    #[test]
    fn faults_never_repeat_a_password() {
        let login = |password: &str| Some(BrokerLogin::new("ann", password));
        let sentinel = Sentinel::new("m").login(login("whisper"));
        let engine = Engine::Redis(Redis::default().login(login("hush")).sentinel(Some(sentinel)));
        let options = config::Cluster::new(Dial::lines("h:1"), engine);
        for (text, expected) in [
            (
                "ERR unknown command `HELLO`, with args beginning with: `3`, `AUTH`, `ann`, `hu",
                "ERR unknown command `HELLO`",
            ),
            ("ERR no AUTH ann hush", "ERR no AUTH ann (secret)"),
            ("ERR whisper", "ERR (secret)"),
            ("NOPERM no", "NOPERM no"),
        ] {
            assert_eq!(without_passwords(text.into(), Some(&options)), expected);
        }
    }
}
