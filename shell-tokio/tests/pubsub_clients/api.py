# The HTTP API with the library `cent`, while clients are connected on all workers.

import asyncio
import cent
from harness import client, run, same, subscribe, token, web_port

URL, KEY = f"http://127.0.0.1:{web_port}/api", "0123456789abcdef"

# Asserts that something fails with an error of this code.
async def fails(awaitable, code):
    try:
        result = await awaitable
    except cent.CentApiResponseError as error:
        assert error.code == code, f"expected {code}, found {error}"
    else:
        raise AssertionError(f"expected error {code}, found {result}")

async def main():
    api = cent.AsyncClient(URL, KEY)
    # On two workers, these connections are spread over both.
    anns = [client(token=token(sub="ann")) for _ in range(4)]
    for one in anns:
        await one.connect()
    ids = [(await one.events.next("connected")).client for one in anns]
    subscriptions = [await subscribe(one, "news:1") for one in anns]
    for one in subscriptions:
        await one.events.next("subscribed")

    # Publications reach everybody, in order, and have a place in the history.
    first = await api.publish(cent.PublishRequest(channel="news:1", data={"n": 1}, tags={"kind": "test"}))
    same(first.offset, 1)
    for n in range(2, 12):
        same((await api.publish(cent.PublishRequest(channel="news:1", data={"n": n}))).offset, n)
    for one in subscriptions:
        for n in range(1, 12):
            pub = (await one.events.next("publication")).pub
            same((pub.offset, pub.data, pub.info), (n, {"n": n}, None))
    again = cent.PublishRequest(channel="news:1", data="once", idempotency_key="k")
    same([(await api.publish(again)).offset for _ in range(3)], [12, 12, 12])
    both = await api.broadcast(cent.BroadcastRequest(channels=["news:1", "unknown:1", "plain:1"], data="all"))
    same([one.error and one.error.code for one in both.responses], [None, 102, None])
    same([one.result and one.result.offset for one in both.responses], [13, None, 0])
    for one in subscriptions:
        same([(await one.events.next("publication")).pub.data for _ in range(2)], ["once", "all"])

    # What is there.
    history = await api.history(cent.HistoryRequest(channel="news:1", limit=2, reverse=True))
    same([pub.data for pub in history.publications], ["all", "once"])
    same((history.offset, history.epoch), (13, first.epoch))
    since = cent.StreamPosition(offset=11, epoch=first.epoch)
    later = await api.history(cent.HistoryRequest(channel="news:1", limit=10, since=since))
    same([pub.offset for pub in later.publications], [12, 13])
    presence = await api.presence(cent.PresenceRequest(channel="news:1"))
    same(sorted(presence.presence), sorted(ids))
    same({info.user for info in presence.presence.values()}, {"ann"})
    stats = await api.presence_stats(cent.PresenceStatsRequest(channel="news:1"))
    same((stats.num_clients, stats.num_users), (4, 1))
    # Of all workers together.
    found = (await api.channels(cent.ChannelsRequest())).channels
    same({name: of.num_clients for name, of in found.items()}, {"#ann": 4, "news:1": 4})
    found = (await api.channels(cent.ChannelsRequest(pattern="news:*"))).channels
    same(list(found), ["news:1"])
    nodes = (await api.info(cent.InfoRequest())).nodes
    same((sum(node.num_clients for node in nodes), len({node.uid for node in nodes})), (4, len(nodes)))

    # A batch.
    batch = await api.batch(cent.BatchRequest(requests=[
        cent.PublishRequest(channel="news:2", data=1),
        cent.HistoryRequest(channel="news:2", limit=1),
        cent.PresenceStatsRequest(channel="news:1"),
    ]))
    same((batch.replies[0].offset, batch.replies[1].publications[0].data, batch.replies[2].num_clients), (1, 1, 4))

    # The server subscribes and unsubscribes all connections of a user. This client learns only of the second.
    await api.subscribe(cent.SubscribeRequest(user="ann", channel="news:3"))
    same((await api.presence_stats(cent.PresenceStatsRequest(channel="news:3"))).num_clients, 4)
    await api.unsubscribe(cent.UnsubscribeRequest(user="ann", channel="news:3"))
    same((await api.presence_stats(cent.PresenceStatsRequest(channel="news:3"))).num_clients, 0)
    await api.unsubscribe(cent.UnsubscribeRequest(user="ann", channel="news:1", client=ids[0]))
    same((await subscriptions[0].events.next("unsubscribed")).code, 2000)
    same((await api.presence_stats(cent.PresenceStatsRequest(channel="news:1"))).num_clients, 3)

    # One that is sent away for good, one that may come back, and those that stay.
    for target, code in ((0, 3503), (1, 3000)):
        why = None if code == 3503 else cent.Disconnect(code=code, reason="come back")
        await api.disconnect(cent.DisconnectRequest(user="ann", client=ids[target], disconnect=why))
    same((await anns[0].events.next("disconnected")).code, 3503)
    ids[1] = (await anns[1].events.next("connected")).client
    await api.refresh(cent.RefreshRequest(user="ann", client=ids[2], expired=True))
    same((await anns[2].events.next("connecting")).code, 3005)
    ids[2] = (await anns[2].events.next("connected")).client
    await api.refresh(cent.RefreshRequest(user="ann", client=ids[3], expire_at=2_000_000_000))
    await api.disconnect(cent.DisconnectRequest(user="ann", whitelist=[ids[3]]))
    for one in anns[1:3]:
        same((await one.events.next("disconnected")).code, 3503)
    same((await api.publish(cent.PublishRequest(channel="news:1", data="last"))).offset, 14)
    same((await subscriptions[3].events.next("publication")).pub.data, "last")

    await api.history_remove(cent.HistoryRemoveRequest(channel="news:1"))
    same((await api.history(cent.HistoryRequest(channel="news:1", limit=10))).publications, [])

    # What is refused.
    await fails(api.publish(cent.PublishRequest(channel="unknown:1", data=1)), 102)
    await fails(api.publish(cent.PublishRequest(channel="news:1", data=1, skip_history=True)), 108)
    await fails(api.presence(cent.PresenceRequest(channel="plain:1")), 108)
    await fails(api.history(cent.HistoryRequest(channel="news:1", limit=1, since=cent.StreamPosition(offset=1, epoch="x"))), 112)
    await fails(api.disconnect(cent.DisconnectRequest(user="")), 107)
    stranger = cent.AsyncClient(URL, "wrong")
    for call, refused in (
        (stranger.info(cent.InfoRequest()), cent.CentUnauthorizedError),
        (api.block_user(cent.BlockUserRequest(user="ann")), cent.CentTransportError),
    ):
        try:
            await call
        except refused:
            continue
        raise AssertionError(f"{refused} was expected")
    await stranger.close()
    await anns[3].disconnect()
    await api.close()

run(main)
