//! Responses of an HTTP listener: pages, files, health checks, metrics, refusals and upgrades.

mod answer;

pub(crate) use answer::{Answer, Endpoint, Outcome, Site, answer, answer_of};
