//! The site that a listener of HTTP serves beside the upgrade: pages, health, metrics, and the way to the monitor.

mod answer;

pub(crate) use answer::{Answer, Endpoint, Outcome, Site, answer};
