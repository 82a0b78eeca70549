# The page of channels for operators, in a browser. `DRUPE_TEST_BROWSER` is the browser.

import os, re, shutil
from playwright.async_api import async_playwright, expect
from harness import ask, client, run, same, subscribe, token, web_port

BROWSER = os.environ.get("DRUPE_TEST_BROWSER") or shutil.which("chromium") or shutil.which("google-chrome")
URL, KEY = f"http://127.0.0.1:{web_port}/channels", "0123456789abcdef"
# Markup, and a character that turns the text around.
MEAN = "<img src=x onerror='document.title=1'>\u202e"
SHOWN = "<img src=x onerror='document.title=1'>‹U+202E›"
# A user, as far as names of users allow it.
BOLD = "<b>bob</b>"
SLOW = 20000

async def log_in(page, key=KEY):
    await page.get_by_label("Key").fill(key)
    await page.get_by_role("button", name="Open").click()

def state_is(page, words):
    return expect(page.locator("#state")).to_have_text(words, timeout=SLOW)

# The names in the table are these.
def names_are(page, *names):
    return expect(page.locator("#channels th")).to_have_text(names, timeout=SLOW)

def publish(page, channel, data):
    return page.evaluate("""([channel, data, key]) => fetch("/api/publish", {
        method: "POST", headers: { "X-API-Key": key }, body: JSON.stringify({ channel, data }),
    }).then((response) => response.json())""", [channel, data, KEY])

async def key_is_asked_for(page):
    await page.goto(URL)
    await state_is(page, "the key is needed")
    await expect(page.get_by_label("Key")).to_be_focused()
    await log_in(page, "kéy")
    await expect(page.get_by_role("alert").first).to_have_text("A key has only letters, digits and signs of ASCII.")
    await log_in(page, "0123456789abcdeg")
    await expect(page.get_by_role("alert").first).to_have_text("The key is wrong.", timeout=SLOW)
    await expect(page.locator("#main")).to_be_hidden()
    await log_in(page)
    await state_is(page, "connected")
    await expect(page.locator("#key-form")).to_be_hidden()
    assert KEY not in page.url and KEY not in await page.content()

async def channels_are_listed(page):
    await names_are(page, "#<b>bob</b>", "#ann", "news:1", "plain:1")
    row = page.locator("#channels tr").nth(2)
    await expect(row.locator("td").nth(0)).to_have_text("2")
    await expect(page.locator("#tiles dd").first).to_have_text("2")
    same((await publish(page, "news:1", {"n": 0}))["result"]["offset"], 1)
    # Each poll sees a later message.
    moving = row.locator("td").nth(1).filter(has_text=re.compile(r"[1-9].*/s"))
    while not await moving.count():
        await publish(page, "news:1", {"n": 1})
    await expect(row.locator("td").nth(2)).not_to_have_text("–")
    # The others have no history.
    same(await page.locator("#channels tr").nth(3).locator("td").all_inner_texts(), ["1", "–", "–"])
    await page.get_by_role("button", name="Subscribers").click()
    await expect(page.locator("#columns th").nth(1)).to_have_attribute("aria-sort", "descending")
    await expect(page.locator("#channels th").first).to_have_text("news:1")
    await page.get_by_role("button", name="Channel", exact=True).click()
    await expect(page.locator("#channels th").first).to_have_text("#<b>bob</b>")

async def filter_narrows(page):
    search = page.get_by_label("Filter")
    for text, found in (("lain", ["plain:1"]), ("news:?", ["news:1"]), ("nothing", []), ("n*1", ["news:1"])):
        await search.fill(text)
        await names_are(page, *found)
        words = "1 channel found" if found else "0 channels found"
        await expect(page.locator("#found")).to_have_text(words)
    await search.fill("")
    await expect(page.locator("#channels tr")).to_have_count(4, timeout=SLOW)

# With the keyboard alone.
async def channel_is_shown(page):
    await publish(page, "news:1", MEAN)
    await page.get_by_role("button", name="news:1").focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="news:1")).to_be_focused()
    members, history = page.locator("#members li"), page.locator("#history li")
    await expect(members).to_have_count(2, timeout=SLOW)
    await expect(page.locator("#members strong")).to_have_text([BOLD, "ann"])
    await expect(members.first).to_contain_text(SHOWN)
    await expect(history.first).to_contain_text(SHOWN, timeout=SLOW)
    await page.get_by_label("newest first").press("Space")
    await expect(history.last).to_contain_text(SHOWN, timeout=SLOW)
    await page.get_by_label("At most").fill("1")
    await page.get_by_label("At most").press("Enter")
    await expect(history).to_have_count(1, timeout=SLOW)
    await page.get_by_label("newest first").press("Space")
    await expect(history).to_contain_text([SHOWN], timeout=SLOW)
    await page.get_by_role("button", name="Close").press("Enter")
    await expect(page.get_by_role("button", name="news:1")).to_be_focused()
    # What a namespace does not have.
    await page.get_by_role("button", name="plain:1").press("Enter")
    await expect(page.locator("#members-note")).to_contain_text("no list of members", timeout=SLOW)
    await expect(page.locator("#history-note")).to_contain_text("no history", timeout=SLOW)
    await page.get_by_label("Channel without subscribers").fill("nowhere:1")
    await page.keyboard.press("Enter")
    await expect(page.locator("#members-note")).to_have_text("no namespace is configured for this channel", timeout=SLOW)

async def json_is_published(page, subscription):
    channel, data = page.get_by_label("Channel", exact=True), page.get_by_label("Data (JSON)")
    button, error = page.get_by_role("button", name="Publish"), page.locator("#publish-error")
    await channel.fill("news:1")
    await data.fill("hello")
    await button.press("Enter")
    await expect(error).to_contain_text("This is no JSON")
    await expect(data).to_have_attribute("aria-invalid", "true")
    await expect(data).to_be_focused()
    await data.fill('{"by": "hand", "n": 12345678901234567890}')
    await channel.fill("nowhere:1")
    await button.press("Enter")
    await expect(error).to_have_text("Not published: no namespace is configured for this channel.", timeout=SLOW)
    await expect(channel).to_be_focused()
    await page.get_by_role("button", name="news:1").click()
    await button.press("Enter")
    await expect(page.locator("#published")).to_contain_text("published in news:1 at offset", timeout=SLOW)
    await expect(error).to_be_empty()
    pub = (await subscription.events.next("publication", lambda context: isinstance(context.pub.data, dict) and "by" in context.pub.data)).pub
    same(pub.data, {"by": "hand", "n": 12345678901234567890})
    await expect(page.locator("#history li")).to_contain_text(['{"by":"hand","n":12345678901234567890}'], timeout=SLOW)

async def fields_have_labels(page):
    found = await page.evaluate("""[...document.querySelectorAll("input, textarea")].filter((field) => field.labels.length !== 1).map(({ id }) => id)""")
    same(found, [])
    found = await page.evaluate("""[...document.querySelectorAll("[aria-labelledby], [aria-describedby]")].flatMap((element) =>
        ["aria-labelledby", "aria-describedby"].flatMap((name) => element.getAttribute(name)?.split(" ") ?? []))
        .filter((id) => document.getElementById(id) === null)""")
    same(found, [])

# A narrow window is not scrolled sideways.
async def is_narrow(page):
    await page.set_viewport_size({"width": 320, "height": 640})
    same(await page.evaluate("document.documentElement.scrollWidth"), 320)
    await page.set_viewport_size({"width": 1280, "height": 720})

async def errors_are_explained(page):
    await page.route("**/api/channels", lambda route: route.fulfill(json={"error": {"code": 106, "message": "limit exceeded"}}))
    # The page opens nevertheless, so that its filter can be used.
    await page.reload()
    await state_is(page, "too many channels: narrow the filter")
    await expect(page.get_by_label("Filter")).to_be_focused()
    await page.unroute("**/api/channels")
    await page.get_by_label("Filter").fill("plain:1")
    await names_are(page, "plain:1")
    await state_is(page, "connected")
    await page.route("**/api/info", lambda route: route.fulfill(status=429, headers={"Retry-After": "1"}))
    await state_is(page, "too many wrong keys came from your address; wait")
    await page.unroute("**/api/info")
    await state_is(page, "connected")

async def page_outlives_server(page):
    await page.reload()
    await state_is(page, "connected")
    asked = page.wait_for_event("requestfailed", timeout=SLOW)
    await page.route("**/api/**", lambda route: route.abort())
    await asked
    await state_is(page, "the server can't be reached")
    await page.unroute("**/api/**")
    await ask("kill")
    await state_is(page, "connected")

async def hidden_page_does_not_poll(context):
    page = await context.new_page()
    await page.clock.install()
    await page.goto(URL)
    await log_in(page)
    await state_is(page, "connected")
    await page.evaluate("""Object.defineProperty(document, "hidden", { value: true, configurable: true });
        document.dispatchEvent(new Event("visibilitychange"))""")
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    await page.clock.fast_forward(60000)
    same(asked, [])
    async with page.expect_request("**/api/info"):
        await page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
        await page.clock.fast_forward(1)
    await page.close()

async def key_is_forgotten(page):
    same(await page.evaluate("sessionStorage.length"), 1)
    await page.get_by_role("button", name="Forget the key").click()
    await expect(page.get_by_label("Key")).to_be_focused()
    await expect(page.locator("#main")).to_be_hidden()
    same(await page.evaluate("sessionStorage.length"), 0)

async def main():
    subscriptions = []
    for user in ("ann", BOLD):
        one = client(token=token(sub=user, info=MEAN))
        await one.connect()
        await one.events.next("connected")
        subscriptions.append(await subscribe(one, "news:1"))
        await subscriptions[-1].events.next("subscribed")
        if user == "ann":
            await (await subscribe(one, "plain:1")).events.next("subscribed")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox"])
        context = await browser.new_context(locale="en")
        page, problems = await context.new_page(), []
        page.on("pageerror", lambda error: problems.append(str(error)))
        # Refused requests are errors for the console as well, and here they are meant.
        page.on("console", lambda line: problems.append(line.text) if line.type == "error" and "Failed to load" not in line.text else None)
        page.on("request", lambda request: problems.append(request.url) if KEY in request.url else None)
        await key_is_asked_for(page)
        await channels_are_listed(page)
        await filter_narrows(page)
        await channel_is_shown(page)
        await json_is_published(page, subscriptions[0])
        await fields_have_labels(page)
        await is_narrow(page)
        if shots := os.environ.get("DRUPE_TEST_SHOTS"):
            for scheme in ("light", "dark"):
                await page.emulate_media(color_scheme=scheme)
                await page.screenshot(path=f"{shots}/channels-{scheme}.png", full_page=True)
        await hidden_page_does_not_poll(context)
        await errors_are_explained(page)
        await page_outlives_server(page)
        await key_is_forgotten(page)
        same(problems, [])
        await browser.close()

run(main)
