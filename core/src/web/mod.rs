//! The pages, health checks, metrics and monitor access of an HTTP listener.

mod answer;

pub(crate) use answer::{Answer, Endpoint, Outcome, Site, answer, answer_of};
