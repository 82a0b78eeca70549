"use strict";

// Input from the server is inserted only as textContent, so it is never parsed as markup.

const log = document.getElementById("log");
const state = document.getElementById("state");
const form = document.getElementById("form");
const line = document.getElementById("line");

const SCROLLBACK_LINES = 2000;
const HISTORY_LINES = 100;
const WAIT_FIRST_MS = 500;
const WAIT_MAX_MS = 30000;
// A connection that lasted this long resets the backoff.
const STABLE_MS = 10000;
// How the server wants its users to log in: `none`, or a mode of login.js.
const MODE = document.documentElement.dataset.login;
// Close reasons after which the page does not reconnect by itself.
const STAY_OUT = ["kicked", "quarantined", "replaced", "forbidden", "unauthorized", "session_expired"];
if (MODE !== "none") STAY_OUT.push("authentication_timeout");

let socket = null;
let attempts = 0;
let openedAt = 0;
let timer = null;
// Where the current connection began to receive, if it is not the first one.
let sinceOn = {};
// Whether the current outage was shown. Further failed attempts are not.
let isOut = false;
// Logs the user in on each new connection. Null if there is no login.
let login = null;
// Whether lines are sent and received: on an open connection, after the login.
let isServed = false;
const history = [];
let recalled = 0;

function show(text, kind) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  for (const part of text.split("\n")) {
    const paragraph = document.createElement("p");
    paragraph.textContent = part === "" ? " " : part;
    if (kind) paragraph.className = kind;
    log.append(paragraph);
  }
  while (log.childElementCount > SCROLLBACK_LINES) log.firstElementChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
}

function tell(words, kind) {
  state.textContent = words;
  state.dataset.state = kind;
}

// The last name and room that the user chose, until the tab closes.
const chosen = {
  get(key) {
    try {
      return sessionStorage.getItem("drupe." + key);
    } catch {
      return this[key] ?? null;
    }
  },
  set(key, value) {
    this[key] = value;
    try {
      if (value === null) sessionStorage.removeItem("drupe." + key);
      else sessionStorage.setItem("drupe." + key, value);
    } catch {
      // Storage is disabled: the values last until the page is reloaded.
    }
  },
};

// The room and the position of the last message that was shown, if the server keeps a history.
const seen = {
  get() {
    const [room, position] = (chosen.get("seen") ?? "").split(" ");
    return position ? { room, position } : null;
  },
  set(room, position) {
    // A new connection is in another room, until the server has moved it.
    if ((chosen.get("room") ?? room) === room) chosen.set("seen", room + " " + position);
  },
};

function remember(text) {
  const [, verb, rest] = /^\/(nick|join|leave)(?:\s+(\S+))?\s*$/.exec(text) ?? [];
  if (verb === "nick" && rest) chosen.set("name", rest);
  // The server names rooms in this form.
  if (verb === "join" && rest) chosen.set("room", rest.normalize("NFC"));
  if (verb === "leave") chosen.set("room", null);
  // The position is one of the room that the user leaves.
  if (verb === "leave" || verb === "join") chosen.set("seen", null);
}

// Only the chat sends this greeting. It puts each new connection into the lobby, with a new name.
function restore(text) {
  if (!text.startsWith("* welcome, ")) return;
  const [name, room] = [chosen.get("name"), chosen.get("room")];
  if (name !== null) socket.send("/nick " + name);
  // With a position, the server sends what was said in the room meanwhile.
  const since = sinceOn.room === room ? " " + sinceOn.position : "";
  if (room !== null) socket.send("/join " + room + since);
}

function newSocket() {
  const path = document.documentElement.dataset.path;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  // Read here: messages of the room in which the server puts a new connection come first.
  sinceOn = seen.get() ?? {};
  const since = sinceOn.position && chosen.get("room") === null ? "?since=" + sinceOn.position : "";
  return new WebSocket(scheme + "//" + location.host + path + since);
}

// Returns the text of a message from a room with a history, and keeps its position. Null: other text.
function ofRoom(text) {
  if (!text.startsWith('{"type":"')) return null;
  let message;
  try {
    message = JSON.parse(text);
  } catch {
    return null;
  }
  const { type, room, position, data, why } = message;
  if (typeof room !== "string") return null;
  const isPosition = typeof position === "string" && /^[0-9a-f.]{5,50}$/.test(position);
  if (type === "gap") {
    if (isPosition) seen.set(room, position);
    return "* messages in " + room + " may be missing (" + why + ")";
  }
  if (type !== "message" || !isPosition) return null;
  seen.set(room, position);
  return typeof data === "string" ? data : JSON.stringify(data);
}

function serve() {
  isServed = true;
  tell("connected", "open");
  if (isOut) show("* reconnected", "notice");
  isOut = false;
}

function connect() {
  clearTimeout(timer);
  timer = null;
  tell("connecting", "closed");
  socket = newSocket();
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    openedAt = performance.now();
    if (login === null) return serve();
    tell("logging in", "closed");
    login.begin(socket);
  };
  socket.onmessage = (event) => {
    if (!isServed) return login.receive(event.data);
    const isText = typeof event.data === "string";
    const kept = isText ? ofRoom(event.data) : null;
    const text = kept ?? (isText ? event.data : "(" + event.data.byteLength + " bytes)");
    show(text, text.startsWith("* ") ? "notice" : "");
    if (isText && kept === null) restore(text);
  };
  socket.onclose = (event) => {
    if (openedAt && performance.now() - openedAt > STABLE_MS) attempts = 0;
    openedAt = 0;
    const wasServed = isServed;
    isServed = false;
    const why = event.reason || (event.code === 1006 ? "connection lost" : "closed (" + event.code + ")");
    if (!isOut && (wasServed || login === null)) show("* " + why, "notice");
    isOut ||= wasServed || login === null;
    if (login !== null && (STAY_OUT.includes(event.reason) || !login.canResume)) return askToLogIn(why);
    if (STAY_OUT.includes(event.reason)) {
      socket = null;
      tell("disconnected (" + event.reason + "); press Send to reconnect", "closed");
      return;
    }
    // Exponential backoff with jitter, so that clients do not all reconnect at one moment.
    const most = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** attempts);
    const wait = most / 2 + Math.random() * most / 2;
    attempts += 1;
    tell("disconnected; reconnecting in " + Math.ceil(wait / 1000) + " s", "closed");
    timer = setTimeout(connect, wait);
  };
}

// The line takes input while the page reconnects, but not while it shows the login.
function enableLine(isEnabled) {
  for (const element of form.elements) element.disabled = !isEnabled;
}

function askToLogIn(why) {
  socket = null;
  isOut = false;
  enableLine(false);
  tell("not logged in", "closed");
  login.ask(why);
}

async function startLogin() {
  enableLine(false);
  tell("not logged in", "closed");
  const { Login } = await import("/login.js");
  login = new Login(MODE, {
    connect,
    open: newSocket,
    show: (text) => show(text, "notice"),
    refused: (why) => {
      socket.onmessage = socket.onclose = null;
      socket.close();
      openedAt = 0;
      askToLogIn(why);
    },
    done: (user) => {
      if (chosen.get("user") !== user) {
        // The name and the room are those of another user.
        for (const key of ["name", "room", "seen"]) chosen.set(key, null);
        chosen.set("user", user);
      }
      serve();
      if (!line.disabled) return;
      show("* logged in as " + user, "notice");
      enableLine(true);
      line.focus();
    },
  });
  login.ask("");
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value;
  if (text === "") return;
  if (!isServed || socket.readyState !== WebSocket.OPEN) {
    show("* not connected; nothing was sent", "notice");
    if (timer !== null || socket === null && MODE === "none") connect();
    return;
  }
  socket.send(text);
  remember(text);
  if (history[history.length - 1] !== text) history.push(text);
  if (history.length > HISTORY_LINES) history.shift();
  recalled = history.length;
  line.value = "";
});

line.addEventListener("keydown", (event) => {
  const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
  if (step === 0) return;
  event.preventDefault();
  recalled = Math.max(0, Math.min(history.length, recalled + step));
  line.value = history[recalled] ?? "";
  line.setSelectionRange(line.value.length, line.value.length);
});

window.addEventListener("online", () => {
  if (timer !== null) connect();
});

if (MODE === "none") connect();
else startLogin().catch(() => tell("the login could not be loaded; reload the page", "closed"));
