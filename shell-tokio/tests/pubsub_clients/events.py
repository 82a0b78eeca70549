# Chromium's EventSource: it comes back by itself after a cut, while the server stood still, and after its end.
#
# The arguments are the ports of the harness and the browser.

import asyncio, sys
from harness import Network, ask, line_port, run, same
from playwright.async_api import async_playwright

browser = sys.argv[3]

# Opens an EventSource as `name`, and keeps what it emits.
OPEN = """([name, url]) => {
    const seen = window[name + "Seen"] = [];
    const source = window[name] = new EventSource(url);
    for (const kind of ["subscribed", "message", "join", "disconnect"])
        source.addEventListener(kind, event => seen.push([kind, JSON.parse(event.data), event.lastEventId]));
    source.onerror = () => seen.push(["error", source.readyState, ""]);
}"""

async def main():
    wire = Network()
    await wire.open()
    reader, writer = await asyncio.open_connection("127.0.0.1", line_port)
    writer.write(b"/sub news:1\n")
    await asyncio.wait_for(reader.readuntil(b"* you see news:1\n"), 10)
    number = 0

    # A person in the channel publishes so often.
    async def publish(count):
        nonlocal number
        for _ in range(count):
            number += 1
            writer.write(b"/pub news:1 %d\n" % number)
            await asyncio.wait_for(reader.readuntil(b" %d\n" % number), 10)

    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = await chromium.new_page()
        await page.goto(f"http://127.0.0.1:{wire.port}/healthz")

        async def open_source(name, url):
            await page.evaluate(OPEN, [name, url])

        # Returns what a source emitted since the last look, once this is true of it.
        async def until(name, condition):
            found = f"name => (seen => {condition})(window[name + 'Seen'])"
            try:
                await page.wait_for_function(found, arg=name, timeout=20000)
            except Exception:
                raise AssertionError(f"{condition}: {await page.evaluate('name => window[name + `Seen`]', name)}")
            return await page.evaluate("name => window[name + 'Seen'].splice(0)", name)

        # Returns the events of a source that has come back and got this last message.
        async def back(last):
            seen = await until("news", f"seen.some(([kind]) => kind == 'subscribed') && "
                                       f"seen.some(([kind, data]) => kind == 'message' && data.data == '{last}')")
            return [event for event in seen if event[0] in ("subscribed", "message")]

        def numbers(seen):
            return [int(data["data"]) for kind, data, _ in seen if kind == "message"]

        await open_source("news", "/events?channel=news:1")
        seen = await until("news", "seen.length > 0")
        same((seen[0][0], seen[0][1]["recovered"], seen[0][1]["was_recovering"]), ("subscribed", False, False))
        await publish(3)
        seen = await until("news", "seen.filter(([kind]) => kind == 'message').length == 3")
        same(numbers(seen), [1, 2, 3])
        same(len({position for _, _, position in seen}), 3 + any(kind == "join" for kind, _, _ in seen))
        # The connection is cut: nothing is missed, and nothing comes twice.
        wire.cut()
        await publish(4)
        wire.mend()
        seen = await back(7)
        same((seen[0][0], seen[0][1]["recovered"], numbers(seen)), ("subscribed", True, [4, 5, 6, 7]))
        # Cut twice, with nothing missed between.
        wire.cut()
        wire.mend()
        await until("news", "seen.some(([kind, data]) => kind == 'subscribed' && data.recovered)")
        # More was missed than is kept: nothing of it comes, and the page is told.
        wire.cut()
        await publish(11)
        wire.mend()
        await until("news", "seen.some(([kind, data]) => kind == 'subscribed' && !data.recovered && data.was_recovering)")
        await publish(1)
        seen = await until("news", "seen.some(([kind]) => kind == 'message')")
        same(numbers(seen), [number])
        # The server stands still, and the connection is cut meanwhile.
        await ask("stop")
        wire.cut()
        wire.mend()
        number += 1
        writer.write(b"/pub news:1 %d\n" % number)
        await until("news", "seen.some(([kind]) => kind == 'error')")
        await ask("continue")
        seen = await back(number)
        same((seen[0][0], seen[0][1]["recovered"], numbers(seen)), ("subscribed", True, [number]))
        # What is refused does not come back, nor does a page of another origin.
        await open_source("closed", "/events?channel=closed:1")
        same(await until("closed", "seen.length > 0"), [["error", 2, ""]])
        await open_source("other", f"http://localhost:{wire.port}/events?channel=news:1")
        same(await until("other", "seen.length > 0"), [["error", 2, ""]])
        # A server that was killed has forgotten all, and says so. One that shuts down says that as well.
        for words in ("kill", "drain"):
            await ask(words)
            seen = await until("news", "seen.some(([kind, data]) => kind == 'subscribed' && !data.recovered && data.was_recovering)")
            ends = [data["code"] for kind, data, _ in seen if kind == "disconnect"]
            same(ends, [3001] if words == "drain" else [])
        await page.evaluate("news.close()")
        await chromium.close()
    writer.close()
    wire.close()

run(main)
