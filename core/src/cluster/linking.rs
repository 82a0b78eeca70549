//! Making the link, and noticing that it is of no use.

use super::Cluster;
use super::broker::{Answer, Heard, Request};
use super::engine::{Link, Start};
use super::fault::LinkFault;
use super::output::Output;
use super::purpose::Purpose;
use super::room::Step;
use crate::base::{Backoff, Time};
use crate::history::Marks;
use crate::tls::BeginTlsError;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

/// Interval at which the lease of this host is renewed, and those of the others are read.
const LEASE_EVERY: Duration = Duration::from_secs(5);
/// Time without any published message after which this host publishes one to itself.
const PROBE_AFTER: Duration = Duration::from_secs(10);
/// Time in which this host must hear itself.
const HEARD_WITHIN: Duration = Duration::from_secs(5);

/// A connection that the cluster wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WantedLink {
    /// The addresses, or none for those of the options.
    pub(crate) addresses: Vec<String>,
    /// Further addresses, after those of the options.
    pub(crate) learned: Vec<String>,
    /// How many addresses are tried later, because a link to them was of no use.
    pub(crate) skipped: u32,
}

impl Cluster {
    /// Returns the connection to dial now, if one is due.
    pub(crate) fn take_wanted_link(&mut self, now: Time) -> Option<WantedLink> {
        self.linking.dial_at.take_if(|at| *at <= now)?;
        let master = self.linking.master.take();
        self.linking.role = Link::<Purpose>::role(&self.options.engine, master.is_some());
        let (learned, skipped) = (self.linking.learned.clone(), self.linking.failures);
        Some(WantedLink { addresses: master.map_or_else(Vec::new, |master| vec![master]), learned, skipped })
    }

    /// Returns `true`, once, if the connection of the link must be closed.
    pub(crate) const fn take_must_close(&mut self) -> bool {
        core::mem::replace(&mut self.linking.must_close, false)
    }

    /// Returns the bytes to send over the link.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.link.as_mut().map(Link::take_output).unwrap_or_default()
    }

    /// Handles the success of an attempt to connect.
    pub(crate) fn link_connected(&mut self, now: Time) {
        self.linking.begins_tls = false;
        let (names, marks) = (self.names.clone(), Marks::new(self.marks.next()));
        let start = Start { host: self.host, role: self.linking.role.clone(), marks };
        self.link = Some(Link::new(now, &self.options, names, start));
    }

    /// Returns `true`, once, if TLS must begin before anything else is sent.
    pub(crate) const fn take_begins_tls(&mut self) -> bool {
        core::mem::replace(&mut self.linking.begins_tls, false)
    }

    /// Handles that TLS cannot begin: nothing may be sent over the connection.
    pub(crate) fn tls_not_begun(&mut self, now: Time, why: BeginTlsError) {
        self.lose_link(now, Some(LinkFault::TlsNotBegun(why)));
    }

    /// Handles the end of the link, or a failed attempt.
    pub(crate) fn link_ended(&mut self, now: Time) {
        self.lose_link(now, None);
    }

    /// Handles bytes from the broker.
    pub(crate) fn received(&mut self, now: Time, bytes: &[u8]) {
        if let Some(link) = &mut self.link {
            link.received(now, bytes);
        }
        self.handle_heard(now);
    }

    pub(super) fn handle_heard(&mut self, now: Time) {
        while let Some(heard) = self.link.as_mut().and_then(Link::next_heard) {
            match heard {
                Heard::Up => self.link_is_up(now),
                Heard::Master(address) => {
                    self.linking.master = Some(address);
                    self.lose_link(now, None);
                }
                Heard::Addresses(addresses) => self.linking.learned = addresses,
                Heard::BeginTls => self.linking.begins_tls = true,
                Heard::Answered { purpose, answer, asked_at } => {
                    if purpose.is_publish() {
                        self.metrics.answered(now.since(asked_at));
                    }
                    self.filling.answered(&purpose);
                    self.answered(now, purpose, answer);
                }
                Heard::Probed(number) => {
                    self.linking.heard_at = now;
                    if number == self.linking.probe.0 {
                        self.linking.probe.1 = None;
                    }
                }
                Heard::Fault(fault) => self.lose_link(now, Some(fault)),
                published => {
                    self.linking.heard_at = now;
                    self.hear(now, published);
                }
            }
        }
        self.fill_rooms(now);
    }

    fn link_is_up(&mut self, now: Time) {
        self.linking.failures = 0;
        self.linking.number += 1;
        (self.linking.heard_at, self.linking.probe.1, self.linking.lease_at) = (now, None, now);
        self.output.push_back(Output::Up);
        if let Some(link) = &mut self.link {
            link.subscribe(now, self.rooms.iter().map(|(name, room)| (&**name, room.keep)));
        }
        self.keep_link_alive(now);
        self.check_kept(now);
        self.begin_filling(now);
        self.read_all_presence(now);
    }

    /// Ends the link, answers what waited for its answers, and plans the next attempt.
    fn lose_link(&mut self, now: Time, fault: Option<LinkFault>) {
        let link = self.link.take();
        self.linking.must_close |= link.is_some();
        let was_up = link.as_ref().is_some_and(Link::is_up);
        let found_master = self.linking.master.is_some();
        // Its other nodes are there.
        let is_left = fault == Some(LinkFault::Leaving) && !self.linking.learned.is_empty();
        let wait = if found_master {
            Duration::ZERO
        } else if is_left {
            self.linking.failures = self.linking.failures.saturating_add(1);
            Duration::ZERO
        } else {
            self.linking.failures = self.linking.failures.saturating_add(1);
            let backoff = Backoff::default().initial(Duration::from_millis(100)).cap(Duration::from_secs(5));
            backoff.wait(self.linking.failures, &mut self.random).unwrap_or_default()
        };
        self.linking.dial_at = Some(now + wait);
        for room in self.rooms.values_mut() {
            room.step = Step::Wanted;
            room.early.clear();
        }
        let waiting = self.filling.clear();
        for (_, purpose) in link.into_iter().flat_map(Link::end).chain(waiting) {
            self.answered(now, purpose, Answer::Lost);
        }
        let unused: Vec<_> =
            self.rooms.iter().filter(|(_, room)| room.is_unused()).map(|(name, _)| Arc::clone(name)).collect();
        for name in unused {
            self.drop_if_unused(now, &name);
        }
        if was_up || !found_master {
            self.output.push_back(Output::Down(fault));
        }
    }

    /// Renews the lease. After a long silence, sends a message to this host itself over the broker.
    pub(super) fn keep_link_alive(&mut self, now: Time) {
        if !self.is_up() {
            return;
        }
        if self.linking.lease_at <= now {
            self.linking.lease_at = now + LEASE_EVERY;
            self.request(now, Request::Lease { is_new: false }, Purpose::Lease);
            self.read_leases(now);
        }
        match self.linking.probe {
            (_, Some(sent_at)) if sent_at + HEARD_WITHIN <= now => self.lose_link(now, Some(LinkFault::Deaf)),
            (number, None) if self.linking.heard_at + PROBE_AFTER <= now => {
                let number = number + 1;
                self.linking.probe = (number, Some(now));
                self.request(now, Request::Probe { number }, Purpose::Nothing);
            }
            _ => {}
        }
    }

    pub(super) fn linking_deadline(&self) -> Option<Time> {
        if !self.is_up() {
            return self.linking.dial_at;
        }
        let probe = match self.linking.probe {
            (_, Some(sent_at)) => sent_at + HEARD_WITHIN,
            (_, None) => self.linking.heard_at + PROBE_AFTER,
        };
        Some(probe.min(self.linking.lease_at))
    }
}
