# Says what it is asked to in the chat, and prints what the page shows. The arguments are the page's URL and the browser.

import sys
from playwright.sync_api import sync_playwright

url, browser = sys.argv[1:3]

def wait(page, words):
    page.wait_for_function("words => document.getElementById('log').innerText.includes(words)", arg=words, timeout=60000)
    print(words, flush=True)

with sync_playwright() as playwright:
    chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
    page = chromium.new_page()
    page.goto(url)
    wait(page, "came to lobby")
    page.fill("#line", sys.stdin.readline().rstrip("\n"))
    page.press("#line", "Enter")
    wait(page, "hello to all")
