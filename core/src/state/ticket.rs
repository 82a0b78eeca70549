#[cfg(feature = "sim")]
use crate::base::recount::{Recounted, ensure};
use crate::base::{ConnId, ConnIdError};
use crate::base::{Time, work};
use crate::config::{TicketError, TicketLimits};
use crate::state::{PAUSE_MIN, Pause};
use alloc::collections::{BTreeMap, BTreeSet};
use core::fmt;
use core::str::FromStr;
use core::time::Duration;

/// A ticket for offloaded work of one connection, such as a database query.
///
/// The answer comes back as a note that carries the ticket; see
/// [`Hub::ticket`](crate::Hub::ticket).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket {
    pub(crate) conn: ConnId,
    pub(crate) number: u64,
}

impl Ticket {
    /// Returns the connection that the work is for.
    #[must_use]
    pub const fn conn(self) -> ConnId {
        self.conn
    }
}

/// All unredeemed tickets.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    due: BTreeMap<Ticket, Time>,
    issued_at: BTreeMap<Ticket, Time>,
    by_time: BTreeSet<(Time, Ticket)>,
    issued: u64,
}

impl Tickets {
    pub(crate) fn issue(
        &mut self,
        conn: ConnId,
        now: Time,
        deadline: Duration,
        limits: TicketLimits,
    ) -> Result<Ticket, TicketError> {
        if self.due.len() >= limits.total as usize {
            return Err(TicketError::TooMany(limits.total));
        }
        if self.of(conn).count() >= limits.per_connection as usize {
            return Err(TicketError::TooManyOfConnection(limits.per_connection));
        }
        self.issued += 1;
        let ticket = Ticket { conn, number: self.issued };
        let at = (now + deadline).max(now.plus_nanos(1));
        self.due.insert(ticket, at);
        self.issued_at.insert(ticket, now);
        self.by_time.insert((at, ticket));
        Ok(ticket)
    }

    /// Redeems a ticket. Returns true if it was still valid.
    pub(crate) fn redeem(&mut self, ticket: Ticket) -> bool {
        let Some(at) = self.due.remove(&ticket) else { return false };
        self.issued_at.remove(&ticket);
        self.by_time.remove(&(at, ticket))
    }

    /// Postpones the deadlines of all tickets by a pause.
    pub(crate) fn postpone_deadlines(&mut self, pause: Pause) {
        self.by_time.clear();
        for (&ticket, at) in &mut self.due {
            *at = pause.postpone(*at, PAUSE_MIN);
            self.by_time.insert((*at, ticket));
        }
    }

    pub(crate) fn of(&self, conn: ConnId) -> impl Iterator<Item = Ticket> + '_ {
        let range = Ticket { conn, number: 0 }..=Ticket { conn, number: u64::MAX };
        self.due.range(range).inspect(|_| work::step(1)).map(|(&ticket, _)| ticket)
    }

    pub(crate) fn cancel_all_of(&mut self, conn: ConnId) {
        while let Some(ticket) = { self.of(conn).next() } {
            self.redeem(ticket);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.due.len()
    }

    pub(crate) fn next(&self) -> Option<Time> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Returns when an unredeemed ticket was issued.
    pub(crate) fn issued_at(&self, ticket: Ticket) -> Option<Time> {
        self.issued_at.get(&ticket).copied()
    }

    /// Removes and returns the earliest overdue ticket, and when it was issued.
    pub(crate) fn take_due(&mut self, now: Time) -> Option<(Ticket, Time)> {
        work::step(1);
        let &(at, ticket) = self.by_time.first()?;
        let issued = self.issued_at(ticket).unwrap_or(at);
        (at <= now && self.redeem(ticket)).then_some((ticket, issued))
    }
}

#[cfg(feature = "sim")]
impl Tickets {
    /// Returns the connections of tickets, once per ticket.
    pub(crate) fn owners(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.due.keys().map(|ticket| ticket.conn)
    }

    pub(crate) fn recount(&self) -> Recounted {
        let by_time: BTreeSet<_> = self.due.iter().map(|(&ticket, &at)| (at, ticket)).collect();
        ensure(by_time == self.by_time, || "the two orders of tickets differ".into())?;
        ensure(self.issued_at.keys().eq(self.due.keys()), || "the times of issue differ from the tickets".into())
    }
}

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.conn, self.number)
    }
}

impl FromStr for Ticket {
    type Err = ConnIdError;

    fn from_str(text: &str) -> Result<Self, ConnIdError> {
        let (conn, number) = text.split_once('#').ok_or(ConnIdError)?;
        Ok(Self { conn: conn.parse()?, number: number.parse().map_err(|_| ConnIdError)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    proptest! {
        /// Compares the tickets with a list that is searched linearly.
        #[test]
        fn tickets_agree_with_a_list(steps in prop::collection::vec((0..4u8, 0..4u32, 0..50u64), 0..200)) {
            let limits = TicketLimits { per_connection: 3, total: 8 };
            let (mut tickets, mut list, mut now) = (Tickets::default(), Vec::<(Time, Ticket)>::new(), Time::START);
            for (step, who, span) in steps {
                let conn = ConnId::new(0, who, 1);
                match step {
                    0 | 1 => {
                        let deadline = Duration::from_millis(span);
                        let issued = tickets.issue(conn, now, deadline, limits);
                        let of_conn = list.iter().filter(|(_, ticket)| ticket.conn == conn).count();
                        prop_assert_eq!(issued.is_ok(), list.len() < 8 && of_conn < 3);
                        list.extend(issued.ok().map(|ticket| ((now + deadline).max(now.plus_nanos(1)), ticket)));
                    }
                    2 => {
                        let ticket = list.first().map(|&(_, ticket)| ticket);
                        if let Some(ticket) = ticket {
                            prop_assert!(tickets.redeem(ticket));
                            prop_assert!(!tickets.redeem(ticket));
                            list.remove(0);
                        }
                    }
                    _ if span < 5 => {
                        tickets.cancel_all_of(conn);
                        list.retain(|(_, ticket)| ticket.conn != conn);
                    }
                    _ => {
                        now = now + Duration::from_millis(span);
                        let mut due = Vec::new();
                        while let Some(ticket) = tickets.take_due(now) {
                            due.push(ticket.0);
                        }
                        let mut expected: Vec<_> = list.iter().filter(|(at, _)| *at <= now).copied().collect();
                        expected.sort();
                        prop_assert_eq!(due, expected.into_iter().map(|(_, ticket)| ticket).collect::<Vec<_>>());
                        list.retain(|(at, _)| *at > now);
                    }
                }
                prop_assert_eq!(tickets.len(), list.len());
                prop_assert_eq!(tickets.next(), list.iter().map(|(at, _)| *at).min());
            }
        }
    }

    #[test]
    fn ticket_round_trips_through_text() {
        let ticket = Ticket { conn: ConnId::new(2, 7, 3), number: 41 };
        assert_eq!(ticket.to_string().parse(), Ok(ticket));
        assert!("7.3".parse::<Ticket>().is_err());
    }
}
