//! Listeners: TCP and Unix sockets, addresses in use, ownership of socket files.

use super::run;
use crate::shell::Server;
use crate::shell::core::app::{Echo, Relay};
use crate::shell::core::{Config, Listen};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

#[test]
fn tcp_framed_and_unix_listeners_share_one_handler() {
    let path =
        std::env::temp_dir().join(format!("drupe-{}-{:?}.sock", std::process::id(), std::thread::current().id()));
    let listeners = ["tcp://127.0.0.1:0", "length://127.0.0.1:0?prefix=u16be", &format!("unix://{}", path.display())];
    let server = run(Config::listening(listeners.map(|text| text.parse().expect(text))), Relay::default(), None);
    let mut line = server.connect();
    let mut frame =
        TcpStream::connect(server.addresses[1].strip_prefix("length://").expect("its scheme")).expect("it listens");
    let mut local = BufReader::new(UnixStream::connect(&path).expect("it listens"));
    server.until(|metrics| metrics.open >= 3);
    frame.write_all(b"\0\x05hello").expect("the server reads");
    let mut text = String::new();
    local.read_line(&mut text).expect("the server answers");
    assert_eq!((line.line(), text), ("hello".into(), "hello\n".into()));
    local.get_mut().write_all(b"hi\n").expect("the server reads");
    let mut answer = [0; 4];
    frame.read_exact(&mut answer).expect("the server answers");
    assert_eq!(&answer, b"\0\x02hi");
    server.end();
    assert!(!path.exists(), "the socket's file is removed");
}

#[test]
fn bind_error_names_the_address_in_use() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address");
    let config = Config::listening([Listen::lines(address)]);
    let error = Server::bind(config, Echo).expect_err("the port is taken").to_string();
    assert!(error.starts_with(&format!("can't listen at tcp://{address}: ")), "{error}");
}

#[test]
fn socket_file_is_removed_only_by_its_owner() {
    let path = std::env::temp_dir().join(format!("drupe-owner-{}.sock", std::process::id()));
    let bind =
        || Server::bind(Config::listening([format!("unix://{}", path.display()).parse().expect("a path")]), Echo);
    let first = bind().expect("it is free");
    assert!(bind().is_err(), "the address is in use");
    std::fs::remove_file(&path).expect("it is there");
    let second = bind().expect("it is free again");
    drop(first);
    assert!(path.exists(), "it belongs to the second");
    drop(second);
    assert!(!path.exists());
    // The server replaces a stale socket file, but keeps a file that is not a socket.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("it is free"));
    drop(bind().expect("it was stale"));
    std::fs::write(&path, "a file").expect("it is free");
    assert!(bind().is_err() && path.exists());
    std::fs::remove_file(&path).expect("it is there");
}
