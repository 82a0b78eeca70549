use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use rustls::server::ProducesTickets;
use std::sync::{Mutex, PoisonError};

/// A store of keys for [session tickets](super::Secured::resumed), kept across reloads.
///
/// A resumed session skips the certificates of both sides, so each policy has its own keys: a
/// ticket is valid only where a full handshake would have had the same result. The policy is
/// whether client certificates are requested, their authorities, and the names in the server's
/// certificates. Listeners with the same policy share keys. A reload that does not change the
/// policy keeps them; one that does invalidates all tickets. Keys live as long as anything that was
/// loaded with them.
#[derive(Clone)]
pub struct TicketKeys {
    make: MakeTicketer,
    by_policy: Arc<Mutex<BTreeMap<Policy, Weak<dyn ProducesTickets>>>>,
}

/// A function that creates new ticket keys.
type MakeTicketer = fn() -> Result<Arc<dyn ProducesTickets>, rustls::Error>;

/// The properties of a listener that must be equal for a session to be resumed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Policy {
    pub(super) clients: Clients,
    /// The names in each of the server's certificates, or the certificate itself if it has none.
    pub(super) server: BTreeSet<BTreeSet<Vec<u8>>>,
}

/// The client-certificate policy, with the accepted authorities in DER.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clients {
    None,
    Optional(BTreeSet<Vec<u8>>),
    Required(BTreeSet<Vec<u8>>),
}

impl TicketKeys {
    /// Creates an empty store, which calls `make` for the new keys of each policy.
    ///
    /// Each call of `make` must return new keys. The function belongs to a rustls provider, such as
    /// `rustls::crypto::ring::Ticketer::new`.
    #[must_use]
    pub fn new(make: MakeTicketer) -> Self {
        Self { make, by_policy: Arc::default() }
    }

    /// Returns the keys of a policy, and creates them if there are none.
    pub(super) fn of(&self, policy: Policy) -> Result<Arc<dyn ProducesTickets>, rustls::Error> {
        let mut by_policy = self.by_policy.lock().unwrap_or_else(PoisonError::into_inner);
        by_policy.retain(|_, keys| keys.strong_count() > 0);
        if let Some(keys) = by_policy.get(&policy).and_then(Weak::upgrade) {
            return Ok(keys);
        }
        let keys = (self.make)()?;
        by_policy.insert(policy, Arc::downgrade(&keys));
        Ok(keys)
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKeys")
    }
}
