# Channels between two clients, one of them anonymous: publications, histories, presence, and what is refused.

from centrifuge import ClientInfo, StreamPosition
from harness import client, fails, run, same, subscribe, token

async def main():
    ann, guest = client(token=token(sub="ann", info={"color": "red"})), client()
    await ann.connect()
    connected = await ann.events.next("connected")
    await guest.connect()
    guest_id = (await guest.events.next("connected")).client
    ann_info = ClientInfo(client=connected.client, user="ann", conn_info={"color": "red"}, chan_info=None)
    guest_info = ClientInfo(client=guest_id, user="", conn_info=None, chan_info=None)
    # The server subscribes each user to a channel of their own.
    same((await ann.events.next("subscribed")).channel, "#ann")

    # Joins, in both directions.
    hers = await subscribe(ann, "news:1")
    first = await hers.events.next("subscribed")
    same((first.recoverable, first.positioned, first.was_recovering, first.recovered), (True, True, False, False))
    same(first.stream_position.offset, 0)
    theirs = await subscribe(guest, "news:1")
    await theirs.events.next("subscribed")
    same((await hers.events.next("join", lambda join: join.info.client == guest_id)).info, guest_info)

    # Publications, in both directions, of each kind of data.
    data = [{"a": 1}, "grüße\n\u2028 \"\\", [1, [2, None]], 0, False, "", {"": {"x\ny": 1.5e300}}, True]
    for number, value in enumerate(data):
        await (theirs if number % 2 else hers).publish(value)
        for one in (hers, theirs):
            pub = (await one.events.next("publication")).pub
            same((pub.offset, pub.data), (number + 1, value))
            same(pub.info, guest_info if number % 2 else ann_info)

    # Histories.
    async def offsets(**options):
        return [pub.offset for pub in (await hers.history(**options)).publications]
    top = await hers.history(limit=0)
    same((top.publications, top.offset, top.epoch), ([], 8, first.stream_position.epoch))
    everything = (await theirs.history(limit=-1)).publications
    same([pub.data for pub in everything], data)
    same(everything[0].info, ann_info)
    same(await offsets(limit=3), [1, 2, 3])
    same(await offsets(limit=3, reverse=True), [8, 7, 6])
    same(await offsets(limit=2, since=StreamPosition(5, top.epoch)), [6, 7])
    same(await offsets(limit=10, since=StreamPosition(8, top.epoch)), [])
    await fails(hers.history(limit=2, since=StreamPosition(5, "other")), 112)

    # Who is there.
    same((await hers.presence()).clients, {connected.client: ann_info, guest_id: guest_info})
    stats = await hers.presence_stats()
    same((stats.num_clients, stats.num_users), (2, 2))
    await theirs.unsubscribe()
    same((await hers.events.next("leave")).info, guest_info)
    same((await hers.presence_stats()).num_clients, 1)

    # Who unsubscribes and subscribes again at once is subscribed in the end, and is there once.
    for _ in range(20):
        await theirs.subscribe()
        await theirs.unsubscribe()
    await theirs.subscribe()
    await theirs.ready(10)
    await hers.publish("again")
    same((await theirs.events.next("publication")).pub.data, "again")
    same((await hers.presence_stats()).num_clients, 2)
    same([seen for seen in theirs.events.seen if seen[0] == "error"], [])

    # Without a history.
    plain = await subscribe(guest, "plain:1")
    live = await plain.events.next("subscribed")
    same((live.recoverable, live.positioned, live.stream_position), (False, False, None))
    await ann.publish("plain:1", {"plain": True})
    same((await plain.events.next("publication")).pub.data, {"plain": True})

    # What is refused.
    await fails(ann.rpc("anything", {}), 104)
    await fails(plain.history(limit=1), 108)
    await fails(plain.presence(), 108)
    await fails(plain.presence_stats(), 108)
    await fails(plain.publish("not by guests"), 103)
    await fails(ann.history("closed:1", limit=1), 103)
    await fails(ann.presence("closed:1"), 103)
    await fails(ann.publish("closed:1", 1), 103)
    await fails(ann.publish("unknown:1", 1), 102)
    await fails(ann.publish("news:ä", 1), 107)
    long = "news:" + "x" * 124
    for channel, code in (("unknown:1", 102), ("closed:1", 103), ("#ann", 105), (long, 107)):
        refused = await subscribe(ann, channel)
        same((await refused.events.next("unsubscribed")).code, code)
    # Five channels are allowed, and two she has.
    for number in (2, 3, 4):
        await (await subscribe(ann, f"news:{number}")).events.next("subscribed")
    same((await (await subscribe(ann, "news:5")).events.next("unsubscribed")).code, 106)
    same([one.state.value for one in (ann, guest)], ["connected", "connected"])
    await ann.disconnect()
    await guest.disconnect()

run(main)
