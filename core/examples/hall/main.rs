//! The handler of the guide "Test your handler" (`drupe_core::testing::guide`), in virtual time.
//!
//! `cargo run -p drupe-core --example hall` prints what a peer receives within a minute.

mod handler;

use drupe_core::testing::TestHub;
use handler::Hall;
use std::time::Duration;

#[expect(clippy::print_stdout, reason = "the example prints its result")]
fn main() {
    let mut hub = TestHub::new(Hall::default());
    let ann = hub.connect();
    hub.line(ann, "enter");
    hub.line(ann, "count");
    hub.advance(Duration::from_secs(60));
    println!("Ann received: {}", hub.lines(ann).join(", "));
}
