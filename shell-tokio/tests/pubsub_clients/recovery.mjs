// What a subscriber gets of what it missed: after a cut, while the server stood still, and after its end.

import net from 'node:net';
import { assert, ask, client, good, linePort, network, subscribe, token } from './harness.mjs';

const wire = await network();
const ann = client({ token: token({ sub: 'ann' }) }, wire.port);
const bob = client({ token: token({ sub: 'bob' }) });
let connection;
ann.on('connected', ({ client }) => (connection = client));
ann.connect();
bob.connect();
const hers = subscribe(ann, 'news:1');
const his = subscribe(bob, 'news:1');
const first = await hers.events.next('subscribed');
await his.events.next('subscribed');
await ann.events.next('connected');
await bob.events.next('connected');

let number = 0;
const publish = async count => {
  for (let left = count; left > 0; left--) await his.publish(++number);
};
const expect = async (from, to) => {
  const found = (await hers.events.all('publication', to - from + 1)).map(({ data }) => data);
  assert.deepEqual(found, Array.from(found, (_, index) => from + index));
};

await publish(3);
await expect(1, 3);

// The network is cut, and mended when three messages were published.
wire.cut();
assert.equal((await ann.events.next('connecting')).code, 1);
await publish(3);
wire.mend();
let again = await hers.events.next('subscribed');
const position = ({ streamPosition: { epoch, offset } }) => ({ epoch, offset });
assert.deepEqual([again.wasRecovering, again.recovered, again.hasRecoveredPublications], [true, true, true]);
assert.equal(position(again).epoch, first.streamPosition.epoch);
await expect(4, 6);

// Nothing was missed.
wire.cut();
await ann.events.next('connecting');
wire.mend();
again = await hers.events.next('subscribed');
assert.deepEqual([again.wasRecovering, again.recovered, again.hasRecoveredPublications], [true, true, false]);

// More was missed than is kept: nothing of it comes, and the client is told.
wire.cut();
await ann.events.next('connecting');
await publish(11);
wire.mend();
again = await hers.events.next('subscribed');
assert.deepEqual([again.wasRecovering, again.recovered, again.hasRecoveredPublications], [true, false, false]);
assert.equal(position(again).offset, 17);
await publish(1);
await expect(18, 18);

// All that is kept was missed, and nothing else.
wire.cut();
await ann.events.next('connecting');
await publish(10);
wire.mend();
again = await hers.events.next('subscribed');
assert.deepEqual([again.wasRecovering, again.recovered, again.hasRecoveredPublications], [true, true, true]);
await expect(19, 28);

// Neither side is told that the network is gone. The client misses the pings and returns, while the server has it twice,
// until it misses a pong.
const swallowed = connection;
wire.swallow();
assert.equal((await ann.events.next('connecting')).code, 2);
again = await hers.events.next('subscribed');
assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
await publish(1);
await expect(29, 29);
await his.events.next('leave', ({ info }) => info.client === swallowed);

// The server stands still for longer than the clients wait. What a person says meanwhile is not lost.
const person = net.connect(linePort, '127.0.0.1');
person.write('/sub news:1\n');
let text = '';
const heard = async words => {
  for await (const bytes of person.iterator({ destroyOnReturn: false })) {
    text += bytes;
    if (text.includes(words)) return;
  }
  assert.fail(`expected ${words}, found ${text}`);
};
await heard('* you see news:1\n');
await ask('stop');
const both = [await ann.events.next('connecting'), await bob.events.next('connecting')];
assert.deepEqual(both.map(({ code }) => code), [2, 2]);
person.write('/pub news:1 while it stood still\n');
await ask('continue');
for (const [one, subscription] of [[ann, hers], [bob, his]]) {
  await one.events.next('connected');
  again = await subscription.events.next('subscribed', ({ wasRecovering }) => wasRecovering);
  assert.equal(again.recovered, true);
}
assert.equal((await hers.events.next('publication')).data, 'while it stood still');
await publish(1);
assert.equal((await hers.events.next('publication')).data, number);

// A server that was killed has forgotten all, and says so.
for (const words of ['kill', 'drain']) {
  const before = position(again);
  await ask(words);
  const { code, reason } = await ann.events.next('connecting');
  assert.deepEqual([code, reason], words === 'drain' ? [3001, 'shutdown'] : [1, 'transport closed']);
  again = await hers.events.next('subscribed');
  assert.deepEqual([again.wasRecovering, again.recovered, again.hasRecoveredPublications], [true, false, false]);
  assert.notEqual(position(again).epoch, before.epoch);
  await his.events.next('subscribed', ({ streamPosition }) => streamPosition.epoch === position(again).epoch);
  await publish(2);
  await expect(number - 1, number);
}
for (const events of [ann.events, bob.events, hers.events, his.events]) {
  assert.deepEqual(events.seen.filter(([name]) => name === 'disconnected' || name === 'unsubscribed'), []);
}
good();
