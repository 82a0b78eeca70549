// Checks the page's SCRAM client. The first argument is the path of its module.

import assert from "node:assert/strict";
globalThis.crypto ??= (await import("node:crypto")).webcrypto;
const scram = await import(process.argv[2]);

// The example of RFC 7677 section 3.
const clientNonce = "rOprNGfwEbeRWgbNEkqO";
const clientFirst = scram.firstMessage("user", clientNonce);
assert.equal(clientFirst, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
const serverFirst = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const { nonce, salt, iterations } = scram.parseServerFirst(serverFirst, clientNonce);
assert.deepEqual([salt, iterations], ["W22ZaJ0SNY7soEsUEjb6gQ==", 4096]);
const key = await scram.saltedPassword("pencil", salt, iterations);
assert.equal(key.extractable, false);
assert.deepEqual(await scram.lastMessage(key, clientFirst, serverFirst, nonce), {
  message: "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
  expected: "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
});

// Names are escaped after they are prepared: the fullwidth comma and equals sign become ASCII.
assert.equal(scram.firstMessage("a=b,c", "x"), "n,,n=a=3Db=2Cc,r=x");
assert.equal(scram.firstMessage("a\uff1db\uff0cc", "x"), "n,,n=a=3Db=2Cc,r=x");

// RFC 4013 section 3, but for what is prohibited there, and the spaces and joiners of RFC 3454.
for (const [text, prepared] of [
  ["I\u00adX", "IX"], ["user", "user"], ["USER", "USER"], ["\u00aa", "a"], ["\u2168", "IX"],
  ["a\u00a0b\u3000c\u200bd", "a b c d"], ["\ufeffa\u200cb\u2060\ufe0f\u034f", "ab"], ["u\u0308", "\u00fc"],
]) assert.equal(scram.prepare(text), prepared);

// Answers to another nonce, without a nonce of the server, with a poor salt or with a bad iteration count.
for (const bad of [
  "", "e=other-error", "r=abcd1234,s=QQ==,i=4096", "r=other1234x,s=QQ==,i=4096", "r=abcd1234x,s=,i=4096",
  "r=abcd1234x,s=Q,i=4096", "r=abcd1234x,s=Q Q=,i=4096", "r=abcd1234x y,s=QQ==,i=4096", "r=abcd1234x,s=QQ==,i=",
  "r=abcd1234x,s=QQ==,i=4095", "r=abcd1234x,s=QQ==,i=1000001", "r=abcd1234x,s=QQ==,i=1e5", "m=x,r=abcd1234x,s=QQ==,i=4096",
]) assert.throws(() => scram.parseServerFirst(bad, "abcd1234"), /^Error: The server/, bad);
assert.equal(scram.parseServerFirst("r=abcd1234x,s=QQ==,i=1000000,x=later", "abcd1234").iterations, 1000000);

// Nonces differ, and are printable without commas.
const nonces = new Set(Array.from({ length: 100 }, scram.newNonce));
assert.equal(nonces.size, 100);
for (const one of nonces) assert.match(one, /^[A-Za-z0-9+/]{24}$/);
console.log("good");
