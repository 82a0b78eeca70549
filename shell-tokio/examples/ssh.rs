//! A chat over SSH, telnet and lines, in one room.
//!
//! ```sh
//! cargo run --features kit,ssh --example ssh
//! ssh -p 8022 localhost
//! ```
//!
//! Everybody is admitted. With a list of members, the application decides about public keys, in any way it likes: here,
//! each line of the file is the name of a member and a key, as in `ann ssh-ed25519 AAAAC3Nza...`.
//!
//! ```sh
//! echo "$USER $(cat ~/.ssh/id_ed25519.pub)" > members
//! cargo run --features kit,ssh --example ssh -- members 'ssh://127.0.0.1:8022?keys=yes'
//! ```

use drupe_tokio::core::app::Chat;
use drupe_tokio::core::kit::auth::{Authentication, Provider, Verdict};
use drupe_tokio::core::kit::layer::Within;
use drupe_tokio::core::{Config, ConnId, Identity, NoNote};
use drupe_tokio::{Server, ssh};
use std::collections::BTreeSet;

const LISTEN: [&str; 3] = ["ssh://127.0.0.1:8022?login=none", "telnet://127.0.0.1:8023", "tcp://127.0.0.1:8024"];

/// The members of the chat, each with the text of a key. A database would do as well.
struct Members(BTreeSet<(String, String)>);

impl Members {
    fn read(path: &str) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        let members = text.lines().filter_map(|line| {
            let mut words = line.split_whitespace();
            let (name, kind, key) = (words.next()?, words.next()?, words.next()?);
            Some((name.to_owned(), format!("{kind} {key}")))
        });
        Ok(Self(members.collect()))
    }
}

impl Provider<NoNote> for Members {
    fn public_key(&mut self, _: ConnId, user: &str, key: &str) -> Verdict {
        if self.0.contains(&(user.to_owned(), key.to_owned())) {
            Verdict::Accepted(Identity::user(user))
        } else {
            Verdict::Refused("no member has this key".into())
        }
    }
}

#[expect(clippy::print_stdout, reason = "it prints its addresses")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    let members = match arguments.first() {
        Some(path) if !path.contains("://") => Some(Members::read(&arguments.remove(0))?),
        _ => None,
    };
    if arguments.is_empty() {
        arguments.extend(LISTEN.map(str::to_owned));
    }
    let mut config = Config::listening(arguments.iter().map(|address| address.parse()).collect::<Result<Vec<_>, _>>()?);
    let options = ssh::Options::default().log(|line| eprintln!("{line}"));
    for key in ssh::load(&mut config, &options)? {
        eprintln!("the host key in {} has the fingerprint {}", key.path, key.fingerprint);
    }
    let secret = drupe_tokio::shell::secret()?;
    let members = members.map(|members| {
        Authentication::new(members, secret).on_failure(|conn, reason| eprintln!("login on {conn} failed: {reason}"))
    });
    let server = Server::bind(config, Chat::default().within(members))?.drain_on_signals()?;
    for address in server.addresses() {
        println!("listening on {address}");
    }
    server.run_blocking()?;
    Ok(())
}
