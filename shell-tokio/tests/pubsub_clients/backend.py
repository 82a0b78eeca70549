# A backend that decides instead of tokens and rules: who a client is, where it may be, and what it may say.

import asyncio, sys
import aiohttp
from aiohttp import web
from harness import client, fails, line_port, run, same, subscribe, web_port

asked, ended = asyncio.Queue(), asyncio.Event()
# What the backend does with a question, by its hook.
answers = {"disconnect": lambda question: {}}

async def handle(request):
    hook, question = request.path.removeprefix("/hooks/"), await request.json()
    same(request.headers["Authorization"], "Bearer of-drupe")
    await asked.put((hook, question | {"cookie": request.headers.get("Cookie"), "other": request.headers.get("X-Other")}))
    answer = answers[hook](question)
    if answer is None:
        # Longer than the server waits.
        await ended.wait()
        answer = {}
    return answer if isinstance(answer, web.Response) else web.json_response(answer)

async def next_question(hook, matches=lambda question: True):
    while True:
        found, question = await asyncio.wait_for(asked.get(), 20)
        if found == hook and matches(question):
            return question

async def main():
    app = web.Application()
    app.router.add_post("/hooks/{hook}", handle)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.UnixSite(runner, sys.argv[3])

    # The backend is not there yet. Clients try again, until it is.
    answers["connect"] = lambda question: {"result": {"user": question["data"]["name"], "info": {"by": "backend"}}}
    ann = client(data={"name": "ann"})
    await ann.connect()
    await ann.events.next("error")
    await site.start()
    connected = await ann.events.next("connected")
    question = await next_question("connect")
    same((question["data"], question["protocol"]), ({"name": "ann"}, "json"))
    answers["connect"] = lambda question: {"result": {"user": "bob", "channels": ["news:1"]}}
    bob = client()
    await bob.connect()
    same((await bob.events.next("subscribed")).channel, "#bob")
    same((await bob.events.next("subscribed")).channel, "news:1")

    # Subscriptions.
    def may_subscribe(question):
        if question["channel"] == "asked:no":
            return {"error": {"code": 1000, "message": "not you"}}
        return {"result": {"info": {"seat": 7}}} if question["user"] == "ann" else {}
    answers["subscribe"] = may_subscribe
    hers = await subscribe(ann, "asked:1")
    await hers.events.next("subscribed")
    question = await next_question("subscribe")
    same((question["client"], question["user"], question["channel"]), (connected.client, "ann", "asked:1"))
    info = (await hers.presence()).clients[connected.client]
    same((info.user, info.conn_info, info.chan_info), ("ann", {"by": "backend"}, {"seat": 7}))
    same((await (await subscribe(ann, "asked:no")).events.next("unsubscribed")).code, 1000)
    same((await (await subscribe(bob, "asked:1")).events.next("unsubscribed")).code, 103)

    # Publications, which it may change.
    answers["publish"] = lambda question: {"result": {"data": {"said": question["data"]}}}
    await hers.publish("hello")
    same((await hers.events.next("publication")).pub.data, {"said": "hello"})
    same((await next_question("publish"))["data"], "hello")
    answers["publish"] = lambda question: {"error": {"code": 1001, "message": "rude"}}
    await fails(hers.publish("damn"), 1001)
    same([pub.data for pub in (await hers.history(limit=10)).publications], [{"said": "hello"}])

    # Calls.
    answers["rpc"] = lambda question: {"result": {"data": [question["method"], question["data"]]}}
    same((await ann.rpc("add", [1, 2])).data, ["add", [1, 2]])
    # What goes wrong in the backend is a temporary error, and only for what is asked.
    for broken in (web.Response(status=500), web.Response(status=404), web.Response(text="no JSON"), None):
        answers["rpc"] = lambda question: broken
        await fails(ann.rpc("add", {}), 100)
    same((await hers.history(limit=0)).offset, 1)
    answers["rpc"] = lambda question: {"result": {}}
    same((await ann.rpc("nothing", {})).data, None)

    # A person on lines.
    answers["connect"] = lambda question: {"result": {"user": "cat"}}
    answers["subscribe"] = lambda question: {"result": {}}
    answers["publish"] = lambda question: {"result": {}}
    reader, writer = await asyncio.open_connection("127.0.0.1", line_port)
    writer.write(b"hi\n/sub asked:1\n/pub asked:1 good evening\n")
    pub = (await hers.events.next("publication")).pub
    same((pub.data, pub.info.user), ("good evening", "cat"))
    writer.close()

    # Header fields that the operator lists come along, and no others.
    answers["connect"] = lambda question: {"result": {"user": "dan"}}
    async with aiohttp.ClientSession() as session:
        url = f"ws://127.0.0.1:{web_port}/connection/websocket"
        async with session.ws_connect(url, headers={"Cookie": "session=7", "X-Other": "no"}) as socket:
            await socket.send_str('{"id":1,"connect":{}}')
            reply = (await socket.receive_json())["connect"]
            question = await next_question("connect", lambda question: question["client"] == reply["client"])
            same((question["cookie"], question["other"]), ("session=7", None))

    # It is told who has gone, also after it was away for a while.
    await ann.disconnect()
    gone = await next_question("disconnect", lambda question: question["user"] == "ann")
    same(gone["client"], connected.client)
    answers["disconnect"] = lambda question: web.Response(status=503)
    await bob.disconnect()
    is_bob = lambda question: question["user"] == "bob"
    await next_question("disconnect", is_bob)
    answers["disconnect"] = lambda question: {}
    await next_question("disconnect", is_bob)
    ended.set()
    await runner.cleanup()

run(main)
