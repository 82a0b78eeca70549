# What the scripts of the pages share. The arguments are the scenario, the browser and the server's URL.
#
# A scenario prints a line and reads one where the test acts on the server.

import os
import sys
from playwright.sync_api import sync_playwright

WIDTHS = {1280: 900, 1200: 900, 390: 844}
CREDENTIALS = {"username": "me", "password": "0123456789abcdef"}
problems = []


def ask(words):
    print(words, flush=True)
    assert sys.stdin.readline() == "go\n"


def open_page(chromium, url, width=1280, scheme="light", **options):
    size = {"width": width, "height": WIDTHS[width]}
    options = {"http_credentials": CREDENTIALS, **options}
    page = chromium.new_context(viewport=size, color_scheme=scheme, **options).new_page()
    page.set_default_timeout(20000)
    # A browser reports each refused connection.
    is_problem = lambda message: message.type == "error" and not ("WebSocket" in message.text or "ERR_" in message.text)
    page.on("console", lambda message: problems.append(message.text) if is_problem(message) else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    return page


def open_chat(chromium, url, *arguments, **options):
    page = open_page(chromium, url + "/", *arguments, **options)
    wait(page, "came to lobby")
    page.wait_for_selector("#people li", state="attached")
    return page


def open_monitor(chromium, url, *arguments, **options):
    page = open_page(chromium, url + "/monitor", *arguments, **options)
    connected(page)
    return page


def connected(page):
    page.wait_for_function("() => document.getElementById('state').dataset.state === 'open'")


def wait(page, words):
    page.wait_for_function("words => document.getElementById('log').innerText.includes(words)", arg=words)


def lines(page):
    """The lines of the chat, without their times."""
    return page.eval_on_selector_all("#log p > span", "all => all.map((one) => one.textContent)")


def say(page, text):
    page.fill("#line", text)
    page.press("#line", "Enter")


def focused(page):
    return page.evaluate("document.activeElement.id || document.activeElement.textContent")


def shot(page, name):
    if os.environ.get("DRUPE_TEST_SCREENSHOT"):
        page.screenshot(path=os.environ["DRUPE_TEST_SCREENSHOT"] + "-" + name + ".png")


def run(scenarios):
    scenario, browser, url = sys.argv[1:4]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        scenarios[scenario](chromium, url)
        assert not problems, problems
        print("done", flush=True)
        chromium.close()
