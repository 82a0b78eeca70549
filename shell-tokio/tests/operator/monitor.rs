//! The monitor in a browser.

use super::{TLS, certificate, connect};
use crate::support;
use crate::support::{Directory, Program};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;

const MONITOR: &str = r##"
import sys
from playwright.sync_api import sync_playwright

url, shot, browser, session = sys.argv[1:5]

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    problems = []
    assert chromium.new_context(ignore_https_errors=True).request.get(url).status == 401
    pages = []
    for size in ({"width": 1280, "height": 900}, {"width": 390, "height": 844}):
        context = chromium.new_context(
            viewport=size, ignore_https_errors=True, color_scheme="dark" if size["width"] > 500 else "light",
            http_credentials={"username": "me", "password": "0123456789abcdef"})
        page = context.new_page()
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(url)
        page.wait_for_function("() => document.getElementById('state').innerText.includes('connected')", timeout=20000)
        page.wait_for_selector(f"#sessions tr[data-session='{session}']", timeout=20000)
        pages.append(page)
    page, phone = pages
    assert phone.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    page.click(f"#sessions tr[data-session='{session}'] [data-action=watch]")
    page.wait_for_function("() => document.getElementById('watch-state').innerText.includes('watching')", timeout=20000)
    print("watching", flush=True)
    assert sys.stdin.readline() == "said\n"
    page.wait_for_function("() => document.getElementById('watched').innerText.includes('<b>hello</b>')", timeout=20000)
    page.wait_for_function("() => document.getElementById('log').innerText.includes('opened: 0.1')", timeout=20000)
    assert page.evaluate("document.querySelectorAll('#watched b').length") == 0
    page.fill("#quarantine-address", "192.0.2.1")
    page.click("#quarantine-form [data-action=quarantine]")
    page.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    phone.wait_for_function("() => document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    page.screenshot(path=shot + "-monitor-wide.png", full_page=True)
    phone.screenshot(path=shot + "-monitor-narrow.png", full_page=True)
    page.click("#quarantine-list [data-action=release]")
    page.wait_for_function("() => !document.getElementById('quarantine-list').innerText.includes('192.0.2.1')", timeout=20000)
    kick = page.locator(f"#sessions tr[data-session='{session}'] [data-action=kick]")
    kick.click()
    kick.click()
    page.wait_for_function("session => !document.querySelector(`#sessions tr[data-session='${session}']`)", arg=session, timeout=20000)
    print("kicked", flush=True)
    assert sys.stdin.readline() == "drain\n"
    page.click("#drain")
    page.click("#drain")
    page.wait_for_function("() => !document.getElementById('draining').hidden", timeout=20000)
    assert not [problem for problem in problems if "WebSocket" not in problem], problems
    print("done", flush=True)
    chromium.close()
"##;

#[test]
fn browser_monitor_watches_kicks_and_drains() {
    let Some(python) = support::python("playwright") else { return };
    let browsers = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
    let Some(browser) = browsers.iter().find(|path| Path::new(path).exists()) else {
        support::skip("there is no chromium on this machine");
        return;
    };
    let directory = Directory::new("monitor");
    certificate(&directory.0);
    std::fs::write(directory.0.join("credential"), "0123456789abcdef\n").expect("written");
    let config = format!(
        "listeners:\n  lines: {{ address: '127.0.0.1:0', app: echo }}\n  \
         web: {{ address: '127.0.0.1:0', protocol: websocket, websocket: {{ monitor: true }}, {TLS} }}\n\
         monitor: {{ credential_file: credential, interval: 200ms }}\ndrain: {{ grace: 2s }}\n"
    );
    let program = Program::configured(&directory.0, &config, 2, |_| {});
    let mut ann = BufReader::new(connect(program.port_of(0)));
    let mut line = String::new();
    ann.get_mut().write_all(b"hi\n").expect("sent");
    ann.read_line(&mut line).expect("it answers");
    let shot = std::env::temp_dir().join(format!("drupe-page-{}", std::process::id())).display().to_string();
    let shot = std::env::var("DRUPE_TEST_SCREENSHOT").unwrap_or(shot);
    let url = format!("https://localhost:{}/monitor", program.port_of(1));
    let mut page = support::Client::start(&python, &["-c", MONITOR, &url, &shot, browser, "0.1"]).expect("it is there");
    page.hear_until("watching\n");
    ann.get_mut().write_all(b"<b>hello</b>\n").expect("sent");
    line.clear();
    ann.read_line(&mut line).expect("it answers");
    page.say("said\n");
    page.hear_until("kicked\n");
    let mut rest = String::new();
    ann.read_to_string(&mut rest).expect("a kind end");
    assert_eq!(rest, "closing (kicked): an operator closed the connection\n");
    page.say("drain\n");
    page.hear_until("done\n");
    assert_eq!(program.wait(), Some(0));
}
