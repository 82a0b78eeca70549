//! Sets of public keys that all workers share, and requests to the threads that refresh them.

use drupe_core::kit::auth::KeySet;
use drupe_core::settings::{Catalog, KeySetUrl, Section};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Maximum number of requests that wait for a fetch. Others are refused at once.
const WAITING_MAX: usize = 1_024;

/// A request to the thread that refreshes a set of keys.
pub(crate) enum Wanted {
    /// Fetch the set, unless the last fetch is too recent. Then call the function in either case.
    Now(Box<dyn FnOnce() + Send>),
    /// Fetch the set once the minimum time since the last fetch has passed.
    Soon,
    /// Fetch the set from this URL from now on. `None`: fetch none.
    Source(Option<KeySetUrl>),
}

/// Creates the request queue of the thread that refreshes a set of keys.
pub(crate) fn queue() -> (SyncSender<Wanted>, Receiver<Wanted>) {
    sync_channel(WAITING_MAX)
}

/// A shared set of keys that a thread refreshes.
pub(crate) trait Keys: Send {
    /// Returns the current set, if there is one.
    fn current(&self) -> Option<Arc<KeySet>>;

    /// Replaces the set.
    fn replace(&self, keys: &Arc<KeySet>);
}

/// The set of public keys that a [section](Section::key_set) of the configuration names, for an application.
///
/// All workers share it. The program loads it before the server starts, and replaces it after a reload and, if it comes
/// from a URL, after each fetch.
#[derive(Clone, Default)]
pub struct SharedKeySet {
    state: Arc<Mutex<State>>,
    wanted: Option<SyncSender<Wanted>>,
}

#[derive(Clone, Default)]
pub(crate) struct State {
    pub(crate) keys: Option<Arc<KeySet>>,
    /// Whether the set comes from a URL.
    pub(crate) is_fetched: bool,
}

impl SharedKeySet {
    /// Returns the current set. `None`: the configuration names no set.
    #[must_use]
    pub fn current(&self) -> Option<Arc<KeySet>> {
        self.lock().keys.clone()
    }

    /// Requests a fetch, because a token is signed with an unknown key. Returns `false` if the set has no URL.
    ///
    /// The minimum time between fetches applies.
    #[must_use]
    pub fn refresh(&self) -> bool {
        let is_fetched = self.lock().is_fetched;
        if let Some(wanted) = self.wanted.as_ref().filter(|_| is_fetched) {
            // If the queue is full, a fetch is due already.
            let _ = wanted.try_send(Wanted::Soon);
        }
        is_fetched
    }

    /// Replaces the set and its source. Returns the previous ones, which no serving thread should drop.
    pub(crate) fn exchange(&self, state: State) -> State {
        core::mem::replace(&mut *self.lock(), state)
    }

    /// Sends a new source to the thread that fetches the set.
    pub(crate) fn source_changed(&self, source: Option<KeySetUrl>) {
        if let Some(wanted) = &self.wanted {
            // The thread lives as long as the process.
            let _ = wanted.send(Wanted::Source(source));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for SharedKeySet {
    fn current(&self) -> Option<Arc<KeySet>> {
        Self::current(self)
    }

    fn replace(&self, keys: &Arc<KeySet>) {
        let mut state = self.lock();
        // A reload may have removed the URL meanwhile.
        if state.is_fetched {
            state.keys = Some(Arc::clone(keys));
        }
    }
}

impl fmt::Debug for SharedKeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKeySet")
    }
}

/// The sets of all sections that may name one, by the key of their settings for tokens.
#[derive(Clone, Default)]
pub(crate) struct SectionKeys(BTreeMap<String, SharedKeySet>);

impl SectionKeys {
    /// Creates the sets, which are empty, and the request queues of their threads.
    pub(crate) fn new(catalog: &Catalog) -> (Self, Vec<(String, Receiver<Wanted>)>) {
        let (mut sets, mut queues) = (BTreeMap::new(), Vec::new());
        for tokens in catalog.tokens_of_sections() {
            let (sender, wanted) = queue();
            sets.insert(tokens.clone(), SharedKeySet { wanted: Some(sender), ..SharedKeySet::default() });
            queues.push((tokens, wanted));
        }
        (Self(sets), queues)
    }

    /// Returns the set of a section. It stays empty if the program does not have the section.
    pub(crate) fn of<T: Section>(&self) -> SharedKeySet {
        let tokens = T::TOKENS.map(|tokens| format!("{}.{tokens}", T::NAME));
        tokens.and_then(|tokens| self.0.get(&tokens).cloned()).unwrap_or_default()
    }

    /// Returns the sets, each with the key of its settings for tokens.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &SharedKeySet)> {
        self.0.iter().map(|(tokens, set)| (&**tokens, set))
    }
}
