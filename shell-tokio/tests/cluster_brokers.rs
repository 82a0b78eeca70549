//! Rooms that several hosts share, on real Redis and NATS servers from the system's packages. Without them, the tests are skipped.
//!
//! Each test starts its own broker and three hosts: processes of this program, one for each shell. Members on all hosts
//! record what they receive, and publishers record which positions the broker acknowledged. Then the
//! [checker](cluster::check) compares both.
//!
//! `DRUPE_KILLS=1000 DRUPE_SEED=7 cargo test -p drupe-tokio --test cluster_brokers kills -- --nocapture` kills the broker
//! 1,000 times, with random numbers from that seed.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod cluster;
mod support;
