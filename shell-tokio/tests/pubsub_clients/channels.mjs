// Channels between two clients, one of them anonymous: publications, histories, presence, and what is refused.

import { assert, ask, client, fails, good, subscribe, token } from './harness.mjs';

const ann = client({ token: token({ sub: 'ann', info: { color: 'red' } }) });
const guest = client();
ann.connect();
const connected = await ann.events.next('connected');
assert.match(connected.client, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
guest.connect();
const guestConnected = await guest.events.next('connected');
const annInfo = { user: 'ann', client: connected.client, connInfo: { color: 'red' } };
const guestInfo = { user: '', client: guestConnected.client };
const has = (found, expected) => assert.deepEqual(JSON.parse(JSON.stringify(found)), expected);

// The server subscribes each user to a channel of their own.
assert.equal((await ann.events.next('subscribed')).channel, '#ann');

// Joins, in both directions.
const hers = subscribe(ann, 'news:1');
const first = await hers.events.next('subscribed');
assert.deepEqual(
  [first.recoverable, first.positioned, first.wasRecovering, first.recovered, first.streamPosition.offset],
  [true, true, false, false, 0],
);
const theirs = subscribe(guest, 'news:1');
await theirs.events.next('subscribed');
has((await hers.events.next('join', join => join.info.client === guestConnected.client)).info, guestInfo);

// Publications, in both directions, of each kind of data.
const data = [{ a: 1 }, 'gr\u00fc\u00dfe\n\u2028 "\\', [1, [2, null]], 0, false, '', { '': { 'x\ny': 1.5e300 } }, true];
for (const [number, value] of data.entries()) {
  await (number % 2 ? theirs : hers).publish(value);
  for (const one of [hers, theirs]) {
    const { offset, data, info, channel } = await one.events.next('publication');
    has([offset, data, channel], [number + 1, value, 'news:1']);
    has(info, number % 2 ? guestInfo : annInfo);
  }
}

// Histories.
const offsets = ({ publications }) => publications.map(({ offset }) => offset);
const top = await hers.history({ limit: 0 });
has([top.publications, top.offset, top.epoch], [[], 8, first.streamPosition.epoch]);
const all = await theirs.history({ limit: -1 });
has(all.publications.map(({ data }) => data), data);
has(all.publications[0].info, annInfo);
has(offsets(await hers.history({ limit: 3 })), [1, 2, 3]);
has(offsets(await hers.history({ limit: 3, reverse: true })), [8, 7, 6]);
const since = { epoch: top.epoch, offset: 5 };
has(offsets(await hers.history({ limit: 2, since })), [6, 7]);
has(offsets(await hers.history({ limit: 10, since })), [6, 7, 8]);
has(offsets(await hers.history({ limit: 10, since: { ...since, offset: 8 } })), []);
await fails(hers.history({ limit: 2, since: { ...since, epoch: 'other' } }), 112);

// Each of several histories that are asked for at once has a beginning, however long the messages are.
const long = subscribe(ann, 'news:long');
await long.ready(10_000);
for (let number = 0; number < 10; number++) await long.publish('x'.repeat(30_000));
ann.startBatching();
const pages = Promise.all([1, 2, 3, 4, 5, 6].map(() => long.history({ limit: 10 })));
ann.stopBatching();
for (const page of await pages) has(offsets(page)[0], 1);
long.unsubscribe();
await long.events.next('unsubscribed');

// Who is there.
const { clients } = await hers.presence();
// Here the client leaves the protocol's own names in place.
has(clients, {
  [connected.client]: { ...annInfo, conn_info: annInfo.connInfo },
  [guestConnected.client]: guestInfo,
});
has(await hers.presenceStats(), { numClients: 2, numUsers: 2 });
theirs.unsubscribe();
await theirs.events.next('unsubscribed', ({ code }) => code === 0);
has((await hers.events.next('leave')).info, guestInfo);
has(await hers.presenceStats(), { numClients: 1, numUsers: 1 });

// Who unsubscribes and subscribes again at once is subscribed in the end, and is there once.
for (let round = 0; round < 20; round++) {
  theirs.subscribe();
  theirs.unsubscribe();
}
theirs.subscribe();
await theirs.ready(10_000);
await hers.publish('again');
assert.equal((await theirs.events.next('publication')).data, 'again');
has(await hers.presenceStats(), { numClients: 2, numUsers: 2 });
assert.deepEqual(theirs.events.seen.filter(([name]) => name === 'error'), []);

// Without a history.
const plain = subscribe(guest, 'plain:1');
const live = await plain.events.next('subscribed');
has([live.recoverable, live.positioned, live.streamPosition ?? null], [false, false, null]);
await ann.publish('plain:1', { plain: true });
has((await plain.events.next('publication')).data, { plain: true });

// What is refused.
await fails(ann.rpc('anything', {}), 104);
await fails(plain.history({ limit: 1 }), 108);
await fails(plain.presence(), 108);
await fails(plain.presenceStats(), 108);
await fails(plain.publish('not by guests'), 103);
await fails(ann.history('closed:1', { limit: 1 }), 103);
await fails(ann.presence('closed:1'), 103);
await fails(ann.publish('closed:1', 1), 103);
await fails(ann.publish('unknown:1', 1), 102);
await fails(ann.publish('news:\u00e4', 1), 107);
await fails(hers.publish(null), 107);
for (const [channel, code] of [['unknown:1', 102], ['closed:1', 103], ['#ann', 105], [`news:${'x'.repeat(124)}`, 107]]) {
  const refused = subscribe(ann, channel);
  assert.equal((await refused.events.next('unsubscribed')).code, code, channel);
}
// Five channels are allowed, and two she has.
for (const number of [2, 3, 4]) await subscribe(ann, `news:${number}`).events.next('subscribed');
assert.equal((await subscribe(ann, 'news:5').events.next('unsubscribed')).code, 106);
// The server is still there for both.
assert.deepEqual([ann.state, guest.state], ['connected', 'connected']);

// A message that nobody handles ends the connection for good.
guest.send({ anything: 1 });
assert.equal((await guest.events.next('disconnected')).code, 3508);
has((await hers.events.next('leave')).info, guestInfo);
good();
