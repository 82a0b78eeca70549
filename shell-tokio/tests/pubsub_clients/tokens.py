# Tokens of connections and of channels: who is let in, who must come again with another one, and who stays away.
#
# The server lets nobody in without a token.

import asyncio
from harness import client, now, run, same, subscribe, token

OTHER = "another secret of 32 characters!"

async def main():
    # Without a token, with one of somebody else's, and with one that is not valid yet, clients stay away for good.
    for given, code, reason in (
        ("", 3501, "bad request"),
        (token(OTHER, sub="ann"), 3500, "invalid token"),
        (token(sub="ann", nbf=now() + 60), 3500, "invalid token"),
        (token(sub="ann", channel="news:1"), 3500, "invalid token"),
    ):
        refused = client(token=given)
        await refused.connect()
        disconnected = await refused.events.next("disconnected")
        same((disconnected.code, disconnected.reason), (code, reason))
        same((refused.state.value, refused.events.seen), ("disconnected", []))

    # An expired one is replaced, and what replaces it is renewed before the server ends the connection.
    given, renewals, all_given, all_renewed = 0, 0, asyncio.Event(), asyncio.Event()

    async def get_token():
        nonlocal given
        given += 1
        if given == 3:
            all_given.set()
        return token(sub="ann", exp=now() + (2 if given < 3 else 600))

    async def get_channel_token(channel):
        nonlocal renewals
        same(channel, "$news:1")
        renewals += 1
        if renewals == 3:
            all_renewed.set()
        return token(sub="ann", channel=channel, info={"given": renewals}, exp=now() + (2 if renewals < 3 else 600))

    ann = client(token=token(sub="ann", exp=now() - 1), get_token=get_token)
    await ann.connect()
    await ann.events.next("connected")
    expired = token(sub="ann", channel="$news:1", exp=now() - 1)
    renewed = await subscribe(ann, "$news:1", token=expired, get_token=get_channel_token)
    await renewed.events.next("subscribed")
    await asyncio.wait_for(asyncio.gather(all_given.wait(), all_renewed.wait()), 20)
    await ann.publish("$news:1", 1)
    same((await renewed.events.next("publication")).pub.data, 1)
    same([seen for seen in ann.events.seen if seen[0] != "subscribed"], [])
    same([seen for seen in renewed.events.seen if seen[0] != "join"], [])

    # A channel that needs a token refuses others.
    for channel, options in (("$news:2", {}), ("$news:3", {"token": token(OTHER, sub="ann", channel="$news:3")})):
        refused = await subscribe(ann, channel, **options)
        unsubscribed = await refused.events.next("unsubscribed")
        same((unsubscribed.code, unsubscribed.reason), (103, "permission denied"))
    same(ann.state.value, "connected")

    # The token of another user, or of another channel, ends the connection for good.
    for user, channel in (("bob", "$news:4"), ("ann", "$news:5")):
        cheat = client(token=token(sub="ann"))
        await cheat.connect()
        await cheat.events.next("connected")
        await subscribe(cheat, "$news:4", token=token(sub=user, channel=channel))
        same((await cheat.events.next("disconnected")).code, 3500)

    # So does a token of another user when it is renewed.
    async def token_of_bob():
        return token(sub="bob")

    turned = client(token=token(sub="ann", exp=now() + 2), get_token=token_of_bob)
    await turned.connect()
    await turned.events.next("connected")
    same((await turned.events.next("disconnected")).code, 3500)

    # Channels in the token, and the user's own.
    eve = client(token=token(sub="eve", channels=["news:1", "plain:1"]))
    await eve.connect()
    subscribed = sorted([await eve.events.next("subscribed") for _ in range(3)], key=lambda event: event.channel)
    expected = [("#eve", False), ("news:1", True), ("plain:1", False)]
    same([(event.channel, event.recoverable) for event in subscribed], expected)
    await eve.publish("news:1", "hello")
    publication = await eve.events.next("publication")
    same((publication.channel, publication.pub.data, publication.pub.info.user), ("news:1", "hello", "eve"))
    await ann.disconnect()
    await eve.disconnect()

run(main)
