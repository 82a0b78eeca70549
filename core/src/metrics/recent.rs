//! Bounded lists of recent errors and connections, and of the longest connections and work.

use crate::base::{Peer, Reason, Time, UnixTime};
use crate::config::MetricsOptions;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

/// Summary of a connection that ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionSummary {
    /// When the connection ended.
    pub at: Time,
    /// How long the connection was open.
    pub duration: Duration,
    /// Why the connection ended.
    pub reason: Reason,
    /// The name of the connection's wire.
    pub wire: &'static str,
    /// The connection's [label](crate::Hub::set_label), or the network of its address.
    ///
    /// An IPv4 /24, an IPv6 /48, or `local`.
    pub peer: Arc<str>,
}

/// Summary of the work of a [ticket](crate::Hub::ticket) that was redeemed or expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkSummary {
    /// When the work ended.
    pub at: Time,
    /// Time from the issue of the ticket until its end.
    pub duration: Duration,
    /// Whether the ticket was redeemed in time. Otherwise it expired.
    pub finished: bool,
    /// The peer of the connection, as in [`ConnectionSummary::peer`].
    pub peer: Arc<str>,
}

/// Summary of an error: a refusal, or a connection that ended for an irregular reason.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ErrorSummary {
    /// When the error occurred.
    pub at: Time,
    /// The wall-clock time of the error, if the shell has set the clock.
    pub unix: Option<UnixTime>,
    /// The reason for the end of the connection or for the refusal.
    pub reason: Reason,
    /// The peer of the connection, as in [`ConnectionSummary::peer`].
    pub peer: Arc<str>,
}

/// Returns the network of a peer's address as text: an IPv4 /24, an IPv6 /48, or `local`.
///
/// It identifies no single host.
pub(crate) fn network_of(peer: Peer) -> Arc<str> {
    match peer.canonical() {
        Peer::Address(SocketAddr::V4(address)) => {
            let [a, b, c, _] = address.ip().octets();
            format!("{a}.{b}.{c}.0/24").into()
        }
        Peer::Address(SocketAddr::V6(address)) => {
            let network = address.ip().to_bits() & (u128::MAX << 80);
            format!("{}/48", IpAddr::V6(network.into())).into()
        }
        Peer::Local => "local".into(),
    }
}

/// Returns `true` if a reason denotes an error, and `false` for a regular end.
pub(crate) const fn is_error(reason: Reason) -> bool {
    !matches!(
        reason,
        Reason::PeerClosed
            | Reason::Idle
            | Reason::SessionExpired
            | Reason::Answered
            | Reason::Application
            | Reason::Replaced
            | Reason::Kicked
            | Reason::Shutdown
    )
}

/// Recent errors, recently ended connections, and the longest connections and work.
///
/// The operator chooses the [length](crate::MetricsOptions) of each list.
/// [`Hub::reset_recent_metrics`](crate::Hub::reset_recent_metrics) clears them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recent {
    /// The last errors, newest last.
    pub errors: VecDeque<ErrorSummary>,
    /// The connections that ended last, newest last.
    pub connections: VecDeque<ConnectionSummary>,
    /// The longest connections that ended, longest first.
    pub connections_longest: Vec<ConnectionSummary>,
    /// The longest work, longest first.
    pub work_longest: Vec<WorkSummary>,
}

impl Recent {
    /// Records the end of a connection.
    pub(crate) fn ended(&mut self, connection: ConnectionSummary, options: &MetricsOptions) {
        let most = options.durations_max();
        insert_longest(&mut self.connections_longest, connection.clone(), most, |one| one.duration);
        push(&mut self.connections, connection, most);
    }

    /// Records the end of work.
    pub(crate) fn worked(&mut self, work: WorkSummary, options: &MetricsOptions) {
        insert_longest(&mut self.work_longest, work, options.durations_max(), |one| one.duration);
    }

    /// Records an error.
    pub(crate) fn failed(&mut self, error: ErrorSummary, options: &MetricsOptions) {
        push(&mut self.errors, error, options.errors_max());
    }

    /// Merges the lists of another shard. Each merged list is as long as the longer of the two.
    pub(super) fn add(&mut self, other: Self) {
        let most = self.errors.len().max(other.errors.len());
        merge(&mut self.errors, other.errors, most, |one| one.at);
        let most = self.connections.len().max(other.connections.len());
        merge(&mut self.connections, other.connections, most, |one| one.at);
        let most = self.connections_longest.len().max(other.connections_longest.len());
        for connection in other.connections_longest {
            insert_longest(&mut self.connections_longest, connection, most, |one| one.duration);
        }
        let most = self.work_longest.len().max(other.work_longest.len());
        for work in other.work_longest {
            insert_longest(&mut self.work_longest, work, most, |one| one.duration);
        }
    }
}

/// Appends an item, and removes the oldest ones so that at most `most` are left.
fn push<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    list.push_back(item);
    list.drain(..list.len().saturating_sub(most));
}

/// Inserts an item in order of duration, longest first, and keeps the `most` longest.
///
/// Of equally long ones, the earlier one comes first.
fn insert_longest<T>(list: &mut Vec<T>, item: T, most: usize, duration: impl Fn(&T) -> Duration) {
    list.truncate(most);
    let place = list.partition_point(|longer| duration(longer) >= duration(&item));
    if place < most {
        list.truncate(most - 1);
        list.insert(place, item);
    }
}

/// Merges two lists in order of time, and keeps the last `most` items.
fn merge<T>(list: &mut VecDeque<T>, other: VecDeque<T>, most: usize, at: impl Fn(&T) -> Time) {
    list.extend(other);
    list.make_contiguous().sort_by_key(at);
    list.drain(..list.len().saturating_sub(most));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summary(at: u64, secs: u64) -> ConnectionSummary {
        ConnectionSummary {
            at: Time::from_nanos(at),
            duration: Duration::from_secs(secs),
            reason: Reason::Reset,
            wire: "lines",
            peer: "local".into(),
        }
    }

    proptest! {
        /// Compares the lists with a sorted list of everything, also when the limit changes.
        #[test]
        fn lists_keep_the_last_and_the_longest(lasted in prop::collection::vec((0..9_u64, 0..6_u32), 0..40)) {
            let (mut recent, mut all) = (Recent::default(), Vec::new());
            let mut least = u32::MAX;
            for (at, (secs, kept)) in (0..).zip(lasted) {
                let options = MetricsOptions::default().durations_kept(kept);
                recent.ended(summary(at, secs), &options);
                all.push(summary(at, secs));
                prop_assert!(recent.connections.len() <= kept as usize);
                prop_assert!(recent.connections_longest.len() <= kept as usize);
                prop_assert!(recent.connections.iter().rev().zip(all.iter().rev()).all(|(one, other)| one == other));
                least = least.min(kept);
                let mut sorted = all.clone();
                sorted.sort_by_key(|one| core::cmp::Reverse(one.duration));
                let sure = least.min(kept) as usize;
                prop_assert!(recent.connections_longest.iter().zip(&sorted).take(sure).all(|(one, other)| one.duration == other.duration));
            }
        }

        /// Merged lists of two shards are those that a single machine would have kept.
        #[test]
        fn sum_of_shards_keeps_the_last_and_the_longest(lasted in prop::collection::vec((0..9_u64, any::<bool>()), 6..40)) {
            let options = MetricsOptions::default().durations_kept(3).errors_kept(0);
            let (mut parts, mut whole) = ([Recent::default(), Recent::default()], Recent::default());
            for (at, &(secs, part)) in (0..).zip(&lasted) {
                parts[usize::from(part)].ended(summary(at, secs), &options);
                whole.ended(summary(at, secs), &options);
            }
            let [mut sum, other] = parts;
            sum.add(other);
            let full = lasted.iter().filter(|(_, part)| *part).count() >= 3 || lasted.iter().filter(|(_, part)| !part).count() >= 3;
            prop_assert!(full);
            prop_assert_eq!(&sum.connections, &whole.connections);
            let lengths = |recent: &Recent| recent.connections_longest.iter().map(|one| one.duration).collect::<Vec<_>>();
            prop_assert_eq!(lengths(&sum), lengths(&whole));
        }
    }

    #[test]
    fn network_identifies_no_single_host() {
        for (peer, network) in [
            ("192.0.2.77:9", "192.0.2.0/24"),
            ("[::ffff:192.0.2.77]:9", "192.0.2.0/24"),
            ("[2001:db8:1:2:3::4]:9", "2001:db8:1::/48"),
            ("local", "local"),
        ] {
            assert_eq!(&*network_of(peer.parse().expect(peer)), network);
        }
    }
}
