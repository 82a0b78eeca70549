use crate::base::{ConnId, work};
use alloc::vec::Vec;

/// Connections by slot and generation.
#[derive(Debug)]
pub(crate) struct Slots<T> {
    slots: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
    len: usize,
    shard: u8,
}

impl<T> Slots<T> {
    pub(crate) fn of_shard(shard: u8) -> Self {
        Self { slots: Vec::new(), free: Vec::new(), len: 0, shard }
    }

    pub(crate) fn insert(&mut self, value: T) -> ConnId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push((0, None));
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let (generation, slot) = &mut self.slots[index as usize];
        *generation = generation.wrapping_add(1);
        *slot = Some(value);
        self.len += 1;
        ConnId::new(self.shard, index, *generation)
    }

    pub(crate) fn remove(&mut self, index: u32) -> Option<T> {
        let value = self.slots.get_mut(index as usize)?.1.take()?;
        self.free.push(index);
        self.len -= 1;
        Some(value)
    }

    /// Returns the connection with this id, unless it is gone.
    pub(crate) fn get(&self, id: ConnId) -> Option<&T> {
        let (generation, slot) = self.slots.get(id.index())?;
        if *generation == id.generation() && id.shard() == self.shard { slot.as_ref() } else { None }
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut T> {
        let (generation, slot) = self.slots.get_mut(id.index())?;
        if *generation == id.generation() && id.shard() == self.shard { slot.as_mut() } else { None }
    }

    pub(crate) fn at(&self, index: u32) -> Option<&T> {
        self.slots.get(index as usize)?.1.as_ref()
    }

    pub(crate) fn at_mut(&mut self, index: u32) -> Option<&mut T> {
        self.slots.get_mut(index as usize)?.1.as_mut()
    }

    /// Returns the id of the current or last connection in a slot.
    pub(crate) fn id(&self, index: u32) -> ConnId {
        ConnId::new(self.shard, index, self.slots.get(index as usize).map_or(0, |slot| slot.0))
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        let visited = self.slots.iter().enumerate().inspect(|_| work::step(1));
        let taken = visited.filter(|(_, slot)| slot.1.is_some());
        taken.map(|(index, slot)| ConnId::new(self.shard, u32::try_from(index).unwrap_or(u32::MAX), slot.0))
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reused_slot_gets_a_new_connection_id() {
        let mut slots = Slots::of_shard(0);
        let (first, other) = (slots.insert('a'), slots.insert('b'));
        assert_eq!(slots.remove(first.slot()), Some('a'));
        assert_eq!(slots.remove(first.slot()), None);
        assert_eq!((slots.get(first), slots.len()), (None, 1));
        // Until the slot is reused, it keeps the id of its last connection.
        assert_eq!(slots.id(first.slot()), first);
        let second = slots.insert('c');
        assert_eq!((second.index(), second == first), (first.index(), false));
        assert_eq!((slots.get(first), slots.get(second)), (None, Some(&'c')));
        assert_eq!(slots.ids().collect::<Vec<_>>(), [second, other]);
    }
}
