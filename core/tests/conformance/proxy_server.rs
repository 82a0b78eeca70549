//! A small proxy for both protocols, which requires a login.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

/// The user and password that the proxy requires, as a client writes them.
pub(crate) const USER: &str = "ann:open%20sesame";
const BASIC: &str = "\r\nProxy-Authorization: Basic YW5uOm9wZW4gc2VzYW1l\r\n";
const LOGIN: &[u8] = b"\x01\x03ann\x0bopen sesame";

/// Starts the proxy, which connects to `localhost` and loopback addresses only. Returns its address.
///
/// If `waits` is set, it sends its answer in one packet with the first byte of the host.
pub(crate) fn proxy(waits: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || drop(serve(stream, waits)));
        }
    });
    address
}

/// The address that a client requests, and the answers of the protocol.
struct Asked {
    target: String,
    ok: &'static [u8],
    unreachable: &'static [u8],
    forbidden: &'static [u8],
}

fn serve(mut client: TcpStream, waits: bool) -> io::Result<()> {
    client.set_read_timeout(Some(Duration::from_secs(60)))?;
    let mut first = [0];
    client.read_exact(&mut first)?;
    let asked = if first == [5] { asked_by_socks(&mut client)? } else { asked_by_http(&mut client, first)? };
    let Some(Asked { target, ok, unreachable, forbidden }) = asked else { return Ok(()) };
    let target = target.replace("localhost", "127.0.0.1");
    if !target.starts_with("127.") {
        return client.write_all(forbidden);
    }
    let Ok(mut host) = TcpStream::connect(target) else { return client.write_all(unreachable) };
    let mut answer = ok.to_vec();
    if waits {
        answer.extend(exactly(&mut host, 1)?);
    }
    client.write_all(&answer)?;
    let (mut from, mut to) = (client.try_clone()?, host.try_clone()?);
    let there = thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut host, &mut client);
    let _ = client.shutdown(Shutdown::Write);
    let _ = there.join();
    Ok(())
}

fn asked_by_socks(client: &mut TcpStream) -> io::Result<Option<Asked>> {
    let count = exactly(client, 1)?[0];
    exactly(client, count.into())?;
    client.write_all(&[5, 2])?;
    let is_wrong = exactly(client, LOGIN.len())? != LOGIN;
    client.write_all(&[1, u8::from(is_wrong)])?;
    if is_wrong {
        return Ok(None);
    }
    let host = match exactly(client, 4)?.as_slice() {
        [5, 1, 0, 1] => exactly(client, 4)?.iter().map(u8::to_string).collect::<Vec<_>>().join("."),
        [5, 1, 0, 3] => {
            let length = exactly(client, 1)?[0];
            String::from_utf8(exactly(client, length.into())?).expect("a name")
        }
        other => panic!("it asks for {other:?}"),
    };
    let port = exactly(client, 2)?;
    Ok(Some(Asked {
        target: format!("{host}:{}", u16::from_be_bytes([port[0], port[1]])),
        ok: &[5, 0, 0, 1, 0, 0, 0, 0, 0, 0],
        unreachable: &[5, 5, 0, 1, 0, 0, 0, 0, 0, 0],
        forbidden: &[5, 2, 0, 1, 0, 0, 0, 0, 0, 0],
    }))
}

fn asked_by_http(client: &mut TcpStream, first: [u8; 1]) -> io::Result<Option<Asked>> {
    let mut head = first.to_vec();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(exactly(client, 1)?);
    }
    let head = String::from_utf8(head).expect("text");
    if !head.contains(BASIC) {
        client.write_all(b"HTTP/1.1 407 Who?\r\nContent-Length: 0\r\n\r\n")?;
        return Ok(None);
    }
    let target = head.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()).expect("a target");
    Ok(Some(Asked {
        target: target.to_owned(),
        ok: b"HTTP/1.1 200 OK\r\n\r\n",
        unreachable: b"HTTP/1.1 502 No\r\n\r\n",
        forbidden: b"HTTP/1.1 403 No\r\n\r\n",
    }))
}

fn exactly(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}
