//! A chat over SSH, telnet and lines, in one room.
//!
//! ```sh
//! cargo run --features ssh --example ssh
//! ssh -p 8022 localhost
//! ```
//!
//! Everybody is admitted. For logins, replace `login=none` by `authorized_keys=PATH`: see `docs/ssh.md`.

use drupe_tokio::core::Config;
use drupe_tokio::core::app::Chat;
use drupe_tokio::{Server, ssh};

const LISTEN: [&str; 3] = ["ssh://127.0.0.1:8022?login=none", "telnet://127.0.0.1:8023", "tcp://127.0.0.1:8024"];

#[expect(clippy::print_stdout, reason = "it prints its addresses")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.is_empty() {
        arguments.extend(LISTEN.map(str::to_owned));
    }
    let mut config = Config::listening(arguments.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?);
    let options = ssh::Options::default().log(|line| eprintln!("{line}"));
    for key in ssh::load(&mut config, &options)? {
        eprintln!("the host key in {} has the fingerprint {}", key.path, key.fingerprint);
    }
    let server = Server::bind(config, Chat::default())?.drain_on_signals()?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    server.run_blocking()?;
    Ok(())
}
