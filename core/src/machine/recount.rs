//! Consistency checks for tests: every gauge must equal a recount.

use super::Machine;
use crate::base::recount::same;
use crate::base::{ConnId, DialId};
use crate::config::PeerLimits;
use crate::handler::Handler;
use crate::history::RoomHistories;
use crate::state::conn::Conn;
use crate::state::{Numbered, State, ToldPresence};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

impl<H: Handler> Machine<H> {
    /// Recounts every gauge from the tables, and checks the tables against each other.
    ///
    /// Call it between two facts. No table keeps an entry of a connection that is gone, so a
    /// machine without connections is empty. For tests: it visits everything. Needs the feature
    /// `sim`.
    ///
    /// # Errors
    /// The first mismatch, as text.
    pub fn recount(&self) -> Result<(), String> {
        self.state.recount()?;
        // The link to a broker has none.
        let (links, _) = self.open_links();
        let open = self.state.count(Conn::is_open) - usize::try_from(links).unwrap_or(0);
        same("contexts", self.contexts.count(), open)?;
        #[cfg(feature = "tls")]
        self.recount_sessions()?;
        Ok(())
    }

    /// Returns the number of dials.
    pub(crate) fn dial_count(&self) -> usize {
        self.state.dials.count()
    }

    /// Returns the limits of the dial of a connection, if it sets any.
    pub(crate) fn dial_limits(&self, conn: ConnId) -> Option<PeerLimits> {
        self.state.dials.get(self.state.dial_of(conn)?)?.limits
    }

    /// Returns `true` if the dial exists and has TLS settings.
    pub(crate) fn dial_has_tls(&self, dial: DialId) -> bool {
        self.state.dials.get(dial).is_some_and(|dial| dial.tls.is_some())
    }

    /// Recounts each shard of a server, and checks the server-wide counts of the first shard.
    ///
    /// Every message between shards must have been delivered. See [`recount`](Self::recount).
    ///
    /// # Errors
    /// The first mismatch, as text.
    pub fn recount_shards(shards: &[&Self]) -> Result<(), String> {
        for shard in shards {
            let number = shard.state.outbox.shard.number();
            shard.recount().map_err(|wrong| format!("shard {number}: {wrong}"))?;
        }
        let states: Vec<_> = shards.iter().map(|shard| &shard.state).collect();
        let first = states.iter().find(|state| state.outbox.shard.number() == 0);
        first.map_or(Ok(()), |first| first.recount_admission(&states))?;
        State::recount_homes(&states)
    }

    /// Begins a ledger of all messages that this shard numbers as the home of rooms.
    pub(crate) fn keep_ledger(&mut self) {
        self.state.memory.keep_ledger();
    }

    /// Returns all messages of rooms that this shard has numbered as their home, in this order.
    pub(crate) fn numbered(&self) -> &[Numbered] {
        self.state.memory.numbered()
    }

    /// Returns all changes of presence that this shard has told as the home of rooms, in this order.
    pub(crate) fn told_presence(&self) -> &[ToldPresence] {
        self.state.memory.told_presence()
    }

    /// Returns a copy of the histories of the rooms whose home this shard is.
    pub(crate) fn copy_histories(&self) -> RoomHistories {
        self.state.memory.copy_histories()
    }

    /// Replaces these histories with an older copy.
    pub(crate) fn lose_writes(&mut self, copy: RoomHistories) {
        self.state.lose_writes(copy);
    }

    /// Returns `true` if nothing is left of rooms with a home but their histories.
    pub(crate) fn has_no_seats(&self) -> bool {
        self.state.memory.is_empty()
    }
}
