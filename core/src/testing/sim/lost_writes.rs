//! Homes of rooms that lose their last writes.

use super::{Actor, Numbered, ToldPresence, World};
use crate::handler::Handler;
use core::fmt;

impl<H: Handler, A: Actor> World<H, A>
where
    H::Note: fmt::Display,
{
    /// Copies the histories of all rooms, for [`lose_writes`](Self::lose_writes).
    pub fn copy_histories(&mut self) {
        for node in &mut self.nodes {
            node.histories = Some(node.machine.copy_histories());
        }
    }

    /// Replaces the histories at one shard with the last copy, if there is one.
    ///
    /// It is what a home does that stores histories elsewhere and restarts without its last writes.
    /// No trace contains it, so [`replay`](Self::replay) does nothing afterwards.
    ///
    /// # Panics
    /// If there is no such shard, or if a guarantee is broken.
    pub fn lose_writes(&mut self, shard: u8) {
        let node = &mut self.nodes[usize::from(shard)];
        if let Some(copy) = node.histories.clone() {
            node.machine.lose_writes(copy);
            self.has_lost_writes = true;
        }
        self.check();
    }

    /// Returns all messages that the homes of rooms have numbered, also those that were lost.
    ///
    /// Those of one room are in the order in which its home numbered them.
    pub fn numbered(&self) -> impl Iterator<Item = &Numbered> {
        self.nodes.iter().flat_map(|node| node.machine.numbered())
    }

    /// Returns all changes of presence that the homes of rooms have told.
    ///
    /// Those of one room are in the order in which its home told them.
    pub fn told_presence(&self) -> impl Iterator<Item = &ToldPresence> {
        self.nodes.iter().flat_map(|node| node.machine.told_presence())
    }
}
