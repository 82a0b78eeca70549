//! Prints what shared rooms cost with a real Redis server, and a publish with a real nats-server.
//!
//! `cargo run --profile dist -p drupe-benches --bin cluster -- [REPETITIONS]`; default: 11. It needs `redis-server`
//! and `nats-server`, and takes about 5 minutes on an idle computer. See [`drupe_benches::cluster`].

use std::error::Error;
use std::io;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("serve") => drupe_benches::cluster::serve(&arguments[1..]),
        repetitions => {
            let repetitions = repetitions.map_or(Ok(11), str::parse)?;
            Ok(drupe_benches::cluster::measure(&mut io::stdout(), repetitions)?)
        }
    }
}
