// People and programs on plain sockets, in the same channels as clients.

import net from 'node:net';
import { assert, client, good, linePort, subscribe, token } from './harness.mjs';

/** A socket, and what came from it. */
class Peer {
  #text = '';
  #chunks;

  constructor() {
    this.socket = net.connect(linePort, '127.0.0.1');
    this.#chunks = this.socket.setEncoding('utf8')[Symbol.asyncIterator]();
  }

  say(line) {
    this.socket.write(typeof line === 'string' ? `${line}\n` : `${JSON.stringify(line)}\n`);
  }

  /** Returns the next line. `undefined`: there is none. */
  async next() {
    while (!this.#text.includes('\n')) {
      const late = setTimeout(() => this.socket.destroy(new Error('expected a line, found none')), 20_000);
      const { value, done } = await this.#chunks.next();
      clearTimeout(late);
      if (done) return undefined;
      this.#text += value;
    }
    const end = this.#text.indexOf('\n');
    const line = this.#text.slice(0, end);
    this.#text = this.#text.slice(end + 1);
    return line;
  }

  async hears(...lines) {
    for (const line of lines) assert.equal(await this.next(), line);
  }

  async reads(...values) {
    for (const value of values) assert.deepEqual(JSON.parse(await this.next()), value);
  }
}

const ann = client({ token: token({ sub: 'ann' }) });
ann.connect();
await ann.events.next('connected');
const hers = subscribe(ann, 'news:1');
await hers.events.next('join');

// A person without a name.
const guest = new Peer();
guest.say('/sub news:1');
await guest.hears('* you see news:1', '[news:1] * (anonymous) has come');
const { info } = await hers.events.next('join');
assert.equal(info.user, '');
guest.say('/pub news:1 gr\u00fc\u00dfe  to "all" \\');
await guest.hears('[news:1] gr\u00fc\u00dfe  to "all" \\', '* publish: done');
const { data, info: by, offset } = await hers.events.next('publication');
assert.deepEqual([data, by.client, offset], ['gr\u00fc\u00dfe  to "all" \\', info.client, 1]);
await hers.publish('hello');
await hers.publish({ text: 'hello' });
await guest.hears('[news:1] ann: hello', '[news:1] ann: {"text":"hello"}');
// What a client publishes is one line, and moves no cursor.
await hers.publish('one\n* you see nothing\r\n\u001b[2J');
const odd = await guest.next();
assert.match(odd, /^\[news:1\] ann: one.*you see nothing.*$/u);
assert.ok(![...odd].some(character => character < ' '), JSON.stringify(odd));
guest.say('/who news:1');
await guest.hears('* 2 there: (anonymous), ann');
guest.say('/history news:1');
await guest.hears(
  '[news:1] gr\u00fc\u00dfe  to "all" \\', '[news:1] ann: hello', '[news:1] ann: {"text":"hello"}', odd,
);

// One with a name, who may also be known as a guest before.
const bob = new Peer();
bob.say(`/connect ${token({ sub: 'bob' })}`);
await bob.hears('* you see #bob', '* connect: done');
bob.say('/sub news:1');
await bob.hears('* you see news:1', '[news:1] * bob has come');
await guest.hears('[news:1] * bob has come');
assert.equal((await hers.events.next('join')).info.user, 'bob');
bob.say('/pub news:1 good day');
await guest.hears('[news:1] bob: good day');
await bob.hears('[news:1] bob: good day', '* publish: done');
assert.equal((await hers.events.next('publication', ({ offset }) => offset === 5)).info.user, 'bob');
bob.say('/quit');
assert.equal(await bob.next(), undefined);
await guest.hears('[news:1] * bob has gone');
assert.equal((await hers.events.next('leave')).info.user, 'bob');

// What people may not do.
for (const [line, words] of [
  ['/sub news:1', '* already subscribed'],
  ['/sub closed:1', '* permission denied'],
  ['/sub unknown:1', '* unknown channel'],
  ['/pub closed:1 hello', '* permission denied'],
  ['/pub news:1', '* bad request'],
  ['/history plain:1', '* not available'],
]) {
  guest.say(line);
  await guest.hears(words);
}
guest.say('/unsub news:1');
await guest.hears('* unsubscribe: done');
assert.equal((await hers.events.next('leave')).info.user, '');

// A program that speaks the protocol in lines.
const program = new Peer();
program.say({ id: 1, connect: { token: token({ sub: 'eve' }) } });
const { id: answered, connect } = JSON.parse(await program.next());
assert.deepEqual([answered, connect.subs, connect.ping, connect.pong], [1, { '#eve': {} }, 1, true]);
program.say({ id: 2, subscribe: { channel: 'news:1' } });
assert.equal(JSON.parse(await program.next()).subscribe.offset, 5);
program.say({ id: 3, publish: { channel: 'news:1', data: [1] } });
const her = { user: 'eve', client: connect.client };
await program.reads(
  { push: { channel: 'news:1', join: { info: her } } },
  { push: { channel: 'news:1', pub: { data: [1], info: her, offset: 6 } } },
  { id: 3, publish: {} },
);
assert.deepEqual((await hers.events.next('publication')).data, [1]);
// It does not answer the pings, of which more may come.
let last;
do last = await program.next();
while (last === '{}');
assert.deepEqual(JSON.parse(last), { push: { disconnect: { code: 3012, reason: 'no pong' } } });
assert.equal(await program.next(), undefined);
assert.deepEqual((await hers.events.next('leave')).info, her);

// Whoever begins otherwise is a person.
const stranger = new Peer();
stranger.say('hello');
assert.match(await stranger.next(), /^\* \/sub CHANNEL/u);

// What is no command, comes too early, or twice, ends a connection.
for (const lines of [[{}], [{ id: 1, subscribe: { channel: 'news:1' } }], [{ connect: {} }],
  [{ id: 1, connect: {} }, { id: 2, connect: {} }], [{ id: 1, connect: {} }, {}]]) {
  const wrong = new Peer();
  lines.forEach(line => wrong.say(line));
  if (lines.length > 1) assert.equal(JSON.parse(await wrong.next()).id, 1);
  await wrong.reads({ push: { disconnect: { code: 3501, reason: 'bad request' } } });
  assert.equal(await wrong.next(), undefined);
}
assert.equal(ann.state, 'connected');
assert.equal(ann.events.seen.some(([name]) => name === 'disconnected'), false);
good();
