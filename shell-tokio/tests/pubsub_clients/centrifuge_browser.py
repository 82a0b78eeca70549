# The Centrifuge client for JavaScript in Chromium: it subscribes, publishes, and recovers after a cut.
#
# The arguments are the ports of the harness, the browser, and the client as one file for pages.

import asyncio, sys
from harness import Network, client, run, same, subscribe, token
from playwright.async_api import async_playwright

browser, library = sys.argv[3:5]

START = """port => {
    window.seen = [];
    const client = window.client = new Centrifuge(`ws://127.0.0.1:${port}/connection/websocket`,
        { minReconnectDelay: 20, maxReconnectDelay: 200 });
    const news = window.news = client.newSubscription("news:1");
    news.on("subscribed", event => seen.push(["subscribed", event.wasRecovering, event.recovered]));
    news.on("publication", event => seen.push(["publication", event.data]));
    client.on("disconnected", event => seen.push(["disconnected", event.code]));
    news.subscribe();
    client.connect();
}"""

async def main():
    wire = Network()
    await wire.open()
    bob = client(token=token(sub="bob"))
    await bob.connect()
    his = await subscribe(bob, "news:1")
    await his.events.next("subscribed")
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = await (await chromium.new_context(bypass_csp=True)).new_page()
        await page.goto(f"http://127.0.0.1:{wire.port}/healthz")
        await page.add_script_tag(path=library)
        await page.evaluate(START, wire.port)

        async def until(count):
            try:
                await page.wait_for_function("count => seen.length >= count", arg=count, timeout=20000)
            except Exception:
                raise AssertionError(f"expected {count} events, found {await page.evaluate('seen')}")
            return await page.evaluate("seen.splice(0)")

        same(await until(1), [["subscribed", False, False]])
        await page.evaluate("news.publish({ from: 'the page' })")
        same((await his.events.next("publication")).pub.data, {"from": "the page"})
        await his.publish("to the page")
        same(await until(2), [["publication", {"from": "the page"}], ["publication", "to the page"]])
        wire.cut()
        for number in range(3):
            await his.publish(number)
        wire.mend()
        same(await until(4), [["subscribed", True, True]] + [["publication", number] for number in range(3)])
        await page.evaluate("client.disconnect()")
        await chromium.close()
    await bob.disconnect()
    wire.close()

run(main)
