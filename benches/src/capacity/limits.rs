//! Which limits a step has passed.

use super::numbers::{bytes, float, grouped, whole};
use super::options::{Figures, Options};
use super::report::Step;
use std::fmt;

/// A limit that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Passed {
    /// The part of the cluster whose limit it is.
    pub part: &'static str,
    /// What happened, with the limit.
    pub what: String,
    /// Messages per second that were published then.
    pub rate: u64,
}

impl fmt::Display for Passed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {} publishes/s: {}", self.part, grouped(self.rate), self.what)
    }
}

/// Returns the limits that a step has passed: first those on rates, the most exceeded one first. They are the causes
/// of what happens to links, messages and leases.
pub(super) fn passed(step: &Step, options: &Options) -> Vec<Passed> {
    let to_passed = |(part, what): (&'static str, String)| Passed { part, what, rate: step.rate };
    let mut rates = rates(step, &options.figures);
    rates.sort_by(|(one, ..), (other, ..)| other.total_cmp(one));
    let exceeded = rates.into_iter().filter(|(ratio, ..)| *ratio > 1.0).map(|(_, part, what)| (part, what));
    exceeded.chain(failures(step, &options.figures)).map(to_passed).collect()
}

/// Returns how much each part has to do, as a share of what it can do.
fn rates(step: &Step, figures: &Figures) -> Vec<(f64, &'static str, String)> {
    let Figures { broker_network, host_network, core_deliveries, cores, .. } = *figures;
    let network =
        |rate: f64, limit: u64| (rate / float(limit.max(1)), format!("{}/s of {}/s", bytes(rate), bytes(float(limit))));
    let can_deliver = core_deliveries.saturating_mul(cores).max(1);
    let (of_broker, broker_bytes) = network(step.broker_bytes, broker_network);
    let (of_host, host_bytes) = network(step.host_bytes_max, host_network);
    let busy = format!(
        "{:.2} s of work each second, {:.2} s of it to send to hosts",
        step.broker_busy, step.busy_on_deliveries
    );
    let delivered = grouped(whole(step.host_deliveries_max));
    vec![
        (step.broker_busy, "the broker's processor", busy),
        (of_broker, "the broker's network", broker_bytes),
        (
            step.host_deliveries_max / float(can_deliver),
            "the processors of a host",
            format!("{delivered} messages/s to members of {}", grouped(can_deliver)),
        ),
        (of_host, "the network of a host", host_bytes),
    ]
}

fn failures(step: &Step, figures: &Figures) -> Vec<(&'static str, String)> {
    // A host without a link refuses messages too, so the links come first.
    let mut found = Vec::new();
    if step.links_closed > 0 {
        let most = bytes(float(step.unread_max));
        found.push(("the broker's output", format!("it closed {} links, because {most} waited", step.links_closed)));
    }
    if step.links_lost > 0 && step.links_closed == 0 {
        let what = format!("{} links lost; the longest answer took {:.1} s", step.links_lost, step.wait_max);
        found.push(("the answers of the broker", what));
    }
    if step.refused > 0 {
        let most = bytes(float(step.unanswered_max));
        let what = format!("{} messages refused, because {most} waited for answers", grouped(step.refused));
        found.push(("the queue of a link", what));
    }
    if step.lease_max * 1e3 > float(figures.lease_ms) {
        let what = format!("a lease was renewed after {:.1} s of {} ms", step.lease_max, figures.lease_ms);
        found.push(("the leases", what));
    }
    if let Some((why, count)) = step.gaps.iter().max_by_key(|(_, count)| **count) {
        found.push(("the histories", format!("members received {} gaps: {why}", grouped(*count))));
    }
    if step.repair.as_ref().is_some_and(|repair| repair.seconds.is_none()) {
        let what = format!("not all rooms were live {} s after a restart of the broker", figures.repair_seconds);
        found.push(("the repair", what));
    }
    found
}
