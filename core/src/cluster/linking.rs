//! Making the link, and noticing that it is of no use.

use super::Cluster;
use super::broker::{Answer, Heard, Request};
use super::fault::LinkFault;
use super::output::Output;
use super::purpose::Purpose;
use super::redis::{RedisLink, Role};
use super::room::Step;
use crate::base::{Backoff, Time};
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
    /// How many addresses of the options are tried later, because a link to them was of no use.
    pub(crate) skipped: u32,
}

impl Cluster {
    /// Returns the connection to dial now, if one is due.
    pub(crate) fn take_wanted_link(&mut self, now: Time) -> Option<WantedLink> {
        self.linking.dial_at.take_if(|at| *at <= now)?;
        let master = self.linking.master.take();
        let is_sentinel = master.is_none() && self.engine().sentinel.is_some();
        self.linking.role = if is_sentinel { Role::Sentinel } else { Role::Broker };
        let skipped = self.linking.failures;
        Some(WantedLink { addresses: master.map_or_else(Vec::new, |master| vec![master]), skipped })
    }

    /// Returns `true`, once, if the connection of the link must be closed.
    pub(crate) const fn take_must_close(&mut self) -> bool {
        core::mem::replace(&mut self.linking.must_close, false)
    }

    /// Returns the bytes to send over the link.
    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        self.link.as_mut().map(RedisLink::take_output).unwrap_or_default()
    }

    /// Handles the success of an attempt to connect.
    pub(crate) fn link_connected(&mut self, now: Time) {
        let (names, role) = (self.names.clone(), self.linking.role.clone());
        self.link = Some(RedisLink::new(now, self.engine(), names, self.host, role));
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
        while let Some(heard) = self.link.as_mut().and_then(RedisLink::next_heard) {
            match heard {
                Heard::Up => self.link_is_up(now),
                Heard::Master(address) => {
                    self.linking.master = Some(address);
                    self.lose_link(now, None);
                }
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
            link.subscribe(now, self.rooms.keys().map(|room| &**room));
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
        let was_up = link.as_ref().is_some_and(RedisLink::is_up);
        let found_master = self.linking.master.is_some();
        let wait = if found_master {
            Duration::ZERO
        } else {
            self.linking.failures = self.linking.failures.saturating_add(1);
            let backoff = Backoff::default().initial(Duration::from_millis(100)).cap(Duration::from_secs(5));
            backoff.wait(self.linking.failures, &mut self.random).unwrap_or_default()
        };
        self.linking.dial_at = Some(now + wait);
        for room in self.rooms.values_mut() {
            room.step = Step::Wanted;
        }
        let waiting = self.filling.clear();
        for (_, purpose) in link.into_iter().flat_map(RedisLink::end).chain(waiting) {
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
