//! Runs one command on a telnet device, such as a switch, by its prompts.
//!
//! `DRUPE_PASSWORD=secret cargo run -p drupe-tokio --features kit --example device -- telnet://192.0.2.7:23 admin 'show version'`
//!
//! With `telnets://`, the connection has TLS. The password is sent only after a prompt that asks for
//! one, and only while the device hides the input, unless `--plain` is given.

use drupe_tokio::core::kit::client::ClientOptions;
use drupe_tokio::core::telnet::ClientMode;
use drupe_tokio::shell::client::Incoming;
use std::error::Error;
use std::time::Duration;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, user, command, rest @ ..] = &arguments[..] else {
        return Err("usage: device ADDRESS USER COMMAND [--plain]".into());
    };
    let password = std::env::var("DRUPE_PASSWORD").map_err(|_| "DRUPE_PASSWORD is not set")?;
    let is_plain = rest.iter().any(|flag| flag == "--plain");
    tokio::time::timeout(Duration::from_secs(60), run(address, user, &password, command, is_plain)).await?
}

#[expect(clippy::print_stdout, reason = "it prints what the device sends")]
async fn run(address: &str, user: &str, password: &str, command: &str, is_plain: bool) -> Result<(), Box<dyn Error>> {
    let mut client = drupe_tokio::connect(ClientOptions::once(address.parse()?))?;
    let (mut is_hidden, mut has_asked) = (false, false);
    while let Some(incoming) = client.receive().await {
        match incoming {
            Incoming::ClientMode(mode) => is_hidden = mode != ClientMode::Line,
            Incoming::Prompt(text) => {
                let prompt = text.as_str().unwrap_or_default().trim_end().to_lowercase();
                if prompt.ends_with("login:") || prompt.ends_with("username:") {
                    client.send(user).await?;
                } else if prompt.ends_with("password:") {
                    if !is_hidden && !is_plain {
                        return Err("the device does not hide the password; --plain sends it all the same".into());
                    }
                    client.send(password).await?;
                } else if has_asked {
                    client.close();
                } else {
                    has_asked = true;
                    client.send(command).await?;
                }
            }
            // What comes before the command is a greeting.
            Incoming::Message(line) if has_asked => println!("{}", line.as_str().unwrap_or("(not text)")),
            Incoming::DialFailed(failure, _) => return Err(failure.to_string().into()),
            _ => {}
        }
    }
    if has_asked { Ok(()) } else { Err("the device closed the connection before its prompt".into()) }
}
