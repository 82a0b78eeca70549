//! Who is present in shared rooms. Each host owns the names of its members, and lives as long as its lease.

use super::Cluster;
use super::broker::{Answer, Change, NamesChange, NamesNews, Request};
use super::output::Output;
use super::people::{People, Who};
use super::purpose::Purpose;
use super::room::Room;
use crate::base::{HostId, Time};
use crate::facts::{RoomAnswer, RoomMessage};
use crate::history::Keep;
use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

/// Maximum number of names in one request.
const NAMES_MAX: usize = 500;
/// Time after which the names of this host are written again, before the broker forgets them.
const WRITTEN_EVERY: Duration = Duration::from_secs(3_600);
/// Time after the link is up in which a host without a lease may still renew it.
const GRACE: Duration = Duration::from_secs(15);

impl Cluster {
    /// Returns the number of rooms that this host hears, and of other hosts with names in them.
    pub(crate) fn sizes(&self) -> (usize, usize) {
        (self.rooms.len(), self.hosts.rooms.len())
    }

    /// Makes a name present through members on a shard.
    pub(crate) fn enter(
        &mut self,
        now: Time,
        (name, keep): (&Arc<str>, Keep),
        from: u8,
        who: &Arc<str>,
        info: Option<&Arc<str>>,
    ) {
        self.hold(now, name, keep);
        let Some(room) = self.rooms.get_mut(name) else { return };
        let (must_write, change) = room.people.enter(from, who, info);
        let info = room.people.info(who);
        self.tell_change(name, change);
        if must_write {
            self.write_change(now, name, NamesChange::Add((Arc::clone(who), info)));
        }
    }

    /// Removes a name whose last member on a shard has left.
    pub(crate) fn exit(&mut self, now: Time, name: &Arc<str>, from: u8, who: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let (must_write, change) = room.people.exit(from, who);
        self.tell_change(name, change);
        if must_write {
            self.write_change(now, name, NamesChange::Remove(Arc::clone(who)));
            self.drop_if_unused(now, name);
        }
    }

    /// Answers who is present, once that is known.
    pub(crate) fn list_names(
        &mut self,
        now: Time,
        (name, keep): (&Arc<str>, Keep),
        (from, request): (u8, u64),
        after: Option<Arc<str>>,
        max: usize,
    ) {
        self.hold(now, name, keep);
        self.need_presence(now, name);
        let is_up = self.is_up();
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.people.waiting.push(Who { from, request, after, max });
        if room.people.is_known || !is_up {
            self.answer_waiting(now, name);
        }
    }

    /// Reads the names of other hosts in a room, unless they are known.
    pub(super) fn need_presence(&mut self, now: Time, name: &Arc<str>) {
        if let Some(room) = self.rooms.get_mut(name)
            && !core::mem::replace(&mut room.people.is_needed, true)
        {
            self.read_hosts(now, name);
        }
    }

    /// Compares the names at the broker with those that are known, after the link was lost.
    pub(super) fn read_all_presence(&mut self, now: Time) {
        self.hosts.grace_until = Some(now + GRACE);
        for room in self.rooms.values_mut() {
            room.people.link_lost();
        }
        self.compare_all_names(now);
    }

    pub(super) fn read_leases(&mut self, now: Time) {
        if self.hosts.written_at.is_none_or(|at| at + WRITTEN_EVERY <= now) {
            self.hosts.written_at = Some(now);
            self.rooms.values_mut().for_each(|room| room.people.written = 0);
            self.compare_all_names(now);
        }
        if self.hosts.grace_until.take_if(|until| *until <= now).is_some() {
            self.compare_all_names(now);
        }
        let mut all: BTreeSet<u64> = self.hosts.rooms.keys().copied().collect();
        all.extend(&self.hosts.watched);
        let hosts: Arc<[u64]> = all.into_iter().collect();
        if !hosts.is_empty() {
            self.request(now, Request::Leases { hosts: Arc::clone(&hosts) }, Purpose::Leases(hosts));
        }
    }

    /// Handles the renewal of the lease of this host.
    pub(super) fn lease_renewed(&mut self, now: Time, answer: &Answer) {
        if *answer == Answer::Leased(false) {
            self.request(now, Request::Lease { is_new: true }, Purpose::Nothing);
            // The other hosts may have taken this one for gone, and removed its names.
            self.compare_all_names(now);
        }
    }

    /// Removes the names of hosts that are gone.
    pub(super) fn leases_read(&mut self, now: Time, hosts: &[u64], answer: Answer) {
        let Answer::Leases(leases) = answer else { return };
        if self.hosts.grace_until.is_some() {
            return;
        }
        for (&host, _) in hosts.iter().zip(leases).filter(|(_, has_lease)| !has_lease) {
            if self.hosts.watched.remove(&host) {
                self.output.push_back(Output::HostGone(HostId::new(host)));
            }
            for name in self.hosts.rooms.remove(&host).unwrap_or_default() {
                let Some(room) = self.rooms.get_mut(&name) else { continue };
                let changes = room.people.remove_host(host);
                self.tell_changes(&name, changes);
                self.request(now, Request::Forget { room: name, host }, Purpose::Nothing);
            }
        }
    }

    /// Handles the versions of the names of all hosts in a room, and reads those that are other than known.
    pub(super) fn hosts_read(&mut self, now: Time, (name, keep): (&Arc<str>, Keep), answer: Answer) {
        let Answer::Hosts(mut found) = answer else { return };
        let own = found.remove(&self.host).unwrap_or(0);
        if own > 0 && !self.rooms.contains_key(name) {
            // A broker that has lost its last writes may have names of members that have left since.
            self.hold(now, name, keep);
        }
        let Some(room) = self.rooms.get_mut(name) else { return };
        let people = &mut room.people;
        people.read_at = now;
        if people.unconfirmed == 0 {
            people.sent = Some(own);
        }
        let must_write = people.is_unwritten || own != people.written || (own == 0) == people.are_here();
        // After a broker has lost its data, the other hosts have not written their names at once.
        let may_be_gone = self.hosts.grace_until.is_none();
        let (is_needed, hosts) = (people.is_needed, people.hosts());
        let gone = hosts.into_iter().filter(|host| may_be_gone && !found.contains_key(host));
        let changes: Vec<_> = gone.flat_map(|host| people.remove_host(host)).collect();
        let others: Vec<_> =
            found.into_iter().filter(|(host, version)| is_needed && people.version(*host) != Some(*version)).collect();
        self.tell_changes(name, changes);
        for (host, version) in others {
            self.read_names_of(now, name, host, version);
        }
        if must_write {
            self.write_all_names(now, name);
        }
        self.presence_is_read(now, name);
    }

    pub(super) fn names_read(&mut self, now: Time, name: &Arc<str>, (host, reading): (u64, u64), answer: Answer) {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.people.is_reading(host, reading)) else { return };
        // The names are not those of this version, and are read again when they are compared.
        let Answer::Names(names, cursor) = answer else { return room.people.fail_reading(host) };
        let mut changes: Vec<Change> =
            names.iter().filter_map(|(who, info)| room.people.found(host, who, info.as_ref())).collect();
        if !names.is_empty() {
            self.hosts.rooms.entry(host).or_default().insert(Arc::clone(name));
        }
        match cursor {
            Some(cursor) => self.read_more_names(now, name, (host, reading), cursor),
            None => changes.extend(room.people.end_reading(host, reading)),
        }
        self.tell_changes(name, changes);
        self.presence_is_read(now, name);
    }

    /// Handles news of the names of another host.
    pub(super) fn hear_names(&mut self, now: Time, room: &str, host: u64, news: NamesNews) {
        if host == self.host {
            return self.hear_own_names(now, room, news.versions.1);
        }
        let is_needed = |room: &Room| room.people.is_needed;
        let Some((name, _)) = self.rooms.get_key_value(room).filter(|(_, room)| is_needed(room)) else { return };
        let name = Arc::clone(name);
        let Some(room) = self.rooms.get_mut(&name) else { return };
        let NamesNews { versions: (before, after), change } = news;
        let is_next = room.people.version(host) == Some(before);
        let Some(change) = change.filter(|_| is_next) else {
            // Something was missed, or much has changed.
            return self.read_hosts(now, &name);
        };
        let news = if change.is_present {
            room.people.add(host, &change.name, change.info.as_ref())
        } else {
            room.people.remove(host, &change.name)
        };
        if after == 0 {
            room.people.versions.remove(&host);
        } else {
            room.people.versions.insert(host, Some(after));
            self.hosts.rooms.entry(host).or_default().insert(Arc::clone(&name));
        }
        self.tell_change(&name, news);
    }

    /// Handles news of this host's names. If others have removed them, some of what it has written since may be gone too.
    fn hear_own_names(&mut self, now: Time, room: &str, version: u64) {
        let Some(name) = self.rooms.get_key_value(room).map(|(name, _)| Arc::clone(name)) else { return };
        if let Some(room) = self.rooms.get_mut(&name).filter(|room| version == 0 && room.people.are_here()) {
            room.people.is_unwritten = true;
            self.read_hosts(now, &name);
        }
    }

    /// Notes which version of this host's names the broker has.
    pub(super) fn names_written(&mut self, now: Time, name: &Arc<str>, version: u64, answer: &Answer) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.people.unconfirmed = room.people.unconfirmed.saturating_sub(1);
        if *answer == Answer::OtherNames {
            if version > room.people.whole {
                self.write_all_names(now, name);
            }
        } else if *answer == Answer::Done {
            // A script that the broker had lost is sent again, and may run after a later change.
            room.people.is_unwritten |= version < room.people.written;
            room.people.written = if room.people.are_here() { version } else { 0 };
        } else {
            room.people.is_unwritten = true;
        }
        self.drop_if_unused(now, name);
    }

    /// Forgets a room that is not heard any more.
    pub(super) fn forget_people(&mut self, name: &Arc<str>, people: &People) {
        for host in people.hosts() {
            if let Some(rooms) = self.hosts.rooms.get_mut(&host) {
                rooms.remove(name);
                if rooms.is_empty() {
                    self.hosts.rooms.remove(&host);
                }
            }
        }
    }

    pub(super) fn read_hosts(&mut self, now: Time, name: &Arc<str>) {
        let Some(keep) = self.rooms.get(name).map(|room| room.keep) else { return };
        self.read(now, Request::Hosts { room: Arc::clone(name) }, Purpose::Hosts(Arc::clone(name), keep));
    }

    fn read_names_of(&mut self, now: Time, name: &Arc<str>, host: u64, version: u64) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.people.versions.insert(host, Some(version));
        let reading = room.people.begin_reading(host);
        self.read_more_names(now, name, (host, reading), Box::from(&b"0"[..]));
    }

    fn read_more_names(&mut self, now: Time, name: &Arc<str>, (host, reading): (u64, u64), cursor: Box<[u8]>) {
        let request = Request::NamesOf { room: Arc::clone(name), host, cursor };
        self.read(now, request, Purpose::NamesOf(Arc::clone(name), host, reading));
    }

    /// Answers the requests for names, once the names of all hosts are known.
    fn presence_is_read(&mut self, now: Time, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name).filter(|room| room.people.is_read()) else { return };
        room.people.is_known = true;
        self.answer_waiting(now, name);
    }

    fn answer_waiting(&mut self, now: Time, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        for Who { from, request, after, max } in core::mem::take(&mut room.people.waiting) {
            let known = room.people.is_known.then(|| room.people.page(after.as_deref(), max));
            let answer = known.map_or(RoomAnswer::Unknown, |page| RoomAnswer::Present(Some(page)));
            self.output.push_back(Output::ToShard(from, RoomMessage::Answer { request, answer }));
        }
        self.drop_if_unused(now, name);
    }

    /// Compares the names of all rooms with those at the broker.
    fn compare_all_names(&mut self, now: Time) {
        let rooms: Vec<_> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.people.must_compare())
            .map(|(name, _)| Arc::clone(name))
            .collect();
        for name in rooms {
            self.read_hosts(now, &name);
        }
    }

    /// Writes a change of this host's names, or all of them if the broker may not have the other ones.
    fn write_change(&mut self, now: Time, name: &Arc<str>, change: NamesChange) {
        let is_up = self.is_up();
        let Some(people) = self.rooms.get_mut(name).map(|room| &mut room.people) else { return };
        if !is_up {
            people.is_unwritten = true;
        } else if people.sent.is_none() {
            self.write_all_names(now, name);
        } else {
            self.write_names(now, name, change);
        }
    }

    /// Writes all names of this host in a room.
    fn write_all_names(&mut self, now: Time, name: &Arc<str>) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        room.people.is_unwritten = false;
        let names = room.people.here();
        let mut parts = names.chunks(NAMES_MAX).map(<[_]>::to_vec);
        self.write_names(now, name, NamesChange::All(parts.next().unwrap_or_default()));
        for part in parts {
            self.write_names(now, name, NamesChange::More(part));
        }
        self.drop_if_unused(now, name);
    }

    fn write_names(&mut self, now: Time, name: &Arc<str>, change: NamesChange) {
        let Some(people) = self.rooms.get_mut(name).map(|room| &mut room.people) else { return };
        self.hosts.version += 1;
        let (version, are_left) = (self.hosts.version, people.are_here());
        let before = people.sent.replace(if are_left { version } else { 0 }).unwrap_or_default();
        people.unconfirmed += 1;
        if matches!(change, NamesChange::All(_)) {
            people.whole = version;
        }
        let request = Request::Names { room: Arc::clone(name), change, before, version, are_left };
        self.request(now, request, Purpose::Names(Arc::clone(name), version));
    }

    fn tell_changes(&mut self, name: &Arc<str>, changes: Vec<Change>) {
        changes.into_iter().for_each(|change| self.tell_change(name, Some(change)));
    }

    fn tell_change(&mut self, name: &Arc<str>, change: Option<Change>) {
        let Some(Change { name: who, info, is_present }) = change else { return };
        let room = Arc::clone(name);
        let changed = RoomMessage::PresenceChanged { room, name: who, is_present, info };
        self.output.push_back(Output::ToHolders(changed));
    }
}
