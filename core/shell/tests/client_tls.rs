//! A client whose address asks for TLS has roots when it starts, or does not start.

#![allow(clippy::panic, clippy::expect_used, reason = "a test fails where its assumption does")]

use drupe_core::kit::client::ClientOptions;
use drupe_core::tls::ClientTls;
use drupe_core::{Dial, Handler, Metrics};
use drupe_shell::client::Client;
use drupe_shell::{Runtime, Setup, StartError};

/// A runtime on which nothing runs.
struct Nowhere;

impl Runtime for Nowhere {
    type Run<H: Handler> = ();

    fn run<H: Handler>(_: Setup<H>) {}

    fn run_here<H: Handler>(_: Setup<H>) -> std::io::Result<Metrics> {
        Err(std::io::ErrorKind::Unsupported.into())
    }
}

fn start(dial: Dial) -> Result<(), StartError> {
    Client::with_driver::<Nowhere>(ClientOptions::once(dial), [7; 32]).map(drop)
}

#[test]
fn pending_tls_gets_the_roots_of_the_system_or_is_an_error_at_once() {
    let pending = || "wss://localhost:1/".parse::<Dial>().expect("well formed");
    match start(pending()) {
        Ok(()) if cfg!(feature = "client-tls") => {}
        Ok(()) => panic!("it starts without roots"),
        Err(StartError::Tls(error)) => {
            let remedy = if cfg!(feature = "client-tls") { "SSL_CERT_FILE" } else { "the feature client-tls" };
            assert!(error.to_string().contains(remedy), "{error}");
        }
        Err(error) => panic!("{error}"),
    }
    assert!(start(pending().tls(Some(ClientTls::external()))).is_ok(), "settings of its own are kept");
    assert!(start(pending().tls(None)).is_ok());
}
