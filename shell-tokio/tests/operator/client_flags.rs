//! The flags of `drupe client` for messages and for WebSocket, and its exit codes, against our own
//! listeners and Python.

use super::text;
use crate::support::{Client, Program, program_path, python};
use std::io::Write;
use std::process::{Command, Stdio};

/// Runs `drupe client` with an input. Returns its exit code, its output and its standard error.
fn client(arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut child = Command::new("timeout")
        .args(["60", program_path(), "client"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    // The client has ended already if it found an error in its arguments.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), output.stdout, text(&output.stderr))
}

/// An echo server on every kind of wire: lines, frames, telnet, raw bytes and WebSocket.
fn echo() -> Program {
    let schemes = ["tcp", "length", "telnet", "raw", "ws"];
    let addresses = schemes.map(|scheme| format!("{scheme}://127.0.0.1:0"));
    let listen = addresses.iter().flat_map(|address| ["--listen", address]);
    Program::start(&["--app", "echo"].into_iter().chain(listen).collect::<Vec<_>>())
}

#[test]
fn count_and_timeout_determine_the_exit_code() {
    let program = echo();
    for address in program.addresses.iter().filter(|address| !address.starts_with("raw")) {
        // The input has ended before the answer arrives.
        let (code, heard, said) = client(&[address, "--count", "1", "--timeout", "50"], b"hi\n");
        assert_eq!((code, &*heard), (Some(0), &b"hi\n"[..]), "{address}: {said}");
        let (code, heard, said) = client(&[address, "--count", "2"], b"one\ntwo\nthree\nfour\n");
        assert_eq!((code, &*heard), (Some(0), &b"one\ntwo\n"[..]), "{address}: {said}");
        let (code, heard, said) = client(&[address, "--count", "2", "--timeout", "0.3"], b"one\n");
        assert_eq!((code, &*heard), (Some(4), &b"one\n"[..]), "{address}: {said}");
        assert!(said.contains("timed out: the messages did not arrive within 300ms"), "{said}");
    }
    // The server ends before all messages have arrived.
    let mut waiting = Command::new(program_path())
        .args(["client", &program.addresses[0], "--count", "9", "--subscribe", "x"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut first = [0; 2];
    std::io::Read::read_exact(waiting.stdout.as_mut().expect("piped"), &mut first).expect("the answer");
    assert_eq!(program.terminate().0, Some(0));
    let output = waiting.wait_with_output().expect("it ends");
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(3) && said.contains("the connection ended after"), "{said}");
    let (code, _, said) = client(&["tcp://127.0.0.1:1", "--count", "1"], b"");
    assert!(code == Some(1) && said.contains("can't connect: "), "{code:?}: {said}");
}

#[test]
fn json_is_pretty_and_binary_is_unchanged() {
    let program = echo();
    for address in program.addresses.iter().filter(|address| !address.starts_with("raw")) {
        let input = b"{\"b\":[1.50,{}],\"a\":\"x\"}\nnot {json\n";
        let (code, heard, said) = client(&[address, "--json", "--count", "2"], input);
        let expected = "{\n  \"b\": [\n    1.50,\n    {}\n  ],\n  \"a\": \"x\"\n}\nnot {json\n";
        assert_eq!((code, text(&heard)), (Some(0), expected.to_owned()), "{address}: {said}");
    }
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    for address in &program.addresses {
        let (code, heard, said) = client(&[address, "--binary"], &bytes);
        if address.starts_with("tcp") || address.starts_with("telnet") {
            assert!(code == Some(2) && said.contains("--binary can't be used with t"), "{code:?}: {said}");
        } else {
            assert!(code == Some(0) && heard == bytes, "{address}: {code:?}: {} bytes: {said}", heard.len());
        }
    }
    assert_eq!(program.terminate().0, Some(0));
}

#[test]
fn option_that_the_wire_does_not_support_is_an_error_that_names_both() {
    for (arguments, words) in [
        (&["tcp://h:1", "--header", "A: b"][..], "--header can't be used with tcp://"),
        (&["tls://h:1", "--origin", "https://a"], "--origin can't be used with tls://"),
        (&["telnets://h:1", "--subprotocol", "a"], "--subprotocol can't be used with telnets://"),
        (&["delimited://h:1", "--binary"], "--binary can't be used with delimited://"),
        (&["raw://h:1", "--count", "1"], "--count can't be used with raw://"),
        (&["telnet://h:1?delivery=stream", "--json"], "--json can't be used with telnet://"),
        (&["telnet://h:1", "--user", "ann"], "--user can't be used with telnet://"),
        (&["lengths://h:1", "--linger", "5"], "--linger can't be used with lengths://"),
        (&["ws://h:1", "--header", "Host: evil"], "Host can't be set: the address sets it"),
        (&["ws://h:1", "--header", "A: b\r\nHost: evil"], "can't contain '\\r'"),
        (&["ws://h:1", "--timeout", "5"], "--count <N>"),
        (&["ws://h:1", "--count", "0"], "--count <N>"),
        (&["ws://h:1", "--json", "--binary"], "cannot be used with"),
    ] {
        let (code, _, said) = client(arguments, b"");
        assert!(code == Some(2) && said.contains(words), "{arguments:?}: {code:?}: {said}");
    }
}

/// A WebSocket server that chooses a subprotocol, and reports the fields of each request and the
/// type of each message.
const WEBSOCKETS_SERVER: &str = r#"
import asyncio, sys, websockets

def choose(socket, offered):
    return next((name for name in ("v2", "v1") if name in offered), None)

async def serve(socket):
    headers = socket.request.headers
    seen = [headers.get("Authorization", ""), headers.get("Origin", ""), ",".join(headers.get_all("X-Two"))]
    await socket.send("|".join([*seen, str(socket.subprotocol)]))
    async for message in socket:
        await socket.send(f"{type(message).__name__} {len(message)}")

async def main():
    origins = ["https://example.org", None]
    async with websockets.serve(serve, "127.0.0.1", 0, select_subprotocol=choose, origins=origins) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"#;

#[test]
fn python_server_receives_headers_origin_subprotocols_and_binary_messages() {
    let Some(python) = python("websockets") else { return };
    let mut server = Client::start(&python, &["-c", WEBSOCKETS_SERVER]).expect("it is installed");
    let address = format!("ws://127.0.0.1:{}/room", server.hear());
    let flags = [
        &address,
        "--header",
        "Authorization: Bearer a:b",
        "--header",
        "X-Two: 1",
        "--header",
        "X-Two: 2",
        "--origin",
        "https://example.org",
        "--subprotocol",
        "v1",
        "--subprotocol",
        "v2",
    ];
    let (code, heard, said) = client(&[&flags[..], &["--count", "2"]].concat(), b"hello\n");
    assert_eq!((code, &*text(&heard)), (Some(0), "Bearer a:b|https://example.org|1,2|v2\nstr 5\n"), "{said}");
    assert!(said.contains("drupe: the server chose the subprotocol v2\n"), "{said}");
    let (code, heard, said) = client(&[&address, "--binary"], &vec![0xff; 20_000]);
    // Each chunk is a binary message.
    assert!(code == Some(0) && text(&heard).starts_with("|||Nonebytes "), "{}: {said}", text(&heard));
    let (code, _, said) = client(&[&address, "--origin", "https://evil.example"], b"");
    assert!(code == Some(1) && said.contains("can't connect: rejected_403"), "{code:?}: {said}");
    server.rest();
}
