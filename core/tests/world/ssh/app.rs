//! The provider and the application of worlds with SSH logins, which record what they decided and served.

use drupe_core::kit::auth::{Authentication, AuthenticationLimits, LateAnswer, Lookup, Provider, Verdict};
use drupe_core::kit::layer::{Layered, Within};
use drupe_core::{ConnId, Event, Handler, Hub, Identity, UnixTime};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard};

pub(crate) type App = Layered<Authentication<Keyholders>, Room>;

/// Why a key or a token is refused.
pub(crate) const UNKNOWN: &str = "nobody has it";

/// What the provider and the layer of all shards did.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// For each connection, the users that the provider has accepted.
    pub(crate) accepted: BTreeMap<ConnId, BTreeSet<String>>,
    /// Connections for which the provider owes an answer, with the key or the token.
    pub(crate) owed: Vec<(ConnId, String)>,
    /// The failures of each connection, in order.
    pub(crate) failures: BTreeMap<ConnId, Vec<String>>,
}

/// Records that outlive the handlers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shared(Arc<Mutex<Records>>);

impl Shared {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Records> {
        self.0.lock().expect("no panic")
    }

    pub(crate) fn app(&self, limits: AuthenticationLimits) -> App {
        let provider = Keyholders { records: self.clone(), asked: BTreeMap::new() };
        let records = self.clone();
        let layer = Authentication::new(provider, [9; 32]).limits(limits).on_failure(move |conn, why| {
            records.lock().failures.entry(conn).or_default().push(why.into());
        });
        Room::default().within(layer)
    }
}

/// The verdict on a key or a token that comes later: the user, or that it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Late {
    Verdict(ConnId, Option<String>),
    /// An answer without a question.
    OfAnother(ConnId),
}

impl fmt::Display for Late {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Verdict(conn, Some(user)) => write!(f, "{conn} accept {user}"),
            Self::Verdict(conn, None) => write!(f, "{conn} refuse"),
            Self::OfAnother(conn) => write!(f, "{conn} other"),
        }
    }
}

impl FromStr for Late {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (conn, rest) = text.split_once(' ').ok_or(())?;
        let conn = conn.parse().map_err(|_| ())?;
        Ok(match rest.split_once(' ') {
            Some((_, user)) => Self::Verdict(conn, Some(user.into())),
            None if rest == "refuse" => Self::Verdict(conn, None),
            None => Self::OfAnother(conn),
        })
    }
}

/// Decides about keys and tokens as their texts say.
#[derive(Debug)]
pub(crate) struct Keyholders {
    records: Shared,
    /// How often the provider was asked about each key of a connection.
    asked: BTreeMap<(ConnId, String), u32>,
}

impl Provider<Late> for Keyholders {
    fn token(&mut self, conn: ConnId, token: &str, _: Option<UnixTime>) -> Verdict {
        let mut records = self.records.lock();
        match token.split_once('-') {
            Some(("good", user)) => {
                records.accepted.entry(conn).or_default().insert(user.into());
                Verdict::Accepted(Identity::user(user))
            }
            Some(("late", _)) => {
                records.owed.push((conn, token.into()));
                Verdict::Pending
            }
            _ => Verdict::Refused(UNKNOWN.into()),
        }
    }

    fn public_key(&mut self, conn: ConnId, user: &str, key: &str) -> Verdict {
        let asked = self.asked.entry((conn, key.into())).or_default();
        *asked += 1;
        let mut records = self.records.lock();
        let mut accept = |user: &str| {
            records.accepted.entry(conn).or_default().insert(user.into());
            Verdict::Accepted(Identity::user(user))
        };
        match (key, asked) {
            // One user for all keys.
            ("ssh-ed25519 renamed", _) => accept("git"),
            // The key is removed between the offer and the proof.
            ("ssh-ed25519 removed", 1) => Verdict::Accepted(Identity::user(user)),
            // Only the second answer is about a proof.
            ("ssh-ed25519 changed", 1) => Verdict::Accepted(Identity::user("offered")),
            ("ssh-ed25519 good" | "ssh-ed25519 changed", _) => accept(user),
            ("ssh-ed25519 late", _) => {
                records.owed.push((conn, key.into()));
                Verdict::Pending
            }
            _ => Verdict::Refused(UNKNOWN.into()),
        }
    }

    fn note(&mut self, note: Late) -> Result<(ConnId, LateAnswer), Late> {
        Ok(match note {
            Late::Verdict(conn, Some(user)) => {
                self.records.lock().accepted.entry(conn).or_default().insert(user.clone());
                (conn, Verdict::Accepted(Identity::user(&user)).into())
            }
            Late::Verdict(conn, None) => (conn, Verdict::Refused(UNKNOWN.into()).into()),
            Late::OfAnother(conn) => (conn, Lookup::Unknown.into()),
        })
    }
}

/// An application that answers each message, and records the user of each connection.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// The user of each connection that was served.
    pub(crate) served: BTreeMap<ConnId, String>,
    /// The number of messages.
    pub(crate) messages: u64,
}

impl Handler for Room {
    type Context = ();
    type Note = Late;

    fn on(&mut self, hub: &mut Hub<'_, ()>, event: Event<'_, Late>) {
        match event {
            Event::Opened { conn, .. } => {
                let user = hub.identity(conn).map_or_else(|| "nobody".to_string(), |found| found.user.to_string());
                self.served.insert(conn, user);
                hub.send(conn, "welcome");
            }
            Event::Message { conn, payload } => {
                assert!(self.served.contains_key(&conn), "{conn} is served before its login: {payload:?}");
                self.messages += 1;
                hub.send(conn, "you said something");
            }
            Event::InputEnded { conn, .. } => hub.close(conn),
            event => {
                let conn = event.conn().filter(|conn| !self.served.contains_key(conn));
                assert!(conn.is_none(), "an event of {conn:?} before its login");
            }
        }
    }
}
