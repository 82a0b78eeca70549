# Logs in with the page in a browser. The arguments are the scenario, the browser, the page's URL, and the scenario's own.
#
# A scenario prints a line and reads one where the test acts on the server.

import json
import os
import sys
from playwright.sync_api import sync_playwright

scenario, browser, url, *arguments = sys.argv[1:]
WIDE, NARROW = {"width": 1000, "height": 700}, {"width": 360, "height": 640}
sockets = []


def open_page(chromium, size, before=lambda page: None):
    page = chromium.new_context(viewport=size, color_scheme="dark" if size is WIDE else "light").new_page()
    problem = lambda words: problems.append(words) if "WebSocket" not in words else None
    page.on("console", lambda message: problem(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: problem(str(error)))
    page.on("websocket", lambda socket: sockets.append(socket.url))
    before(page)
    page.goto(url)
    page.wait_for_selector("#login:not([hidden])")
    return page


def shot(page, name):
    if os.environ.get("DRUPE_TEST_SCREENSHOT"):
        page.screenshot(path=os.environ["DRUPE_TEST_SCREENSHOT"] + "-" + name + ".png")


def ask(words):
    print(words, flush=True)
    assert sys.stdin.readline() == "go\n"


def wait(page, words):
    page.wait_for_function("words => document.getElementById('log').innerText.includes(words)", arg=words, timeout=20000)


def wait_error(page, words):
    page.wait_for_function(
        "words => document.getElementById('login-error').textContent.includes(words)", arg=words, timeout=20000)
    is_out(page)


def is_out(page):
    """The form is shown, no line can be sent, and no connection is open or will be."""
    assert page.is_visible("#login") and page.is_disabled("#line") and page.is_disabled("#form button")
    assert page.evaluate("[socket === null, timer === null, isServed]") == [True, True, False]
    assert page.inner_text("#state") == "not logged in"


def is_in(page):
    page.wait_for_function("() => document.getElementById('state').innerText === 'connected'", timeout=20000)
    assert page.is_hidden("#login") and page.is_enabled("#line") and page.evaluate("document.activeElement.id") == "line"
    # What the form held is gone, and nothing secret is stored.
    assert page.evaluate("['password', 'again', 'token'].map((id) => document.getElementById(id).value)") == ["", "", ""]
    assert page.evaluate("[localStorage.length, document.cookie]") == [0, ""]
    stored = page.evaluate("Object.keys(sessionStorage)")
    assert set(stored) <= {"drupe.user", "drupe.name", "drupe.room"}, stored


def log_in(page, user, password):
    page.fill("#user", user)
    page.fill("#password", password)
    page.press("#password", "Enter")


def say(page, text):
    page.fill("#line", text)
    page.press("#line", "Enter")


def passwords(chromium):
    (odd, odd_password), (ann, ann_password, ann_later) = json.loads(arguments[0])
    page = open_page(chromium, WIDE)
    # The keyboard reaches the fields in their order. The first one has the focus.
    page.keyboard.type(odd)
    page.keyboard.press("Tab")
    page.keyboard.type("wrong")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "login-submit"
    assert page.get_attribute("#user", "autocomplete") == "username"
    assert page.get_attribute("#password", "autocomplete") == "current-password"
    assert page.get_by_label("User name").input_value() == odd and page.is_hidden("#login-other")
    # The page waits for the user without a connection.
    assert sockets == []
    page.keyboard.press("Enter")
    wait_error(page, "Wrong user name or password.")
    shot(page, "refused-wide")
    # The field of the password is empty and has the focus.
    page.keyboard.type(odd_password)
    page.keyboard.press("Enter")
    wait(page, "* logged in as " + odd)
    is_in(page)
    page.keyboard.type("hello")
    page.keyboard.press("Enter")
    wait(page, "> hello")
    other = open_page(chromium, NARROW)
    shot(other, "narrow")
    log_in(other, ann, ann_password)
    wait(other, "* welcome, " + ann)
    is_in(other)
    say(other, "/nick bob")
    wait(other, "bob")
    say(other, "/join den")
    wait(other, "* bob came to den")
    shot(other, "in-narrow")
    # A user who is logged in already replaces the older page, which stays out.
    third = open_page(chromium, NARROW)
    log_in(third, odd, odd_password)
    is_in(third)
    wait_error(page, "The user has logged in elsewhere.")
    shot(page, "replaced-wide")
    other.fill("#line", "typed before the connection is lost")
    ask("restart")
    # It is logged in again without a key being pressed, and has its name and room.
    wait(other, "* reconnected")
    is_in(other)
    assert other.input_value("#line") == "typed before the connection is lost"
    other.press("#line", "Enter")
    wait(other, "<bob> typed before the connection is lost")
    ask("change the password")
    wait_error(other, "The password may have changed.")
    assert other.input_value("#user") == ann and other.evaluate("document.activeElement.id") == "password"
    log_in(other, ann, ann_later)
    wait(other, "* bob came to den")
    is_in(other)
    # Nothing was sent that is not a login before the login was complete.
    assert "authentication required" not in other.inner_text("#log")
    # Another user of this page gets neither the name nor the room.
    other.reload()
    other.wait_for_selector("#login:not([hidden])")
    log_in(other, odd, odd_password)
    is_in(other)
    assert other.evaluate("sessionStorage.getItem('drupe.name')") is None
    # The server is gone when the user submits: the form says so, and keeps what was typed.
    third.reload()
    third.wait_for_selector("#login:not([hidden])")
    ask("stop")
    log_in(third, ann, ann_later)
    wait_error(third, "There is no connection to the server.")
    assert third.input_value("#password") == ann_later


def strangers(chromium):
    """Between the page and the server is somebody who changes what the server proves."""
    user, password = json.loads(arguments[0])
    changes = {
        "proof": lambda text: "scram v=AAAA" if text.startswith("scram v=") else text,
        "no proof": lambda text: None if text.startswith("scram v=") else text,
        "iterations": lambda text: text.replace("i=4096", "i=1"),
        "nonce": lambda text: text.replace("r=", "r=x") if text.startswith("scram r=") else text,
        "silence": lambda text: None if text.startswith("scram") else text,
    }
    change = None

    def between(route):
        server = route.connect_to_server()
        # The handler sees this socket's change, also when the next one is set.
        mine = changes[change]
        server.on_message(lambda text: (lambda changed: changed is not None and route.send(changed))(mine(text)))

    page = open_page(chromium, NARROW, lambda page: page.route_web_socket("**/*", between))
    for change, error in (
        ("proof", "The server does not know the password."),
        ("no proof", "The server does not know the password."),
        ("iterations", "The server asks for 1 iterations"),
        ("nonce", "The server's answer is malformed."),
        ("silence", "The login took too long."),
    ):
        log_in(page, user, password)
        wait_error(page, error)
        shot(page, "stranger-narrow")


def tokens(chromium):
    page = open_page(chromium, NARROW)
    shot(page, "token-narrow")
    assert page.is_hidden("#user") and page.is_hidden("#password")
    page.get_by_label("Token").fill("nonsense")
    page.keyboard.press("Enter")
    wait_error(page, "not well formed")
    ask("token")
    page.get_by_label("Token").fill(sys.stdin.readline())
    page.keyboard.press("Enter")
    wait(page, "* welcome, ann")
    is_in(page)
    wait_error(page, "The session has expired.")
    shot(page, "expired-narrow")


def insecure(chromium):
    page = open_page(chromium, WIDE)
    is_out(page)
    assert "needs HTTPS or this machine" in page.inner_text("#login-error")
    for name in ("#user", "#password", "#login-submit"):
        assert page.is_disabled(name), name
    shot(page, "insecure-wide")


def registration(chromium):
    page = open_page(chromium, NARROW)
    shot(page, "register-narrow")
    page.fill("#user", "ann")
    page.click("#login-other")
    assert page.get_attribute("#password", "autocomplete") == "new-password"
    assert page.get_attribute("#again", "autocomplete") == "new-password"
    shot(page, "new-narrow")

    def create(user, password, again):
        for name, value in (("#user", user), ("#password", password), ("#again", again)):
            page.fill(name, value)
        page.click("#login-submit")

    # What the page refuses itself opens no connection.
    for user, password, again, error in (
        ("ann b", "grüße №1", "grüße №1", "A user name has no spaces."),
        ("ann", " grüße №1", " grüße №1", "can't begin or end with a space"),
        ("ann", "grüße №1", "grüße №2", "The passwords differ."),
    ):
        create(user, password, again)
        wait_error(page, error)
    assert sockets == []
    create("ann", "short", "short")
    wait_error(page, "a password needs at least 8 characters")
    create("taken", "grüße №1", "grüße №1")
    wait_error(page, "this name is taken")
    # The password stays for another name.
    page.fill("#user", "ann")
    page.press("#user", "Enter")
    wait(page, "* logged in as ann")
    is_in(page)
    # The key of the new user comes from another connection, which ends.
    page.wait_for_function("() => login.canResume")
    say(page, "drop me")
    wait(page, "* reconnected")
    is_in(page)
    say(page, "hello")
    wait(page, "ann says hello")
    # The account is good for a login on another page, where the password is typed with other characters.
    other = open_page(chromium, WIDE)
    shot(other, "register-wide")
    log_in(other, "ann", "gru\u0308ße No1")
    wait(other, "* logged in as ann")
    is_in(other)


problems = []
with sync_playwright() as playwright:
    rules = ["--host-resolver-rules=MAP drupe.test 127.0.0.1"] if scenario == "insecure" else []
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", *rules])
    {
        "passwords": passwords,
        "strangers": strangers,
        "tokens": tokens,
        "insecure": insecure,
        "registration": registration,
    }[scenario](chromium)
    assert not problems, problems
    print("done", flush=True)
    chromium.close()
