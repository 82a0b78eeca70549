"use strict";

// Names of channels and users, and published data, come from untrusted peers. They are clipped, their
// invisible characters are made visible, and they are inserted as text, never as markup.

const CHANNELS_MAX = 500;
const MEMBERS_MAX = 500;
const NAME_CHARACTERS = 160;
const LINE_CHARACTERS = 4096;
const POLL_MS = 1500;
const WAIT_MAX_MS = 30000;
const ANSWER_MS = 10000;
const TYPING_MS = 300;
// A rate over a longer time, such as while the tab was hidden, is not shown.
const RATE_SECONDS_MAX = 10;
const KEY_NAME = "drupe-api-key";
const NONE = "–";

const at = (id) => document.getElementById(id);

function make(parent, name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clip(value, most = NAME_CHARACTERS) {
  const text = String(value);
  // \p{Cf} contains direction overrides and zero-width characters, which make names look alike.
  const plain = text.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : "‹U+" + code.toString(16).toUpperCase().padStart(4, "0") + "›";
  });
  return text.length > most ? plain + "…" : plain;
}

const number = (value) => (Number.isFinite(value) ? value : null);
const list = (value) => (Array.isArray(value) ? value : []);
const entries = (value) => Object.entries(value !== null && typeof value === "object" ? value : {});
const whole = (value) => (number(value) === null ? NONE : value.toLocaleString("en"));
const rate = (value) => (number(value) === null ? NONE : value.toFixed(value >= 10 || value === 0 ? 0 : 1) + "/s");

function span(seconds) {
  if (number(seconds) === null) return NONE;
  for (const [size, unit] of [[86400, "d"], [3600, "h"], [60, "m"]]) {
    if (seconds >= size) return Math.floor(seconds / size) + " " + unit;
  }
  return Math.floor(seconds) + " s";
}

// --- The key. It is never part of a URL, which others would log.

let key = null;

function keep(value) {
  key = value;
  // A browser may forbid storage. Then the key is kept in memory only.
  try {
    if (value === null) sessionStorage.removeItem(KEY_NAME);
    else sessionStorage.setItem(KEY_NAME, value);
  } catch {}
}

function kept() {
  try {
    return sessionStorage.getItem(KEY_NAME);
  } catch {
    return null;
  }
}

function askForKey(words) {
  keep(null);
  stopPolling();
  closeChosen();
  before = null;
  at("main").hidden = at("forget").hidden = true;
  at("key-form").hidden = false;
  at("key-error").textContent = words;
  tell("the key is needed", "closed");
  at("key").focus();
}

// --- Calls

// An error with a message for the operator. `code`: the error code of the API, or null. `status`: the HTTP status, or 0.
class Failure extends Error {
  constructor(words, { code = null, status = 0, seconds = 0 } = {}) {
    super(words);
    Object.assign(this, { code, status, seconds });
  }
}

// Keeps numbers with too many digits for JavaScript as they were written, if the browser can.
function exact(_, value, context) {
  const isExact = typeof value !== "number" || !Number.isInteger(value) || Number.isSafeInteger(value);
  return isExact || !context?.source || !JSON.rawJSON ? value : JSON.rawJSON(context.source);
}

// `body`: an object, or its JSON.
async function answerOf(method, body) {
  let response;
  try {
    response = await fetch("/api/" + method, {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-API-Key": key },
      body: typeof body === "string" ? body : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    if (response.ok) return JSON.parse(await response.text(), exact);
  } catch (error) {
    if (error instanceof SyntaxError) throw new Failure("the answer is not JSON");
    throw new Failure(error.name === "TimeoutError" ? "no answer within " + ANSWER_MS / 1000 + " s" : "the server can't be reached");
  }
  const { status } = response;
  const words = {
    401: "the key is wrong",
    404: "this listener has no API (websocket.api)",
    413: "the request is too long (websocket.body_max)",
    429: "too many wrong keys came from your address; wait",
  };
  throw new Failure(words[status] ?? "the server answered with status " + status, { status, seconds: Number(response.headers.get("Retry-After")) || 0 });
}

async function call(method, body) {
  const asked = key;
  const answer = await answerOf(method, body).catch((error) => {
    if (error.status === 401 && key === asked && key !== null) askForKey("The key is wrong.");
    throw error;
  });
  // The operator has entered another key since the call.
  if (key !== asked) throw new Failure("the key has changed");
  if (answer?.error) throw new Failure(clip(answer.error.message ?? "error", 300), { code: number(answer.error.code) });
  if (answer?.result === null || typeof answer?.result !== "object") throw new Failure("the answer has no result");
  return answer.result;
}

// --- Polling: one poll at a time, less often while polls fail, and none while the tab is hidden

let timer = null;
let isPolling = false;
let isAskedAgain = false;
let failures = 0;
let notBefore = 0;

function tell(words, kind) {
  put(at("state"), words);
  at("state").dataset.state = kind;
}

function stopPolling() {
  clearTimeout(timer);
  timer = null;
}

function pollIn(ms) {
  stopPolling();
  if (key !== null && !document.hidden) timer = setTimeout(poll, Math.max(ms, notBefore - performance.now()));
}

async function poll() {
  stopPolling();
  if (isPolling) {
    isAskedAgain = true;
    return;
  }
  isPolling = true;
  isAskedAgain = false;
  const [used, pattern] = [key, patternOf(filter.value)];
  try {
    const { nodes } = await call("info", {});
    if (at("main").hidden) open();
    showNodes(list(nodes));
    const { channels } = await call("channels", pattern === "" ? {} : { pattern });
    failures = 0;
    tell("connected", "open");
    if (pattern === patternOf(filter.value)) showChannels(entries(channels), pattern);
  } catch (error) {
    if (key === used) pollFailed(error);
  }
  isPolling = false;
  const wait = failures === 0 ? POLL_MS : Math.min(WAIT_MAX_MS, POLL_MS * 2 ** failures) * (.8 + Math.random() * .2);
  pollIn(isAskedAgain ? 0 : wait);
}

function pollFailed(error) {
  before = null;
  failures += 1;
  notBefore = performance.now() + error.seconds * 1000;
  // Too many channels for one answer do not mean that the connection has failed.
  const words = error.code === 106 ? "too many channels: narrow the filter" : withCode(error);
  tell(words, "closed");
  if (at("main").hidden) put(at("key-error"), words.charAt(0).toUpperCase() + words.slice(1) + ".");
}

const withCode = (error) => error.message + (error.code === null ? "" : ` (error ${error.code})`);

function open() {
  at("key-form").hidden = true;
  at("key").value = at("key-error").textContent = "";
  at("main").hidden = at("forget").hidden = false;
  filter.focus();
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) stopPolling();
  else pollIn(0);
});

window.addEventListener("online", () => { if (!isPolling) pollIn(0); });

// --- All workers together

const tiles = {};
for (const label of ["Clients", "Users", "Channels", "Subscriptions", "Workers", "Running for", "Version"]) {
  const box = make(at("tiles"), "div");
  make(box, "dt", "", label);
  tiles[label] = make(box, "dd", "", NONE);
}

function showNodes(nodes) {
  const sum = (name) => nodes.reduce((all, node) => all + (number(node?.[name]) ?? 0), 0);
  const most = (name) => Math.max(0, ...nodes.map((node) => number(node?.[name]) ?? 0));
  put(tiles.Clients, whole(sum("num_clients")));
  // A worker counts only its own users and channels, and several workers may count the same ones.
  const atLeast = (name) => (nodes.length > 1 && sum(name) > most(name) ? `${whole(most(name))} to ${whole(sum(name))}` : whole(sum(name)));
  put(tiles.Users, atLeast("num_users"));
  put(tiles.Channels, atLeast("num_channels"));
  put(tiles.Subscriptions, whole(sum("num_subs")));
  put(tiles.Workers, whole(nodes.length));
  put(tiles["Running for"], span(most("uptime")));
  put(tiles.Version, clip(nodes[0]?.version ?? NONE));
}

// --- The table of channels

const filter = at("filter");
const body = at("channels");
const order = new Intl.Collator(undefined, { numeric: true });
const COLUMNS = [
  { label: "Channel", of: ({ name }) => name },
  { label: "Subscribers", of: ({ clients }) => clients, show: whole },
  { label: "Messages", of: ({ perSecond }) => perSecond, show: rate },
  { label: "Offset", of: ({ offset }) => offset, show: whole },
];
const rows = new Map();
let sortedBy = COLUMNS[0];
let isDescending = false;
// The offsets of the last poll, and when they were read.
let before = null;
let announced = null;

function patternOf(text) {
  const words = text.trim();
  return words === "" || /[*?]/.test(words) ? words : "*" + words + "*";
}

for (const column of COLUMNS) {
  const head = make(at("columns"), "th");
  head.scope = "col";
  if (column.show) head.dataset.kind = "number";
  const button = make(head, "button", "", column.label);
  button.type = "button";
  button.addEventListener("click", () => {
    isDescending = sortedBy === column ? !isDescending : column.show !== undefined;
    sortedBy = column;
    markSorted();
    arrange(true);
  });
}

function markSorted() {
  [...at("columns").children].forEach((head, index) => {
    if (COLUMNS[index] === sortedBy) head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
}

function compare(a, b) {
  const [one, other] = [sortedBy.of(a), sortedBy.of(b)];
  // Unknown values are last in both directions.
  if (one === null || other === null) return (one === null) - (other === null) || order.compare(a.name, b.name);
  return (isDescending ? -1 : 1) * (sortedBy.show ? one - other : order.compare(one, other)) || order.compare(a.name, b.name);
}

function showChannels(found, pattern) {
  const now = performance.now();
  const seconds = before === null ? 0 : (now - before.now) / 1000;
  const offsets = new Map();
  const channels = found.map(([name, of]) => {
    const [clients, offset] = [number(of?.num_clients), number(of?.offset)];
    offsets.set(name, offset);
    const grown = offset === null ? NaN : offset - (before?.offsets.get(name) ?? NaN);
    // An offset that decreased belongs to another history.
    const isKnown = grown >= 0 && seconds > 0 && seconds <= RATE_SECONDS_MAX;
    return { name, clients, offset, perSecond: isKnown ? grown / seconds : null };
  });
  before = { now, offsets };
  channels.sort(compare);
  const kept = channels.slice(0, CHANNELS_MAX);
  const names = new Set(kept.map(({ name }) => name));
  for (const name of [...rows.keys()]) if (!names.has(name)) dropRow(name);
  for (const channel of kept) keepRow(channel);
  arrange(false);
  put(at("count"), channels.length > kept.length ? `the first ${kept.length} of ${channels.length}` : String(channels.length));
  at("empty").hidden = channels.length > 0;
  // Screen readers announce only the result of a new filter, and not each change.
  if (announced !== pattern) put(at("found"), channels.length === 1 ? "1 channel found" : channels.length + " channels found");
  announced = pattern;
  const of = channels.find(({ name }) => name === chosen);
  const state = `${of?.clients} ${of?.offset}`;
  if (chosen !== null && state !== chosenState) showChosen(state);
}

function keepRow(channel) {
  let row = rows.get(channel.name);
  if (!row) {
    const element = make(body, "tr", channel.name === chosen ? "chosen" : "");
    const cells = COLUMNS.map((column) => {
      const cell = make(element, column.show ? "td" : "th");
      if (column.show) cell.dataset.kind = "number";
      else cell.scope = "row";
      return cell;
    });
    const button = make(cells[0], "button", "", clip(channel.name));
    button.type = "button";
    button.addEventListener("click", () => choose(channel.name));
    row = { element, cells, button };
    rows.set(channel.name, row);
  }
  row.channel = channel;
  COLUMNS.forEach((column, index) => { if (column.show) put(row.cells[index], column.show(column.of(channel))); });
}

function dropRow(name) {
  const { element } = rows.get(name);
  rows.delete(name);
  const hadFocus = element.contains(document.activeElement);
  element.remove();
  if (hadFocus) at("table").focus({ preventScroll: true });
}

function arrange(isAsked) {
  // Rows must not move while the pointer or the focus is on them, or the wrong button is pressed.
  if (!isAsked && (body.matches(":hover") || body.querySelector(":focus-visible"))) return;
  let next = body.firstElementChild;
  for (const { element } of [...rows.values()].sort((a, b) => compare(a.channel, b.channel))) {
    if (element === next) next = next.nextElementSibling;
    else body.insertBefore(element, next);
  }
}

let typing = null;
filter.addEventListener("input", () => {
  clearTimeout(typing);
  typing = setTimeout(() => pollIn(0), TYPING_MS);
});

// --- The chosen channel

let chosen = null;
// The state of the channel in the table when it was last shown.
let chosenState = null;
let asks = 0;

function markChosen() {
  for (const [name, { element, button }] of rows) {
    element.classList.toggle("chosen", name === chosen);
    if (name === chosen) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function choose(name) {
  chosen = name;
  markChosen();
  at("members").replaceChildren();
  at("history").replaceChildren();
  at("members-note").textContent = at("history-note").textContent = at("chosen-state").textContent = "";
  at("chosen-heading").textContent = clip(name);
  at("publish-channel").value = name;
  at("chosen").hidden = false;
  at("chosen-heading").focus();
  const of = before?.offsets.has(name) ? rows.get(name)?.channel : undefined;
  showChosen(`${of?.clients} ${of?.offset}`);
}

function closeChosen() {
  if (chosen === null) return;
  const button = rows.get(chosen)?.button;
  chosen = chosenState = null;
  asks += 1;
  markChosen();
  at("chosen").hidden = true;
  (button ?? at("table")).focus();
}

// The message for an error. `missing`: the message if the namespace does not have the feature (108).
const failed = (error, missing) => (error.code === 108 ? missing : error.code === 102 ? "no namespace is configured for this channel" : error.message);

async function showChosen(state = chosenState) {
  chosenState = state;
  const channel = chosen;
  const ask = asks += 1;
  const isCurrent = () => ask === asks && chosen === channel;
  const limit = Math.min(1000, Math.max(1, Math.floor(at("limit").valueAsNumber) || 20));
  const show = (part, note, missing, fill) => part.then((result) => {
    if (isCurrent()) fill(result);
  }, (error) => {
    if (!isCurrent()) return;
    at(part === members ? "members" : "history").replaceChildren();
    put(at(note), failed(error, missing));
  });
  const members = call("presence", { channel });
  const history = call("history", { channel, limit, reverse: at("reverse").checked });
  await Promise.all([
    show(members, "members-note", "this namespace keeps no list of members (presence)", showMembers),
    show(history, "history-note", "this namespace keeps no history (history_size, history_ttl)", showHistory),
  ]);
}

const json = (value) => clip(JSON.stringify(value), LINE_CHARACTERS);

function showMembers({ presence }) {
  const members = entries(presence);
  members.sort(([, a], [, b]) => order.compare(String(a?.user ?? ""), String(b?.user ?? "")));
  at("members").replaceChildren();
  for (const [client, info] of members.slice(0, MEMBERS_MAX)) {
    const item = make(at("members"), "li");
    make(item, "strong", "", info?.user ? clip(info.user) : "(anonymous)");
    make(item, "span", "faint", clip(client));
    for (const name of ["conn_info", "chan_info"]) if (info?.[name] !== undefined) make(item, "span", "", json(info[name]));
  }
  put(at("members-note"), members.length > MEMBERS_MAX ? `the first ${MEMBERS_MAX} of ${members.length}` : String(members.length));
}

function showHistory({ publications, offset }) {
  at("history").replaceChildren();
  for (const { offset: place, data, info, tags } of list(publications)) {
    const item = make(at("history"), "li");
    make(item, "span", "faint", whole(place));
    if (info) make(item, "strong", "", info.user ? clip(info.user) : "(anonymous)");
    make(item, "span", "", json(data));
    if (tags) make(item, "span", "faint", json(tags));
  }
  const shown = list(publications).length;
  put(at("history-note"), `${shown === 0 ? "empty" : shown + " shown"}, offset ${whole(number(offset) ?? 0)}`);
}

at("show-form").addEventListener("submit", (event) => {
  event.preventDefault();
  choose(at("show-channel").value);
  at("show-channel").value = "";
});
at("history-form").addEventListener("submit", (event) => {
  event.preventDefault();
  showChosen();
});
at("history-form").addEventListener("change", () => { if (at("limit").validity.valid) showChosen(); });
at("close").addEventListener("click", closeChosen);
at("refresh").addEventListener("click", async () => {
  put(at("chosen-state"), "");
  await showChosen();
  put(at("chosen-state"), "refreshed");
});

// --- Publishing

let isPublishing = false;

function publishFailed(words, element) {
  at("published").textContent = "";
  at("publish-error").textContent = words;
  element?.setAttribute("aria-invalid", "true");
  element?.focus();
}

at("publish-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const [channelInput, dataInput, button] = [at("publish-channel"), at("publish-data"), event.submitter];
  for (const input of [channelInput, dataInput]) input.removeAttribute("aria-invalid");
  at("publish-error").textContent = at("published").textContent = "";
  try {
    JSON.parse(dataInput.value);
  } catch (error) {
    return publishFailed(`This is no JSON: ${error.message}. Text needs quotes, such as "hello".`, dataInput);
  }
  const channel = channelInput.value;
  // A second click must not publish again.
  button?.setAttribute("aria-disabled", "true");
  if (isPublishing) return;
  isPublishing = true;
  try {
    // The data are sent as they were written: a number may have too many digits for JavaScript.
    const { offset } = await call("publish", `{"channel":${JSON.stringify(channel)},"data":${dataInput.value}}`);
    put(at("published"), `published in ${clip(channel)}` + (number(offset) === null ? "" : ` at offset ${whole(offset)}`));
    if (channel === chosen) showChosen();
  } catch (error) {
    if (key === null) return;
    const isOfChannel = error.code === 102;
    const words = isOfChannel ? "no namespace is configured for this channel" : withCode(error);
    publishFailed(`Not published: ${words}.`, isOfChannel ? channelInput : undefined);
  } finally {
    isPublishing = false;
    button?.removeAttribute("aria-disabled");
  }
});
// --- The beginning

at("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = at("key").value.trim();
  // Other characters can't be in an HTTP field.
  if (!/^[\x21-\x7e]+$/.test(given)) return put(at("key-error"), "A key has only letters, digits and signs of ASCII.");
  at("key-error").textContent = "";
  keep(given);
  failures = notBefore = 0;
  tell("connecting", "opening");
  poll();
});

at("forget").addEventListener("click", () => askForKey(""));

markSorted();
const stored = kept();
if (stored !== null) {
  key = stored;
  tell("connecting", "opening");
  poll();
} else {
  at("key").focus();
}
