//! The race between the addresses of a name: Happy Eyeballs (RFC 8305).
//!
//! A pure state machine: it has no clock and no sockets. A shell reports the results of its
//! attempts, and performs the actions that [`next_action`](Race::next_action) returns.

use drupe_core::{AcceptFailure, Failure, Time};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Maximum number of addresses of a name that are tried. Further ones are ignored.
///
/// Even if no address answers, all are tried within 30 s, the default time limit of a dial.
pub const ADDRESSES_MAX: usize = 16;

/// Maximum number of attempts in flight. Each has a descriptor, and a server may dial thousands.
pub const IN_FLIGHT_MAX: usize = 4;

/// Time from one attempt to the next, unless an attempt fails before (RFC 8305 section 8).
pub const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// Time after which an attempt may be cancelled in favour of another address.
///
/// Only while [`IN_FLIGHT_MAX`] attempts are in flight. A lost SYN is sent again after 1 s
/// (RFC 6298).
pub const ATTEMPT_PATIENCE: Duration = Duration::from_secs(2);

/// The race between the addresses of a name. The first that connects wins.
///
/// It has no time limit of its own: that of the dial applies.
#[derive(Debug, Default)]
pub struct Race {
    /// Addresses that are not tried yet, in order.
    waiting: VecDeque<SocketAddr>,
    /// The numbers of the attempts in flight, and when each began. The oldest is the first.
    in_flight: VecDeque<(usize, Time)>,
    /// Number of attempts that have begun.
    begun: usize,
    /// When the last attempt began.
    last: Option<Time>,
    /// Number of attempts that may begin at once, because others have failed.
    early: usize,
    error: Option<io::Error>,
    is_won: bool,
}

/// What a shell does next for a [`Race`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a shell must handle each")]
pub enum RaceAction {
    /// Begin the attempt with this number, to this address.
    Connect(usize, SocketAddr),
    /// Cancel the attempt with this number.
    Cancel(usize),
}

impl Race {
    /// Creates a race between `addresses`, in the order of RFC 8305 section 4.
    ///
    /// The families alternate, beginning with that of the first address. Within a family, the order
    /// is kept. Duplicates are tried once.
    #[must_use]
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        Self { waiting: interleave(addresses).into(), ..Self::default() }
    }

    /// Returns what to do next, if anything. Call it until it returns `None`.
    pub fn next_action(&mut self, now: Time) -> Option<RaceAction> {
        if self.is_won {
            return self.in_flight.pop_front().map(|(number, _)| RaceAction::Cancel(number));
        }
        if self.deadline()? > now {
            return None;
        }
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            let (number, _) = self.in_flight.pop_front()?;
            self.keep(io::Error::new(io::ErrorKind::TimedOut, "the address does not answer"));
            return Some(RaceAction::Cancel(number));
        }
        let address = self.waiting.pop_front()?;
        let number = self.begun;
        self.begun += 1;
        self.early = self.early.saturating_sub(1);
        self.last = Some(now);
        self.in_flight.push_back((number, now));
        Some(RaceAction::Connect(number, address))
    }

    /// Returns when [`next_action`](Self::next_action) is due, if nothing else happens before.
    #[must_use]
    pub fn deadline(&self) -> Option<Time> {
        if self.is_won || self.waiting.is_empty() {
            return None;
        }
        let (Some(last), Some(&(_, oldest))) = (self.last, self.in_flight.front()) else { return Some(Time::START) };
        if self.in_flight.len() >= IN_FLIGHT_MAX {
            return Some((oldest + ATTEMPT_PATIENCE).max(last + ATTEMPT_DELAY));
        }
        Some(if self.early > 0 { Time::START } else { last + ATTEMPT_DELAY })
    }

    /// Handles the failure of an attempt. Does nothing if it is not in flight.
    pub fn failed(&mut self, number: usize, error: io::Error) {
        if self.land(number) {
            self.early += 1;
            self.keep(error);
        }
    }

    /// Handles the success of an attempt, which cancels all others.
    ///
    /// Returns `false` if the attempt is not in flight.
    pub fn connected(&mut self, number: usize) -> bool {
        let wins = self.land(number);
        self.is_won |= wins;
        wins
    }

    /// Returns `true` if all addresses have failed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        !self.is_won && self.waiting.is_empty() && self.in_flight.is_empty()
    }

    /// Returns the most informative error of all addresses.
    ///
    /// [`NotFound`](io::ErrorKind::NotFound) if there was no address.
    #[must_use]
    pub fn into_error(self) -> io::Error {
        self.error.unwrap_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
    }

    fn land(&mut self, number: usize) -> bool {
        let place = self.in_flight.iter().position(|&(other, _)| other == number);
        place.and_then(|place| self.in_flight.remove(place)).is_some()
    }

    /// Keeps the more informative error. Of two that are equally informative, it keeps the first.
    fn keep(&mut self, error: io::Error) {
        if self.error.as_ref().is_none_or(|kept| telling(kept) < telling(&error)) {
            self.error = Some(error);
        }
    }
}

/// Returns how informative an error is: more is better.
///
/// A lack of descriptors on this side causes all later errors, so it ranks first. An answer of a
/// host ranks above silence, and silence above a missing route, which often only means that this
/// machine has no IPv6.
fn telling(error: &io::Error) -> u8 {
    if AcceptFailure::from(error) == AcceptFailure::Exhausted {
        return 6;
    }
    match Failure::from(error) {
        Failure::Refused => 5,
        Failure::Reset => 4,
        Failure::Denied => 3,
        Failure::TimedOut => 2,
        Failure::Unreachable => 1,
        _ => 0,
    }
}

/// Returns the addresses to try, in order: see [`Race::new`].
pub(super) fn interleave(addresses: impl IntoIterator<Item = SocketAddr>) -> Vec<SocketAddr> {
    let mut families = [Vec::new(), Vec::new()];
    let mut first = None;
    for address in addresses {
        let is_first_family = *first.get_or_insert(address.is_ipv6()) == address.is_ipv6();
        let family = &mut families[usize::from(!is_first_family)];
        // The search is short: a family has few addresses.
        if family.len() < ADDRESSES_MAX && !family.contains(&address) {
            family.push(address);
        }
    }
    let [mut ours, mut others] = families.map(Vec::into_iter);
    let mut ordered = Vec::new();
    while ordered.len() < ADDRESSES_MAX {
        let next = [ours.next(), others.next()];
        if next == [None, None] {
            break;
        }
        ordered.extend(next.into_iter().flatten());
    }
    ordered.truncate(ADDRESSES_MAX);
    ordered
}

#[cfg(test)]
mod tests;
