use crate::base::{AddressKey, ConnId};
use alloc::collections::BTreeMap;

/// Queues for hashing passwords: one password at a time for each address.
///
/// So an address that guesses on many connections reaches its limit before many of its passwords
/// are hashed. Other addresses wait for at most one of its passwords.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lines: BTreeMap<AddressKey, BTreeMap<u64, ConnId>>,
    places: BTreeMap<ConnId, (AddressKey, u64)>,
    entered: u64,
}

impl Turns {
    /// Adds a connection to the queue of its address. Returns whether its turn begins now.
    pub(super) fn enter(&mut self, conn: ConnId, address: AddressKey) -> bool {
        self.entered += 1;
        self.places.insert(conn, (address, self.entered));
        let line = self.lines.entry(address).or_default();
        line.insert(self.entered, conn);
        line.len() == 1
    }

    /// Removes a connection from its queue.
    ///
    /// Returns the connection whose turn begins, if this one had the turn.
    pub(super) fn leave(&mut self, conn: ConnId) -> Option<ConnId> {
        let (address, place) = self.places.remove(&conn)?;
        let line = self.lines.get_mut(&address)?;
        let had_turn = line.first_key_value().is_some_and(|(first, _)| *first == place);
        line.remove(&place);
        let next = line.first_key_value().map(|(_, next)| *next);
        if next.is_none() {
            self.lines.remove(&address);
        }
        next.filter(|_| had_turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_gets_one_turn_at_a_time_in_order() {
        let mut turns = Turns::default();
        let key = |last| AddressKey::from(core::net::IpAddr::from([192, 0, 2, last]));
        let [a, b, c, other] = [0, 1, 2, 3].map(|index| ConnId::new(0, index, 1));
        assert!(turns.enter(a, key(1)) && turns.enter(other, key(2)));
        assert!(!turns.enter(b, key(1)) && !turns.enter(c, key(1)));
        assert_eq!(turns.leave(b), None);
        assert_eq!((turns.leave(a), turns.leave(a)), (Some(c), None));
        assert_eq!((turns.leave(other), turns.leave(c)), (None, None));
        assert!(turns.lines.is_empty() && turns.places.is_empty());
    }
}
