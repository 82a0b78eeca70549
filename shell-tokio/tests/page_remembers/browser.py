# Shows what was said while the page was away. The arguments are the page's URL and the browser.
#
# It prints a line and reads one where the test acts on the server.

import sys
from playwright.sync_api import sync_playwright

url, browser = sys.argv[1:3]

def wait(page, words):
    page.wait_for_function("words => document.getElementById('log').innerText.includes(words)", arg=words, timeout=20000)

def say(page, text):
    page.fill("#line", text)
    page.press("#line", "Enter")

def ask(words):
    print(words, flush=True)
    assert sys.stdin.readline() == "go\n"

# What the page shows of the others, in order.
def said(page):
    return [line for line in page.inner_text("#log").splitlines() if line.startswith("<other>")]

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    page = chromium.new_page()
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(url)
    wait(page, "* welcome, guest")
    wait(page, "came to lobby")
    ask("in the lobby")
    wait(page, "<other> before")
    ask("away")
    # The server has closed the connection; the page comes back by itself.
    wait(page, "* reconnected")
    wait(page, "<other> meanwhile")
    assert said(page) == ["<other> before", "<other> meanwhile"], said(page)
    # A reload shows only what follows.
    page.route("**/drupe.js", lambda route: (ask("reloading"), route.continue_()))
    page.reload()
    page.unroute("**/drupe.js")
    wait(page, "<other> during the reload")
    assert said(page) == ["<other> during the reload"], said(page)
    # The same in another room. First the lobby receives the new connection.
    say(page, "/nick ann")
    say(page, "/join den")
    wait(page, "ann came to den")
    ask("in the den")
    wait(page, "<other> before")
    ask("away")
    wait(page, "<other> meanwhile")
    assert said(page)[1:] == ["<other> before", "<other> meanwhile"], said(page)
    assert "may be missing" not in page.inner_text("#log")
    # A history that is lost is not hidden.
    ask("forget")
    wait(page, "* messages in den may be missing")
    assert not problems, problems
    print("done", flush=True)
    chromium.close()
