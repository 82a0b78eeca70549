//! WebSocket and HTTP with the clients that people have: each is skipped, with a word about it, where it is not
//! installed.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "a test fails where its assumption does"
)]
#![allow(dead_code, reason = "the other tests of the program use the rest of what they share")]

mod page_login;
mod page_remembers;
mod pages;
mod support;

use drupe_tokio::core::http::OpeningHandshake;
use drupe_tokio::core::{Config, Dial, DialProtocol, Event, Handler, Hub};
use drupe_tokio::{Remote, Server};
use std::process::Command;
use std::sync::Arc;
use support::{Client, Program, python};

/// A Python that has a package, if there is one.
fn run(python: &str, script: &str, arguments: &[&str]) -> String {
    let output = Command::new("timeout").args(["60", python, "-c", script]).args(arguments).output().expect("timeout");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

#[test]
fn curl_reads_the_http_endpoints() {
    let program = Program::start(&["--listen", "ws://127.0.0.1:0"]);
    let url = |path: &str| format!("http://127.0.0.1:{}{path}", program.port());
    let Some(client) = Client::start("curl", &["-s", &url("/healthz"), &url("/readyz"), &url("/metrics")]) else {
        return;
    };
    let said = client.rest();
    assert!(said.starts_with("ok\nready\n# HELP drupe_uptime_seconds"), "{said}");
    // The three went over one connection, which is kept for HTTP and counts as none that is served.
    assert!(said.contains("\ndrupe_connections_http 1\n"), "{said}");
    assert!(said.contains("\ndrupe_connections_opened_total 0\n"), "{said}");
    let codes = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-d", "x", &url("/")];
    assert_eq!(Client::start("curl", &codes).expect("there was one").rest(), "413");
    assert_eq!(program.terminate().0, Some(0));
}

const WEBSOCKETS: &str = r#"
import asyncio, sys, websockets
from websockets.exceptions import ConnectionClosed, InvalidStatus

async def main():
    url = f"ws://127.0.0.1:{sys.argv[1]}/"
    # Compression is offered unless it is switched off.
    for compression in ("deflate", None):
        async with websockets.connect(url, compression=compression) as socket:
            print([extension.name for extension in socket.protocol.extensions])
            for message in ("short", "grüße " * 1000, b"\0\xff" * 1000, ""):
                await socket.send(message)
                assert await socket.recv() == message
            await socket.send(["in ", "fragments ", "of text"])
            assert await socket.recv() == "in fragments of text"
            await asyncio.wait_for(await socket.ping(b"are you there"), 10)
            await socket.send("x" * 70000)
            try:
                await socket.recv()
            except ConnectionClosed as closed:
                print(closed.rcvd.code, closed.rcvd.reason)
    try:
        await websockets.connect(url, origin="http://evil.example")
    except InvalidStatus as refused:
        print(refused.response.status_code)

asyncio.run(main())
"#;

#[test]
fn python_websockets_client_talks_to_echo() {
    let Some(python) = python("websockets") else { return };
    let program = Program::start(&["--app", "echo", "--listen", "ws://127.0.0.1:0"]);
    let said = run(&python, WEBSOCKETS, &[program.port()]);
    let expected = ["['permessage-deflate']", "1009 message_too_large", "[]", "1009 message_too_large", "403"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
    assert_eq!(program.terminate().0, Some(0));
}

/// A server of somebody else's, which tells what it was asked and what it heard.
const WEBSOCKETS_SERVER: &str = r#"
import asyncio, sys, websockets

async def serve(socket):
    print(socket.request.path, socket.request.headers["Authorization"], socket.subprotocol)
    print([extension.name for extension in socket.protocol.extensions])
    async for message in socket:
        print(message)
        await socket.send(message * 1000)
    print(socket.close_code, flush=True)

async def main():
    async with websockets.serve(serve, "127.0.0.1", 0, subprotocols=["chat"]) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"#;

/// Dials the port that a note names, says a word there and leaves with the second answer.
struct Caller(Remote<u16>);

impl Handler for Caller {
    type Context = u8;
    type Note = u16;

    fn on(&mut self, hub: &mut Hub<'_, u8>, event: Event<'_, u16>) {
        match event {
            Event::Note(port) => {
                let handshake = OpeningHandshake::new("/room?name=drupe")
                    .subprotocols(vec!["chat".into()])
                    .fields(vec![("Authorization".into(), "Bearer secret".into())]);
                let protocol = DialProtocol::WebSocket(Arc::new(handshake));
                hub.dial(Dial::lines(format!("127.0.0.1:{port}")).protocol(protocol));
            }
            Event::Opened { conn, .. } => {
                hub.send(conn, "grüße");
            }
            Event::Message { conn, payload } => {
                assert_eq!(payload.as_str(), Some("grüße".repeat(1000).as_str()));
                let answers = hub.context(conn).expect("it is open");
                *answers += 1;
                if *answers == 2 {
                    hub.close(conn);
                } else {
                    hub.send(conn, "grüße");
                }
            }
            Event::Closed { .. } | Event::DialFailed { .. } => self.0.drain().expect("it runs"),
            _ => {}
        }
    }
}

#[test]
fn server_dials_a_python_websockets_server() {
    let Some(python) = python("websockets") else { return };
    let mut server = Client::start(&python, &["-c", WEBSOCKETS_SERVER]).expect("it is installed");
    let port = server.hear().parse().expect("a port");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let metrics = runtime.block_on(async {
        let running = Server::bind_with(Config::listening([]), Caller).expect("it listens nowhere");
        running.remote().note(port).expect("it is there");
        running.run().await.expect("a reactor")
    });
    assert_eq!((metrics.opened, metrics.messages_in, metrics.dial_errors), (1, 2, 0));
    // It ends when its input does, which must not be before the close is served.
    let said = server.hear_until("1000\n");
    assert_eq!(server.rest(), "");
    let expected = ["/room?name=drupe Bearer secret chat", "['permessage-deflate']", "grüße", "grüße", "1000"];
    assert_eq!(said.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn websocat_chats_with_nc() {
    let program = Program::start(&["--listen", "ws://127.0.0.1:0/chat", "--listen", "tcp://127.0.0.1:0"]);
    let url = format!("ws://127.0.0.1:{}/chat", program.addresses[0].split(['/', ':']).nth(4).expect("a port"));
    let websocat = std::env::var("DRUPE_TEST_WEBSOCAT").unwrap_or_else(|_| "websocat".to_owned());
    let Some(mut websocat) = Client::start(&websocat, &[&url]) else { return };
    websocat.hear_until("* guest1 came to lobby\n");
    let (_, port) = program.addresses[1].rsplit_once(':').expect("a port");
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", port]) else { return };
    nc.hear_until("* guest2 came to lobby");
    nc.say("hello\n");
    websocat.hear_until("<guest2> hello\n");
    websocat.say("good day\n");
    nc.hear_until("<guest1> good day");
    assert_eq!(program.terminate().0, Some(0));
    // Either of them may be the first to go.
    assert!(websocat.rest().starts_with("<guest1> good day\n"), "and the end");
}

const BROWSER: &str = r##"
import sys
from playwright.sync_api import sync_playwright

url, shot, browser = sys.argv[1:4]

def wait(page, words):
    page.wait_for_function("words => document.getElementById('log').innerText.includes(words)", arg=words, timeout=20000)

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    problems = []
    pages = []
    for size in ({"width": 1000, "height": 700}, {"width": 390, "height": 800}):
        page = chromium.new_context(viewport=size, color_scheme="dark" if size["width"] > 500 else "light").new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        wait(page, "* welcome, guest")
        pages.append(page)
    first, second = pages
    print("ready", flush=True)
    assert sys.stdin.readline() == "go\n"
    wait(first, "<guest1> hello from telnet")
    wait(first, "<guest2> hello from nc")
    # Only with the keyboard: the line has the focus from the beginning.
    first.keyboard.type("<b>hello</b> from the <script>browser</script>")
    first.keyboard.press("Enter")
    for page in pages:
        wait(page, "<b>hello</b> from the <script>browser</script>")
        assert page.evaluate("document.querySelectorAll('#log b, #log script').length") == 0
    first.keyboard.press("ArrowUp")
    assert first.input_value("#line").startswith("<b>hello")
    assert second.inner_text("#state") == "connected"
    first.screenshot(path=shot + "-wide.png")
    second.screenshot(path=shot + "-narrow.png")
    print("spoken", flush=True)
    assert sys.stdin.readline() == "gone\n"
    second.wait_for_function("document.getElementById('state').innerText.includes('reconnecting in')", timeout=20000)
    wait(second, "* the server is shutting down (shutdown)")
    assert not [problem for problem in problems if "WebSocket" not in problem], problems
    print("done", flush=True)
    chromium.close()
"##;

#[test]
fn browser_telnet_and_nc_chat_in_one_room() {
    let Some((python, browser)) = page_login::browser() else { return };
    let listen = ["telnet://127.0.0.1:0", "tcp://127.0.0.1:0", "ws://127.0.0.1:0"];
    let arguments: Vec<&str> = listen.iter().flat_map(|address| ["--listen", address]).collect();
    let program = Program::start(&arguments);
    let port = |place: usize| program.addresses[place].rsplit_once(':').expect("a port").1.to_owned();
    let Some(mut telnet) = Client::start("telnet", &["127.0.0.1", &port(0)]) else { return };
    telnet.hear_until("* guest1 came to lobby");
    let Some(mut nc) = Client::start("nc", &["127.0.0.1", &port(1)]) else { return };
    nc.hear_until("* guest2 came to lobby");
    let shot = std::env::temp_dir().join(format!("drupe-page-{}", std::process::id()));
    let url = format!("http://127.0.0.1:{}/", port(2));
    let shot_path = std::env::var("DRUPE_TEST_SCREENSHOT").unwrap_or_else(|_| shot.display().to_string());
    let arguments = ["-c", BROWSER, &url, &shot_path, browser];
    let mut page = Client::start(&python, &arguments).expect("it is installed");
    page.hear_until("ready\n");
    telnet.say("hello from telnet\n");
    nc.hear_until("<guest1> hello from telnet");
    nc.say("hello from nc\n");
    page.say("go\n");
    page.hear_until("spoken\n");
    for client in [&mut telnet, &mut nc] {
        client.hear_until("<b>hello</b> from the <script>browser</script>");
    }
    assert_eq!(program.terminate().0, Some(0));
    page.say("gone\n");
    page.hear_until("done\n");
}
