// Tokens of connections and of channels: who is let in, who must come again with another one, and who stays away.
//
// The server lets nobody in without a token.

import { assert, client, good, now, subscribe, token } from './harness.mjs';

const states = events => events.seen.map(([name, { code }]) => [name, code]);

// Without a token, with one of somebody else's, and with one that is not valid yet, clients stay away for good.
for (const [given, code, reason] of [
  ['', 3501, 'bad request'],
  [token({ sub: 'ann' }, 'another secret of 32 characters!'), 3500, 'invalid token'],
  [token({ sub: 'ann', nbf: now() + 60 }), 3500, 'invalid token'],
  [token({ sub: 'ann', channel: 'news:1' }), 3500, 'invalid token'],
  ['no token', 3500, 'invalid token'],
]) {
  const refused = client({ token: given });
  refused.connect();
  const disconnected = await refused.events.next('disconnected');
  assert.deepEqual([disconnected.code, disconnected.reason], [code, reason]);
  assert.equal(refused.state, 'disconnected');
  assert.deepEqual(refused.events.seen, []);
}

// An expired one is replaced, and what replaces it is renewed before the server ends the connection.
let given = 0;
let renewals = 0;
let allGiven;
let allRenewed;
const both = Promise.all([new Promise(resolve => (allGiven = resolve)), new Promise(resolve => (allRenewed = resolve))]);
// The third token is sent before anything else happens.
const third = (count, resolve) => (count < 3 ? now() + 2 : (setImmediate(resolve), now() + 600));
const getToken = async () => token({ sub: 'ann', exp: third(++given, allGiven) });
const ann = client({ token: token({ sub: 'ann', exp: now() - 1 }), getToken });
ann.connect();
const error = await ann.events.next('error');
assert.deepEqual([error.type, error.error.code], ['connect', 109]);
const { client: id } = await ann.events.next('connected');
const renewed = subscribe(ann, '$news:1', {
  token: token({ sub: 'ann', channel: '$news:1', exp: now() - 1 }),
  getToken: async ({ channel }) => {
    assert.equal(channel, '$news:1');
    return token({ sub: 'ann', channel, info: { given: ++renewals }, exp: third(renewals, allRenewed) });
  },
});
assert.equal((await renewed.events.next('error')).error.code, 109);
await renewed.events.next('subscribed');
await both;
// The last token of the channel is the one whose information others see.
await ann.publish('$news:1', 1);
assert.deepEqual((await renewed.events.next('publication')).info, { user: 'ann', client: id, chanInfo: { given: 3 } });
assert.deepEqual(ann.events.seen.filter(([name]) => name !== 'subscribed'), []);
assert.deepEqual(states(renewed.events).filter(([name]) => !['join', 'publication'].includes(name)), []);

// A channel that needs a token refuses others.
for (const [number, options] of [
  [2, {}],
  [3, { token: token({ sub: 'ann', channel: '$news:3' }, 'another secret of 32 characters!') }],
]) {
  const refused = subscribe(ann, `$news:${number}`, options);
  const unsubscribed = await refused.events.next('unsubscribed');
  assert.deepEqual([unsubscribed.code, unsubscribed.reason], [103, 'permission denied']);
}
assert.equal(ann.state, 'connected');

// The token of another user, or of another channel, ends the connection for good.
for (const claims of [{ sub: 'bob', channel: '$news:4' }, { sub: 'ann', channel: '$news:5' }]) {
  const cheat = client({ token: token({ sub: 'ann' }) });
  cheat.connect();
  await cheat.events.next('connected');
  subscribe(cheat, '$news:4', { token: token(claims) });
  assert.equal((await cheat.events.next('disconnected')).code, 3500);
}

// So does a token of another user when it is renewed.
const turned = client({
  token: token({ sub: 'ann', exp: now() + 2 }),
  getToken: async () => token({ sub: 'bob' }),
});
turned.connect();
await turned.events.next('connected');
assert.equal((await turned.events.next('disconnected')).code, 3500);

// Channels in the token, and the user's own.
const claims = { sub: 'eve', channels: ['news:1', 'plain:1'] };
const eve = client({ token: token(claims) });
eve.connect();
await eve.events.next('connected');
const subscribed = (await eve.events.all('subscribed', 3)).sort((a, b) => (a.channel < b.channel ? -1 : 1));
assert.deepEqual(subscribed.map(({ channel }) => channel), ['#eve', 'news:1', 'plain:1']);
assert.deepEqual(subscribed.map(({ recoverable }) => recoverable), [false, true, false]);
await eve.publish('news:1', 'hello');
const { channel, data, info } = await eve.events.next('publication');
assert.deepEqual([channel, data, info.user], ['news:1', 'hello', 'eve']);

// Their position is kept too: what the client misses comes with its next connection.
const mallory = client({ token: token({ sub: 'mallory', channels: ['news:1'] }) });
eve.connect();
mallory.connect();
await mallory.events.next('connected');
eve._transport._transport.terminate();
await mallory.publish('news:1', 'missed');
const { wasRecovering, recovered } = await eve.events.next('subscribed', context => context.channel === 'news:1');
assert.deepEqual([wasRecovering, recovered], [true, true]);
assert.equal((await eve.events.next('publication')).data, 'missed');
good();
