//! The people of the chat on the other hosts of a cluster.

use super::messages::valid;
use crate::base::names::confusable_key;
use crate::base::{ConnId, HostId, Time};
use alloc::borrow::ToOwned;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write};
use core::ops::Bound;
use core::time::Duration;

/// Maximum number of people on other hosts that a host knows. Further ones are in no list, and their names may be
/// taken here again.
pub(super) const PEOPLE_MAX: usize = 100_000;
/// How long a host is silent, and unknown to the cluster, before its people are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(30);

/// Someone on another host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    pub(super) conn: ConnId,
    pub(super) name: String,
    /// When the person took the name, in milliseconds since 1970.
    pub(super) since: u64,
    /// The room, if it is shared.
    pub(super) room: Option<String>,
}

/// What hosts tell each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// These people are on the host, or have another name or room there.
    People(Vec<Stranger>),
    /// What follows are all people on the host.
    All,
    /// The other hosts should tell of all their people.
    Ask,
    /// The connection has ended.
    Gone(ConnId),
    /// A private message to a connection of another host.
    Whisper { host: HostId, to: ConnId, from: String, text: String },
}

#[derive(Debug, Default)]
pub(super) struct Abroad {
    hosts: BTreeMap<HostId, People>,
    /// The names in use on other hosts, by their [key](confusable_key). Until hosts have agreed, several may have one.
    ///
    /// There is one for each person.
    names: BTreeSet<(String, HostId, ConnId)>,
}

#[derive(Debug)]
struct People {
    heard_at: Time,
    people: BTreeMap<ConnId, Stranger>,
}

impl Abroad {
    /// Stores a person. Returns the one whose place it takes, and whether it is stored.
    pub(super) fn put(&mut self, host: HostId, stranger: Stranger, now: Time) -> (Option<Stranger>, bool) {
        let before = self.remove(host, stranger.conn);
        if self.names.len() >= PEOPLE_MAX {
            return (before, false);
        }
        self.names.insert((confusable_key(&stranger.name), host, stranger.conn));
        let people = self.hosts.entry(host).or_insert_with(|| People { heard_at: now, people: BTreeMap::new() });
        people.heard_at = now;
        people.people.insert(stranger.conn, stranger);
        (before, true)
    }

    pub(super) fn remove(&mut self, host: HostId, conn: ConnId) -> Option<Stranger> {
        let removed = self.hosts.get_mut(&host)?.people.remove(&conn)?;
        self.names.remove(&(confusable_key(&removed.name), host, conn));
        Some(removed)
    }

    /// Returns a person with a name that looks like this one.
    pub(super) fn find(&self, name: &str) -> Option<(HostId, &Stranger)> {
        let key = confusable_key(name);
        let from = (key.clone(), HostId::new(0), ConnId::new(0, 0, 0));
        let mut found = self.names.range((Bound::Included(from), Bound::Unbounded));
        let (_, host, conn) = found.next().filter(|(other, ..)| *other == key)?;
        Some((*host, self.get(*host, *conn)?))
    }

    pub(super) fn get(&self, host: HostId, conn: ConnId) -> Option<&Stranger> {
        self.hosts.get(&host)?.people.get(&conn)
    }

    /// Removes and returns all people of a host.
    pub(super) fn clear(&mut self, host: HostId) -> Vec<Stranger> {
        let conns: Vec<_> = self.hosts.get(&host).into_iter().flat_map(|host| host.people.keys().copied()).collect();
        conns.into_iter().filter_map(|conn| self.remove(host, conn)).collect()
    }

    /// Returns the hosts that are gone: silent for some time, and not among those that the cluster knows.
    pub(super) fn lost(&self, known: &BTreeSet<HostId>, now: Time) -> Vec<HostId> {
        let is_lost = |(host, people): &(&HostId, &People)| {
            !known.contains(host) && now.since(people.heard_at) >= FORGOTTEN_AFTER
        };
        self.hosts.iter().filter(is_lost).map(|(host, _)| *host).collect()
    }

    pub(super) fn forget(&mut self, host: HostId) -> Vec<Stranger> {
        let people = self.clear(host);
        self.hosts.remove(&host);
        people
    }
}

impl News {
    /// Parses news. Returns `None` if they are malformed.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(['\n', ' ']).unwrap_or((text, ""));
        Some(match kind {
            "people" => Self::People(rest.split('\n').map(Stranger::parse).collect::<Option<_>>()?),
            "all" if rest.is_empty() => Self::All,
            "ask" if rest.is_empty() => Self::Ask,
            "gone" => Self::Gone(rest.parse().ok()?),
            "whisper" => {
                let mut words = rest.splitn(4, ' ');
                let (host, to) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
                Self::Whisper { host, to, from: valid(words.next()?)?, text: words.next()?.to_owned() }
            }
            _ => return None,
        })
    }
}

impl fmt::Display for News {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::People(people) => {
                f.write_str("people")?;
                people.iter().try_for_each(|stranger| write!(f, "\n{stranger}"))
            }
            Self::All => f.write_str("all"),
            Self::Ask => f.write_str("ask"),
            Self::Gone(conn) => write!(f, "gone {conn}"),
            Self::Whisper { host, to, from, text } => write!(f, "whisper {host} {to} {from} {text}"),
        }
    }
}

impl Stranger {
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let (conn, since) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
        let name = valid(words.next()?)?;
        let room = match words.next() {
            None => None,
            Some(room) => Some(valid(room)?),
        };
        words.next().is_none().then_some(Self { conn, name, since, room })
    }
}

impl fmt::Display for Stranger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.conn, self.since, self.name)?;
        self.room.as_ref().map_or(Ok(()), |room| {
            f.write_char(' ')?;
            f.write_str(room)
        })
    }
}
