# curl as a client of streams of events.

import asyncio, json
from harness import line_port, run, same, web_port

URL = f"http://127.0.0.1:{web_port}/events?channel="

class Curl:
    async def start(self, *arguments):
        self.process = await asyncio.create_subprocess_exec(
            "curl", "-sN", *arguments, stdout=asyncio.subprocess.PIPE)
        return self

    async def line(self):
        return (await asyncio.wait_for(self.process.stdout.readline(), 20)).decode()

    # Returns the fields of the next event.
    async def event(self):
        fields = {}
        while (line := await self.line()) != "\n":
            assert line, "the stream has ended"
            name, value = line.rstrip("\n").split(":", 1)
            if name:
                fields[name] = value.removeprefix(" ")
        return fields if "data" in fields else await self.event()

    async def message(self):
        while True:
            event = await self.event()
            if "event" not in event:
                return event["id"], json.loads(event["data"])["data"]

    async def rest(self):
        return (await asyncio.wait_for(self.process.communicate(), 20))[0].decode()

    def end(self):
        self.process.kill()

async def main():
    reader, writer = await asyncio.open_connection("127.0.0.1", line_port)
    writer.write(b"/sub news:1\n")
    await asyncio.wait_for(reader.readuntil(b"* you see news:1\n"), 10)
    first = await Curl().start(URL + "news:1")
    begun = await first.event()
    same(begun["event"], "subscribed")
    old = await Curl().start("--http1.0", URL + "news%3A1")
    same((await old.event())["event"], "subscribed")
    lines = await Curl().start("-H", "Accept: application/x-ndjson", URL + "news:1")
    same(json.loads(await lines.line())["event"], "subscribed")
    for text in (b"1", b"two words", "\u00e4\u4f60".encode()):
        writer.write(b"/pub news:1 " + text + b"\n")
        position, data = await first.message()
        same((position, data), await old.message())
        while "data" not in (line := json.loads(await lines.line())) or "event" in line:
            pass
        same((line["position"], line["data"], data), (position, text.decode(), text.decode()))
        last = position
    # It comes back: from the beginning, and from the end.
    for since, missed in ((begun["id"], 3), (last, 0), ("nonsense", 0)):
        back = await Curl().start("-H", f"Last-Event-ID: {since}", URL + "news:1")
        event = await back.event()
        same(json.loads(event["data"])["recovered"], since != "nonsense")
        for _ in range(missed):
            position, _ = await back.message()
        same(position, last)
        back.end()
    # Only the head, and refusals with their statuses.
    head = await (await Curl().start("-I", URL + "news:1")).rest()
    assert head.startswith("HTTP/1.1 200 OK\r\n") and "text/event-stream" in head, head
    for channel, status in (("closed:1", "403"), ("sport:1", "404"), ("", "400"), ("news:1&token=x", "401")):
        curl = await Curl().start("-o", "/dev/null", "-w", "%{http_code}", URL + channel)
        same(await curl.rest(), status)
    # A client that has gone leaves the channel without a message to it.
    for curl in (first, old, lines):
        curl.end()
    writer.write(b"/who news:1\n")
    while True:
        line = await asyncio.wait_for(reader.readline(), 10)
        if line.startswith(b"* 1 there"):
            break
        if b" there: " in line:
            writer.write(b"/who news:1\n")
    writer.close()

run(main)
