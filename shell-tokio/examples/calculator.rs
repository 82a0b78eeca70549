//! Methods (JSON-RPC 2.0) behind a password, on any wire. `rpc.discover` lists them.
//!
//! Run `DRUPE_PASSWORD=secret cargo run --example calculator`, then type calls, line by line, in
//! `DRUPE_PASSWORD=secret drupe client 127.0.0.1:8080 --user ann`.

use drupe_tokio::Server;
use drupe_tokio::core::kit::auth::scram::Credentials;
use drupe_tokio::core::kit::auth::{Accounts, Authentication};
use drupe_tokio::core::kit::layer::Within;
use drupe_tokio::core::kit::rpc::{Rpc, RpcError};
use drupe_tokio::core::kit::{App, Service};
use drupe_tokio::core::{Config, Ticket};
use drupe_tokio::shell::secret;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::error::Error;
use std::thread;

struct Calculator {
    remote: drupe_tokio::Remote<Done>,
}

/// The result of a worker thread.
struct Done(Ticket, u64);

impl App for Calculator {
    type Context = ();
    type Note = Done;
}

#[derive(Deserialize, JsonSchema)]
struct Division {
    dividend: i64,
    divisor: i64,
}

#[derive(Serialize, JsonSchema)]
struct Divided {
    quotient: i64,
    remainder: i64,
}

#[derive(Deserialize, JsonSchema)]
struct Below {
    below: u64,
}

fn divide(Division { dividend, divisor }: Division) -> Result<Divided, RpcError> {
    let quotient = dividend.checked_div(divisor).ok_or(RpcError::new(1, "division by zero or overflow"))?;
    Ok(Divided { quotient, remainder: dividend.wrapping_rem(divisor) })
}

fn methods() -> Rpc<Calculator> {
    Rpc::new("calculator", env!("CARGO_PKG_VERSION"))
        .method("add", |_, _, [a, b]: [i64; 2]| a.checked_add(b).ok_or(RpcError::new(2, "too large")))
        .about("The sum of two numbers.")
        .method("divide", |_, _, division| divide(division))
        .about("The quotient and the remainder of two numbers.")
        .deferred::<Below, u64>("primes", |app: &mut Calculator, _, Below { below }, ticket| {
            let remote = app.remote.clone();
            // A thread computes the result and sends it back as a note.
            thread::Builder::new().spawn(move || {
                // Errors are ignored: if the server has ended, the caller is gone.
                let _ = remote.note(Done(ticket, primes(below.min(1_000_000))));
            })?;
            Ok(())
        })
        .about("The number of primes below a number, up to a million.")
}

fn primes(below: u64) -> u64 {
    let is_prime = |number: &u64| {
        let divisors = (2..*number).take_while(|divisor| divisor * divisor <= *number);
        divisors.into_iter().all(|divisor| !number.is_multiple_of(divisor))
    };
    (2..below).filter(is_prime).count() as u64
}

#[expect(clippy::print_stdout, reason = "it prints its address")]
fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or("tcp://127.0.0.1:8080".into());
    let password = std::env::var("DRUPE_PASSWORD").map_err(|_| "DRUPE_PASSWORD is not set")?;
    let accounts = Accounts::new().shared_password(Credentials::new(&password, &secret()?, 10_000)?);
    let authentication = Authentication::new(accounts, secret()?);
    let server = Server::bind_with(Config::listening([address.parse()?]), |remote| {
        let service = Service::new(Calculator { remote }).rpc(methods());
        let service = service.on_note(|_, scope, Done(ticket, count)| {
            scope.answer(ticket, Ok(count));
        });
        service.within(authentication)
    })?;
    println!("listening on {}", server.addresses()[0]);
    server.drain_on_signals()?.run_blocking()?;
    Ok(())
}
