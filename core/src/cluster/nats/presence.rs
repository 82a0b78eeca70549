//! Requests about names, and about the leases of hosts.

use super::answers::{ApiErrorKind, Stored, Unusable, done, kept, stored, subjects};
use super::headers::{HeadersBuf, gone};
use super::link::NatsLink;
use super::reading::Collect;
use super::subjects::{host_in, last_word};
use super::task::{Asked, Next, Task, bytes_of};
use crate::base::Time;
use crate::cluster::broker::{Answer, Named, NamesChange, Request};
use crate::cluster::fault::{LinkFault, Refused};
use crate::cluster::names::host_text;
use crate::cluster::news;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

/// Maximum number of names in one answer.
const NAMES_MAX: u64 = 256;
/// Maximum number of hosts with names in one room.
const HOSTS_MAX: u64 = 10_000;

impl<P> NatsLink<P> {
    /// Changes names of this host in a room, after earlier changes there.
    pub(super) fn change_names(&mut self, now: Time, asked: Asked<P>) {
        let Request::Names { room, .. } = &asked.request else { return };
        if let Some(waiting) = self.naming.get_mut(room) {
            self.waiting_bytes += bytes_of(&asked);
            return waiting.push_back(asked);
        }
        self.naming.insert(Arc::clone(room), VecDeque::new());
        self.begin_change(now, asked);
    }

    /// Begins the next change of names in a room.
    pub(super) fn next_names(&mut self, now: Time, room: &Arc<str>) {
        let Some(waiting) = self.naming.get_mut(room) else { return };
        match waiting.pop_front() {
            Some(asked) => {
                self.waiting_bytes -= bytes_of(&asked);
                self.begin_change(now, asked);
            }
            None => drop(self.naming.remove(room)),
        }
    }

    fn begin_change(&mut self, now: Time, asked: Asked<P>) {
        match &asked.request {
            Request::Names { room, change: NamesChange::All(_), .. } => {
                let filter = self.subjects.name(room, self.host, None);
                self.remove_names(now, asked, &filter);
            }
            _ => self.write_names(now, asked),
        }
    }

    fn remove_names(&mut self, now: Time, asked: Asked<P>, filter: &str) {
        let subject = format!("$JS.API.STREAM.PURGE.{}", self.subjects.names_stream());
        let query = format!(r#"{{"filter":"{filter}"}}"#);
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::NamesRemoved));
    }

    pub(super) fn names_removed(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        match done(payload) {
            Ok(()) => self.write_names(now, asked),
            Err(why) => return self.refuse_after(now, asked, why, "the removal of names"),
        }
        Ok(())
    }

    /// Writes names, and then their version, which is also the news of them.
    fn write_names(&mut self, now: Time, asked: Asked<P>) {
        let (room, host, version, change) = match &asked.request {
            Request::Names { room, change, version, are_left, .. } => {
                (Arc::clone(room), self.host, if *are_left { *version } else { 0 }, Some(change))
            }
            Request::Forget { room, host } => (Arc::clone(room), *host, 0, None),
            _ => return,
        };
        // Without a version that was written over this link, no host has the one before.
        let before = self.written.get(&room).copied().filter(|_| host == self.host);
        // A change of a part of the names is of no use if the server has lost the other ones.
        let expected = before.map(|(_, number)| number).filter(|number| *number > 0);
        let expected = expected.filter(|_| !matches!(change, Some(NamesChange::All(_)) | None));
        let before = before.map_or(u64::MAX, |(version, _)| version);
        let mut news = format!("{} {before} {version}", host_text(host));
        let no_name: (Arc<str>, Option<Arc<str>>);
        let (set, gone_name): (&[Named], Option<&Arc<str>>) = match change {
            Some(NamesChange::All(names) | NamesChange::More(names)) => (names, None),
            Some(NamesChange::Add(named)) => {
                no_name = named.clone();
                (core::slice::from_ref(&no_name), None)
            }
            Some(NamesChange::Remove(name)) => (&[], Some(name)),
            None => (&[], None),
        };
        match change {
            Some(NamesChange::Add((name, info))) => {
                news.extend([" + ", &name.len().to_string(), "\n", name]);
                news.extend(info.iter().flat_map(|info| ["i", info]));
            }
            Some(NamesChange::Remove(name)) => news.extend([" - ", &name.len().to_string(), "\n", name]),
            _ => {}
        }
        for (name, info) in set {
            let info = info.as_ref().map(|info| format!("i{info}")).unwrap_or_default();
            let subject = self.subjects.name(&room, host, Some(name));
            self.call(now, subject, "", info.as_bytes(), Task::Name(Arc::clone(&room)));
        }
        if let Some(name) = gone_name {
            let subject = self.subjects.name(&room, host, Some(name));
            self.call(now, subject, &gone(), b"", Task::Name(Arc::clone(&room)));
        }
        if host == self.host {
            if version == 0 && !self.rooms.contains_key(&room) {
                self.written.remove(&room);
            } else {
                // Its number comes with the answer.
                self.written.insert(Arc::clone(&room), (version, 0));
            }
        }
        let subject = self.subjects.version(&room, Some(host));
        let headers = expected.map(|number| HeadersBuf::new().expects(number).end()).unwrap_or_default();
        self.call(now, subject, &headers, news.as_bytes(), Task::Asked(asked, Next::NamesKept));
    }

    /// Handles the confirmation of one name. It comes before that of the version.
    pub(super) fn name_kept(&mut self, room: Arc<str>, payload: &[u8]) -> Result<(), LinkFault> {
        match kept(payload) {
            Ok(_) => {}
            Err(Unusable::Error(_)) => drop(self.unkept_names.insert(room)),
            Err(Unusable::Unreadable) => return Err(LinkFault::Unexpected("a name")),
        }
        Ok(())
    }

    pub(super) fn names_kept(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let found = match kept(payload) {
            Ok(found) => found,
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::WrongLastSequence => {
                self.finish(now, asked, Answer::OtherNames);
                return Ok(());
            }
            Err(why) => return self.refuse_after(now, asked, why, "a change of names"),
        };
        if let Request::Names { room, .. } = &asked.request
            && let Some((_, number)) = self.written.get_mut(room)
        {
            *number = found.number;
        }
        if let Request::Names { room, .. } = &asked.request
            && self.unkept_names.remove(room)
        {
            let why = Refused("not all names are kept".into());
            self.finish(now, asked, Answer::Refused(why));
            return Ok(());
        }
        let filter = match &asked.request {
            // The message that says so is not needed either.
            Request::Names { room, change: NamesChange::Remove(name), .. } => {
                Some(self.subjects.name(room, self.host, Some(name)))
            }
            Request::Forget { room, host } => Some(self.subjects.name(room, *host, None)),
            _ => None,
        };
        if let Some(filter) = filter {
            // What was written later has a higher number.
            let query = format!(r#"{{"filter":"{filter}","seq":{}}}"#, found.number);
            let subject = format!("$JS.API.STREAM.PURGE.{}", self.subjects.names_stream());
            self.call(now, subject, "", query.as_bytes(), Task::Ignored);
        }
        self.finish(now, asked, Answer::Done);
        Ok(())
    }

    /// Removes the names of a host that is gone: first the version, so that the host writes them anew if it is not.
    pub(super) fn forget_names(&mut self, now: Time, asked: Asked<P>) {
        self.write_names(now, asked);
    }

    /// Reads the versions of the names of all hosts in a room, or a part of the names of one host.
    ///
    /// The server with the consumer may be behind. So the one that is not is asked first what the last message is.
    pub(super) fn read_names(&mut self, now: Time, asked: Asked<P>) {
        let Some((filter, ..)) = self.names_to_read(&asked.request) else { return };
        let query = format!(r#"{{"last_by_subj":"{filter}"}}"#);
        let subject = format!("$JS.API.STREAM.MSG.GET.{}", self.subjects.names_stream());
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::LastName));
    }

    pub(super) fn last_name_found(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let last = match stored(payload) {
            Ok(last) => Some(last.number),
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::NoMessage => None,
            Err(why) => return self.refuse_after(now, asked, why, "a request for the last name"),
        };
        let Some((filter, from, max)) = self.names_to_read(&asked.request) else { return Ok(()) };
        let collect = Collect::of_names(self.subjects.names_stream(), max, last.unwrap_or(0));
        if last.is_none_or(|last| last < from) {
            self.names_collected(now, asked, &collect);
        } else {
            self.collect(now, asked, &filter, from, collect);
        }
        Ok(())
    }

    /// Returns the subjects with names, the first number, and the maximum number of messages.
    fn names_to_read(&self, request: &Request) -> Option<(String, u64, u64)> {
        match request {
            Request::Hosts { room } => Some((self.subjects.version(room, None), 0, HOSTS_MAX)),
            Request::NamesOf { room, host, cursor } => {
                let from = core::str::from_utf8(cursor).ok().and_then(|cursor| cursor.parse().ok());
                Some((self.subjects.name(room, *host, None), from.unwrap_or(0), NAMES_MAX))
            }
            _ => None,
        }
    }

    pub(super) fn names_collected(&mut self, now: Time, asked: Asked<P>, collect: &Collect) {
        if collect.is_behind() {
            let why = Refused("the server is behind".into());
            return self.finish(now, asked, Answer::Refused(why));
        }
        let answer = if let Request::Hosts { room } = &asked.request {
            let found: Vec<(u64, u64, u64)> = collect.got.iter().filter_map(version).collect();
            if let Some((_, own, number)) = found.iter().find(|(host, ..)| *host == self.host)
                && self.rooms.contains_key(room)
            {
                // Changes over this link are based on it.
                self.written.entry(Arc::clone(room)).or_insert((*own, *number));
            }
            let present = found.into_iter().filter(|(_, version, _)| *version > 0);
            Answer::Hosts(present.map(|(host, version, _)| (host, version)).collect())
        } else {
            let cursor = collect.next_number().map(|next| Box::from(next.to_string().as_bytes()));
            let name = |stored: &Stored| {
                let name = last_word(&stored.subject).filter(|_| !stored.is_gone)?;
                Some((name.into(), news::info(&stored.data).ok()?))
            };
            let names: Vec<Named> = collect.got.iter().filter_map(name).collect();
            Answer::Names(names, cursor)
        };
        self.finish(now, asked, answer);
    }

    /// Renews the lease of this host.
    pub(super) fn keep_lease(&mut self, now: Time, asked: Asked<P>) {
        let subject = self.subjects.lease();
        self.call(now, subject, "", b"1", Task::Asked(asked, Next::LeaseKept));
    }

    pub(super) fn lease_kept(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        match kept(payload) {
            Ok(_) => self.finish(now, asked, Answer::Leased(true)),
            Err(why) => return self.refuse_after(now, asked, why, "the renewal of a lease"),
        }
        Ok(())
    }

    pub(super) fn end_lease(&mut self, now: Time, asked: Asked<P>) {
        let subject = format!("$JS.API.STREAM.PURGE.{}", self.subjects.leases_stream());
        let query = format!(r#"{{"filter":"{}"}}"#, self.subjects.lease());
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::LeaseRemoved));
    }

    pub(super) fn list_leases(&mut self, now: Time, asked: Asked<P>) {
        let subject = format!("$JS.API.STREAM.INFO.{}", self.subjects.leases_stream());
        let query = format!(r#"{{"subjects_filter":"{}"}}"#, self.subjects.all_leases());
        self.call(now, subject, "", query.as_bytes(), Task::Asked(asked, Next::LeasesListed));
    }

    pub(super) fn leases_listed(&mut self, now: Time, asked: Asked<P>, payload: &[u8]) -> Result<(), LinkFault> {
        let found = match subjects(payload) {
            Ok(found) => found,
            Err(Unusable::Error(error)) if error.kind == ApiErrorKind::NoMessage => Vec::new(),
            Err(why) => return self.refuse_after(now, asked, why, "a request for leases"),
        };
        let mut leased: Vec<u64> = found.iter().filter_map(|subject| self.subjects.host_of_lease(subject)).collect();
        leased.sort_unstable();
        let Request::Leases { hosts } = &asked.request else { return Ok(()) };
        let answer = hosts.iter().map(|host| leased.binary_search(host).is_ok()).collect();
        self.finish(now, asked, Answer::Leases(answer));
        Ok(())
    }
}

/// Returns a host, the version of its names, and the number of the message that says so.
fn version(stored: &Stored) -> Option<(u64, u64, u64)> {
    let host = host_in(&stored.subject)?;
    let words = core::str::from_utf8(stored.data.split(|byte| *byte == b'\n').next()?).ok()?;
    let (_, news) = news::read(words, b"").or_else(|| {
        // Of news about one name, only the versions count here.
        let end = words.match_indices(' ').nth(2).map_or(words.len(), |(at, _)| at);
        news::read(words.get(..end)?, b"")
    })?;
    Some((host, news.versions.1, stored.number))
}
