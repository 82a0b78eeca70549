// The client of a SCRAM-SHA-256 exchange (RFC 5802, RFC 7677), without channel binding.

// Fewer iterations would make the password easier to guess for a server that only pretends to know it (RFC 7677
// section 4). More would keep the browser busy.
const ITERATIONS_MIN = 4096;
const ITERATIONS_MAX = 1000000;
const NONCE_BYTES = 18;
// Non-ASCII spaces (RFC 3454 table C.1.2), and characters commonly mapped to nothing (table B.1).
const SPACES = /[\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000]/g;
const NOTHING = /[\u00ad\u034f\u1806\u180b-\u180d\u200b-\u200d\u2060\ufe00-\ufe0f\ufeff]/g;
// The GS2 header: no channel binding, and no other user to act for (RFC 5802 section 7).
const HEADER = "n,,";
const MAC = { name: "HMAC", hash: "SHA-256" };

const utf8 = new TextEncoder();

// Whether this page can log in with a password. Browsers offer the functions over HTTPS and on localhost only.
export function isAvailable() {
  return globalThis.crypto?.subtle !== undefined;
}

// Prepares a user name or a password: maps and normalizes it as SASLprep does (RFC 4013 sections 2.1 and 2.2).
//
// Prohibited characters stay. The server refuses them.
export function prepare(text) {
  return text.replace(SPACES, " ").replace(NOTHING, "").normalize("NFKC");
}

// Returns a new nonce: printable ASCII without commas.
export function newNonce() {
  return toBase64(crypto.getRandomValues(new Uint8Array(NONCE_BYTES)));
}

// Returns the client's first message.
export function firstMessage(user, nonce) {
  const name = prepare(user).replace(/=/g, "=3D").replace(/,/g, "=2C");
  return HEADER + "n=" + name + ",r=" + nonce;
}

// Parses the server's first message: the nonce of both, the salt as base64, and the iteration count.
//
// Throws an error with the reason if it is malformed or does not answer `nonce`.
export function parseServerFirst(message, nonce) {
  const [, both, salt, iterations] = /^r=([!-+\--~]+),s=([A-Za-z0-9+/]+={0,2}),i=(\d{1,9})(?:,.*)?$/.exec(message) ?? [];
  if (both === undefined || !both.startsWith(nonce) || both.length === nonce.length || salt.length % 4 !== 0) {
    throw new Error("The server's answer is malformed.");
  }
  const count = Number(iterations);
  if (count < ITERATIONS_MIN || count > ITERATIONS_MAX) {
    const range = ITERATIONS_MIN + " to " + ITERATIONS_MAX;
    throw new Error("The server asks for " + count + " iterations, but only " + range + " are accepted.");
  }
  return { nonce: both, salt, iterations: count };
}

// Derives the salted password, as a key that no script can read.
export async function saltedPassword(password, salt, iterations) {
  const base = await crypto.subtle.importKey("raw", utf8.encode(prepare(password)), "PBKDF2", false, ["deriveBits"]);
  const options = { name: "PBKDF2", hash: "SHA-256", salt: fromBase64(salt), iterations };
  return crypto.subtle.importKey("raw", await crypto.subtle.deriveBits(options, base, 256), MAC, false, ["sign"]);
}

// Returns the client's last message, and the only valid answer of the server to it.
//
// `key` is the salted password, `clientFirst` and `serverFirst` are the messages so far, and `nonce` is that of both.
export async function lastMessage(key, clientFirst, serverFirst, nonce) {
  const withoutProof = "c=" + btoa(HEADER) + ",r=" + nonce;
  const messages = [clientFirst.slice(HEADER.length), serverFirst, withoutProof].join(",");
  const clientKey = await sign(key, "Client Key");
  const storedKey = await crypto.subtle.digest("SHA-256", clientKey);
  const signature = await sign(await macKey(storedKey), messages);
  const proof = clientKey.map((byte, at) => byte ^ signature[at]);
  const serverSignature = await sign(await macKey(await sign(key, "Server Key")), messages);
  return { message: withoutProof + ",p=" + toBase64(proof), expected: "v=" + toBase64(serverSignature) };
}

function macKey(bytes) {
  return crypto.subtle.importKey("raw", bytes, MAC, false, ["sign"]);
}

async function sign(key, text) {
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, utf8.encode(text)));
}

function toBase64(bytes) {
  return btoa(String.fromCharCode(...bytes));
}

function fromBase64(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}
