//! Responses of an HTTP listener: pages, files, health checks, metrics, refusals and upgrades.

mod answer;
mod response;

pub(crate) use answer::{Answer, Endpoint, Outcome, Site, answer, answer_of};
