// What the scripts for Node share. They run with the port of the WebSocket listener and the port of lines as arguments.
//
// A script prints a line and reads one where the test acts on the server, and prints `good` at its end.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import net from 'node:net';
import { createRequire } from 'node:module';
import readline from 'node:readline';

const require = createRequire(`${process.env.DRUPE_TEST_NODE_MODULES}/_.js`);
const { Centrifuge } = require('centrifuge');
const { WebSocket } = require('ws');

export const [webPort, linePort] = process.argv.slice(2).map(Number);
// Whole seconds, so what ends two seconds later lasts for one at least.
export const now = () => Math.floor(Date.now() / 1000);

/** Returns a JSON Web Token (RFC 7519) with these claims. */
export function token(claims, secret = '0123456789abcdef0123456789abcdef') {
  const part = value => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
  return `${signed}.${createHmac('sha256', secret).update(signed).digest('base64url')}`;
}

const answers = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();

/** Lets the test act on the server. */
export async function ask(words) {
  console.log(words);
  assert.equal((await answers.next()).value, 'go');
}

/** The events of a client or a subscription, in order. */
export class Events {
  #waiting = null;

  constructor(emitter, names) {
    this.seen = [];
    for (const name of names) {
      emitter.on(name, context => {
        this.seen.push([name, context]);
        this.#waiting?.();
      });
    }
  }

  /** Returns the first event of this name that was not returned yet, and skips those before it. */
  async next(name, matches = () => true) {
    for (;;) {
      const index = this.seen.findIndex(([seen, context]) => seen === name && matches(context));
      if (index >= 0) return this.seen.splice(0, index + 1).at(-1)[1];
      const isLate = Symbol();
      const late = new Promise(resolve => (this.timer = setTimeout(resolve, 20_000, isLate)));
      const woken = new Promise(resolve => (this.#waiting = resolve));
      const why = await Promise.race([woken, late]);
      clearTimeout(this.timer);
      assert.notEqual(why, isLate, `expected ${name}, found ${JSON.stringify(this.seen)}`);
    }
  }

  /** Returns the contexts of so many further events of this name, whatever else happens meanwhile. */
  async all(name, count) {
    const found = [];
    while (found.length < count) found.push(await this.next(name));
    return found;
  }
}

const clients = [];

/** Creates a client. It reconnects soon, and misses the pings of the server soon. */
export function client(options = {}, port = webPort) {
  const created = new Centrifuge(`ws://127.0.0.1:${port}/connection/websocket`, {
    websocket: WebSocket,
    minReconnectDelay: 20,
    maxReconnectDelay: 200,
    maxServerPingDelay: 1500,
    ...options,
  });
  created.events = new Events(created, [
    'connecting', 'connected', 'disconnected', 'error', 'message',
    'subscribing', 'subscribed', 'unsubscribed', 'publication', 'join', 'leave',
  ]);
  clients.push(created);
  return created;
}

/** Creates a subscription, and subscribes. */
export function subscribe(client, channel, options = {}) {
  const created = client.newSubscription(channel, { minResubscribeDelay: 20, maxResubscribeDelay: 200, ...options });
  created.events = new Events(created, [
    'subscribing', 'subscribed', 'unsubscribed', 'publication', 'join', 'leave', 'error',
  ]);
  created.subscribe();
  return created;
}

/** Asserts that a promise fails with an error of this code. */
export async function fails(promise, code) {
  const error = await promise.then(
    result => assert.fail(`expected error ${code}, found the result ${JSON.stringify(result)}`),
    error => error,
  );
  assert.equal(error.code, code, JSON.stringify(error));
}

/** A network between clients and a server, which can be cut, and can lead to another server. */
export async function network(port = webPort) {
  const pairs = new Set();
  let isCut = false;
  const proxy = net.createServer(near => {
    near.on('error', () => {});
    if (isCut) return near.destroy();
    const far = net.connect(port, '127.0.0.1');
    far.on('error', () => {});
    const pair = [near, far];
    pairs.add(pair);
    for (const [from, to] of [pair, [far, near]]) {
      from.on('data', bytes => to.write(bytes));
      from.on('close', () => (to.destroy(), pairs.delete(pair)));
    }
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  return {
    port: proxy.address().port,
    cut() {
      isCut = true;
      for (const pair of pairs) pair.forEach(socket => socket.resetAndDestroy());
    },
    mend() {
      isCut = false;
    },
    /** Leads new connections to the server at this port. */
    lead(to) {
      port = to;
    },
    /** Takes what either side sends, and passes nothing on: nobody is told that the other is gone. */
    swallow() {
      for (const pair of pairs) pair.forEach(socket => socket.removeAllListeners('data').resume());
    },
    close() {
      proxy.close();
      this.cut();
    },
  };
}

/** Ends the script. */
export function good() {
  console.log('good');
  process.exit(0);
}

export { assert };
