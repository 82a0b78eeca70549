//! Responses of an HTTP listener: pages, files, health checks, metrics, refusals and upgrades.

mod answer;
mod response;
mod stream;

#[cfg(feature = "auth")]
pub(crate) use answer::escaped;
pub(crate) use answer::{Answer, Endpoint, Health, Outcome, Site, answer, answer_of};
pub(crate) use stream::stream_head;
