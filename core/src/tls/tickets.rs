use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use rustls::server::ProducesTickets;
use std::sync::{Mutex, PoisonError};

/// The keys with which sessions are [resumed](super::Secured::resumed), for all listeners and over all reloads.
///
/// A resumed session skips the certificates of both sides, so a ticket is only good where it could have been had by a whole
/// handshake: each policy has keys of its own. A policy is whether peers are asked for certificates, of which authorities, and
/// the names in the certificates of the server. Listeners of one policy share keys; a reload that leaves the policy as it was
/// keeps them, and one that changes it makes all tickets worthless. Keys live as long as something that was loaded with them.
#[derive(Clone)]
pub struct Tickets {
    make: MakeTicketer,
    by_policy: Arc<Mutex<BTreeMap<Policy, Weak<dyn ProducesTickets>>>>,
}

/// Makes keys that nobody else has.
type MakeTicketer = fn() -> Result<Arc<dyn ProducesTickets>, rustls::Error>;

/// What a peer has to be, and whom it finds, for a session to begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Policy {
    pub(super) clients: Clients,
    /// The names in each certificate of the server, or the certificate itself if it has none.
    pub(super) server: BTreeSet<BTreeSet<Vec<u8>>>,
}

/// Whether peers are asked for a certificate, and by which authorities it may be signed (DER).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Clients {
    None,
    Optional(BTreeSet<Vec<u8>>),
    Required(BTreeSet<Vec<u8>>),
}

impl Tickets {
    /// Keys of a provider of rustls, such as `rustls::crypto::ring::Ticketer::new`: each call of it must make other ones.
    #[must_use]
    pub fn new(make: MakeTicketer) -> Self {
        Self { make, by_policy: Arc::default() }
    }

    /// The keys of a policy.
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

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tickets")
    }
}
