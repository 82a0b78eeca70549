//! What a step has measured, in numbers and in words.

use super::limits::Passed;
use super::numbers::{bytes, float, grouped, whole};
use std::collections::BTreeMap;
use std::fmt;

/// What one step has measured. Rates are per virtual second.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// The number of the step, from 1.
    pub number: u64,
    /// Messages per second that members published.
    pub rate: u64,
    /// Virtual duration before the restart, in seconds. It is shorter than planned if far too much waited.
    pub seconds: f64,
    /// Messages per second that the broker numbered.
    pub publishes: f64,
    /// Commands per second that arrived at the broker.
    pub commands: f64,
    /// Messages per second that the broker sent to hosts.
    pub broker_deliveries: f64,
    /// Seconds of work per second that arrived at the broker.
    pub broker_busy: f64,
    /// The part of that for sending to hosts.
    pub busy_on_deliveries: f64,
    /// Bytes per second that the broker sent to hosts, or would have sent if it had done all its work.
    pub broker_bytes: f64,
    /// Messages per second to members: the mean of the hosts.
    pub host_deliveries: f64,
    /// Messages per second to members, on the host with the most.
    pub host_deliveries_max: f64,
    /// Bytes per second to or from a host, on the host with the most.
    pub host_bytes_max: f64,
    /// Most bytes of one link that waited for answers of the broker.
    pub unanswered_max: u64,
    /// Longest wait for an answer of the broker, in seconds.
    pub wait_max: f64,
    /// Most bytes for one host that waited for the network, the restart included.
    pub unread_max: u64,
    /// Links that the broker closed because of that, the restart included.
    pub links_closed: u64,
    /// Links that were lost.
    pub links_lost: u64,
    /// Messages that were refused because too many waited on a link.
    pub refused: u64,
    /// Messages without an answer.
    pub unknown: u64,
    /// Number of gaps that members on a host received, for each reason. Those after the restart count too.
    pub gaps: BTreeMap<&'static str, u64>,
    /// Longest time between two renewals of a lease, in seconds, the restart included.
    pub lease_max: f64,
    /// The restart of the broker. `None`: there was none, because a limit was passed before it.
    pub repair: Option<Repair>,
    /// The limits that were passed, the first one first.
    pub passed: Vec<Passed>,
}

/// What followed a restart of the broker with all data.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Repair {
    /// Seconds from the return of the broker until each host had read as many histories as it has rooms.
    ///
    /// `None`: not within the limit.
    pub seconds: Option<f64>,
    /// Histories that hosts read.
    pub fills: u64,
    /// Messages that these contained.
    pub filled: u64,
    /// Messages that were refused while a host had no link.
    pub refused: u64,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = |value: f64| grouped(whole(value));
        writeln!(
            f,
            "step {}: {} publishes/s for {:.1} virtual seconds",
            self.number,
            grouped(self.rate),
            self.seconds
        )?;
        writeln!(
            f,
            "  broker: {} publishes/s, {} commands/s, {} messages/s and {}/s to hosts, {:.1} % busy ({:.1} % with sending)",
            rate(self.publishes),
            rate(self.commands),
            rate(self.broker_deliveries),
            bytes(self.broker_bytes),
            self.broker_busy * 100.0,
            self.busy_on_deliveries * 100.0
        )?;
        writeln!(
            f,
            "  hosts: {} messages/s to members on a host, {} on the busiest, {}/s through its network",
            rate(self.host_deliveries),
            rate(self.host_deliveries_max),
            bytes(self.host_bytes_max)
        )?;
        writeln!(
            f,
            "  links: at most {} waited for answers and {} for the network; the longest answer took {:.1} ms",
            bytes(float(self.unanswered_max)),
            bytes(float(self.unread_max)),
            self.wait_max * 1e3
        )?;
        writeln!(
            f,
            "  leases: renewed after at most {:.2} s; messages: {} refused, {} unknown; links lost: {}",
            self.lease_max,
            grouped(self.refused),
            grouped(self.unknown),
            self.links_lost
        )?;
        if let Some(Repair { seconds, fills, filled, refused }) = &self.repair {
            let when = seconds
                .map_or("not all rooms live in time".into(), |after| format!("all rooms live after {after:.2} s"));
            writeln!(
                f,
                "  restart: {when}; {} histories read with {} messages; {} messages refused without the broker",
                grouped(*fills),
                grouped(*filled),
                grouped(*refused)
            )?;
        }
        for (why, count) in &self.gaps {
            writeln!(f, "  gaps: {} of {why}", grouped(*count))?;
        }
        match &*self.passed {
            [] => writeln!(f, "  no limit is passed"),
            [first, others @ ..] => {
                writeln!(f, "  FIRST TO BREAK: {first}")?;
                others.iter().try_for_each(|other| writeln!(f, "  also: {other}"))
            }
        }
    }
}
