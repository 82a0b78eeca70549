# What a subscriber gets of what it missed: after a cut, while the server stood still, and after its end.

import asyncio
from harness import Network, ask, client, line_port, run, same, subscribe, token

async def main():
    wire = Network()
    await wire.open()
    ann, bob = client(wire.port, token=token(sub="ann")), client(token=token(sub="bob"))
    await ann.connect()
    await bob.connect()
    hers, his = await subscribe(ann, "news:1"), await subscribe(bob, "news:1")
    first = await hers.events.next("subscribed")
    await his.events.next("subscribed")
    number = 0

    async def publish(count):
        nonlocal number
        for _ in range(count):
            number += 1
            await his.publish(number)

    async def expect(start, end):
        same([(await hers.events.next("publication")).pub.data for _ in range(start, end + 1)],
             list(range(start, end + 1)))

    # Cuts the network, publishes so often meanwhile, and returns how the client comes back.
    async def cut(count):
        wire.cut()
        same((await ann.events.next("connecting", lambda event: event.code != 0)).code, 1)
        await publish(count)
        wire.mend()
        return await hers.events.next("subscribed")

    await publish(3)
    await expect(1, 3)
    again = await cut(3)
    same((again.was_recovering, again.recovered), (True, True))
    same(again.stream_position.epoch, first.stream_position.epoch)
    await expect(4, 6)
    again = await cut(0)
    same((again.was_recovering, again.recovered), (True, True))
    # More was missed than is kept: nothing of it comes, and the client is told.
    again = await cut(11)
    same((again.was_recovering, again.recovered, again.stream_position.offset), (True, False, 17))
    await publish(1)
    await expect(18, 18)
    again = await cut(10)
    same((again.was_recovering, again.recovered), (True, True))
    await expect(19, 28)

    # The server stands still for longer than the clients wait. What a person says meanwhile is not lost.
    reader, writer = await asyncio.open_connection("127.0.0.1", line_port)
    writer.write(b"/sub news:1\n")
    await asyncio.wait_for(reader.readuntil(b"* you see news:1\n"), 10)
    await bob.events.next("connecting")
    await ask("stop")
    for one in (ann, bob):
        same((await one.events.next("connecting")).code, 2)
    writer.write(b"/pub news:1 while it stood still\n")
    await ask("continue")
    for one in (hers, his):
        again = await one.events.next("subscribed", lambda event: event.was_recovering)
        same(again.recovered, True)
    same((await hers.events.next("publication")).pub.data, "while it stood still")
    await publish(1)
    await expect(number, number)

    # A server that was killed has forgotten all, and says so.
    for words in ("kill", "drain"):
        epoch = again.stream_position.epoch
        await ask(words)
        connecting = await ann.events.next("connecting")
        same((connecting.code, connecting.reason), (3001, "shutdown") if words == "drain" else (1, "transport closed"))
        again = await hers.events.next("subscribed")
        same((again.was_recovering, again.recovered), (True, False))
        assert again.stream_position.epoch != epoch, epoch
        epoch = again.stream_position.epoch
        await his.events.next("subscribed", lambda event: event.stream_position.epoch == epoch)
        await publish(2)
        await expect(number - 1, number)
    for one in (ann, bob, hers, his):
        same([seen for seen in one.events.seen if seen[0] in ("disconnected", "unsubscribed")], [])
    writer.close()
    await ann.disconnect()
    await bob.disconnect()
    wire.close()

run(main)
