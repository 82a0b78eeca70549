// A subscriber that moves between the hosts of a cluster in the middle of a stream gets every message once, in order.

import { setTimeout as pause } from 'node:timers/promises';
import { assert, ask, client, good, network, subscribe } from './harness.mjs';

const hosts = process.argv.slice(2, 4).map(Number);
const channel = 'moved:1';
const wire = await network(hosts[0]);

const reader = client({}, wire.port);
const stream = subscribe(reader, channel);
const offsets = [];
const got = [];
stream.on('publication', ({ data, offset }) => (got.push(data), offsets.push(offset)));
reader.connect();
const first = await stream.events.next('subscribed');

let isOver = false;
/** Publishes on one host, one message after the other, and returns what the host has acknowledged. */
async function publish(from) {
  const publisher = client({ timeout: 2_000 }, hosts[from]);
  const acknowledged = [];
  publisher.connect();
  for (let number = 0; !isOver; number++) {
    // A host that was killed does not answer, so these may have been published or not.
    await publisher.publish(channel, { from, number }).then(() => acknowledged.push(number), () => {});
    await pause(2);
  }
  publisher.disconnect();
  return acknowledged;
}
const publishing = hosts.map((_, from) => publish(from));

/** Waits for further messages, one of them from a certain host if that matters. */
async function more(count, from) {
  const before = got.length;
  while (got.length < before + count || !(from === undefined || got.slice(before).some(data => data.from === from))) {
    await stream.events.next('publication');
  }
}

/** Waits until the subscriber is back, and has missed nothing. */
async function isBack() {
  const back = await stream.events.next('subscribed');
  assert.deepEqual([back.wasRecovering, back.recovered], [true, true]);
  assert.equal(back.streamPosition.epoch, first.streamPosition.epoch);
  await more(20);
}

await more(20, 1);
for (let at = 0; at < 6; at++) {
  wire.lead((at + 1) % 2 ? hosts[1] : hosts[0]);
  wire.cut();
  wire.mend();
  await isBack();
}
for (const [at, end] of [[0, 'kill'], [1, 'drain'], [0, 'drain'], [1, 'kill']]) {
  wire.lead(hosts[1 - at]);
  await ask(`${end} ${at}`);
  await isBack();
  await ask(`start ${at}`);
  await more(20, at);
}

isOver = true;
const acknowledged = await Promise.all(publishing);
const last = acknowledged.map(numbers => numbers.at(-1));
const has = (from, number) => got.some(data => data.from === from && data.number === number);
while (!last.every((number, from) => has(from, number))) await stream.events.next('publication');

assert.deepEqual(offsets, Array.from(offsets, (_, index) => offsets[0] + index));
acknowledged.forEach((numbers, from) => {
  const numbered = got.filter(data => data.from === from).map(({ number }) => number);
  const unique = new Set(numbered);
  assert.deepEqual(numbered, [...unique].sort((a, b) => a - b), 'each comes once, in order');
  assert.deepEqual(numbers.filter(number => number >= numbered[0] && !unique.has(number)), []);
});
wire.close();
good();
