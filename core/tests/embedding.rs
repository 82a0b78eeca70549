//! The example without a shell serves, and says goodbye.

#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test fails where its assumption does")]

#[allow(dead_code, reason = "its `main` is for the command line")]
#[path = "../examples/embed.rs"]
mod embed;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;

#[test]
fn a_loop_of_ones_own_serves_and_says_goodbye() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let (stop, stopped) = UnixStream::pair().expect("a pair");
    let server = std::thread::spawn(move || embed::serve(listener, &stopped));
    let connect = || BufReader::new(TcpStream::connect(address).expect("it listens"));
    let line = |peer: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        peer.read_line(&mut line).expect("text");
        line
    };
    let mut ann = connect();
    assert_eq!(line(&mut ann), "* welcome, guest1; /help tells what you can do\n");
    assert_eq!(line(&mut ann), "* guest1 came to lobby\n");
    let mut bob = connect();
    assert_eq!(line(&mut ann), "* guest2 came to lobby\n");
    // More than a socket takes at once.
    let long = format!("{}\n", "x".repeat(60_000));
    let mut sender = bob.get_ref().try_clone().expect("a handle");
    let sent = long.repeat(50);
    let sending = std::thread::spawn(move || sender.write_all(sent.as_bytes()).expect("the server reads"));
    for _ in 0..50 {
        assert_eq!(line(&mut ann), format!("<guest2> {long}"));
        while !line(&mut bob).starts_with("<guest2>") {}
    }
    sending.join().expect("no panic");
    drop(stop);
    let mut rest = String::new();
    ann.read_to_string(&mut rest).expect("text");
    assert!(rest.ends_with("closing (shutdown): the server is shutting down\n"), "{rest}");
    bob.read_to_string(&mut rest).expect("text");
    server.join().expect("no panic").expect("no failure");
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn it_is_short() {
    assert!(include_str!("../examples/embed.rs").lines().count() < 150);
}
