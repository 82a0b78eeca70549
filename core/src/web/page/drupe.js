"use strict";

// What the server sends is shown as text and never as markup: only textContent is ever set.

const log = document.getElementById("log");
const state = document.getElementById("state");
const form = document.getElementById("form");
const line = document.getElementById("line");

const SCROLLBACK_LINES = 2000;
const HISTORY_LINES = 100;
const WAIT_FIRST_MS = 500;
const WAIT_MAX_MS = 30000;
// A connection that has lasted so long was a good one.
const STABLE_MS = 10000;
// Reasons after which the page stays out until the person comes back: somebody decided so.
const STAY_OUT = ["kicked", "quarantined", "replaced", "forbidden", "unauthorized", "session_expired"];

let socket = null;
let attempts = 0;
let openedAt = 0;
let timer = null;
// An outage is shown once, however many attempts it takes.
let isOut = false;
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

// The name and the room that the person chose last, for as long as the tab is open.
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
      // Storage is switched off: what is kept lasts as long as the page.
    }
  },
};

function remember(text) {
  const [, verb, rest] = /^\/(nick|join|leave)(?:\s+(\S+))?\s*$/.exec(text) ?? [];
  if (verb === "nick" && rest) chosen.set("name", rest);
  if (verb === "join" && rest) chosen.set("room", rest);
  if (verb === "leave") chosen.set("room", null);
}

// Only the chat greets like this. It gives each connection a new name in the lobby.
function restore(text) {
  if (!text.startsWith("* welcome, ")) return;
  for (const [verb, value] of [["nick", chosen.get("name")], ["join", chosen.get("room")]]) {
    if (value !== null) socket.send("/" + verb + " " + value);
  }
}

function connect() {
  clearTimeout(timer);
  timer = null;
  tell("connecting", "closed");
  const path = document.documentElement.dataset.path;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  socket = new WebSocket(scheme + "//" + location.host + path);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => {
    openedAt = performance.now();
    tell("connected", "open");
    if (isOut) show("* connected again", "notice");
    isOut = false;
  };
  socket.onmessage = (event) => {
    const isText = typeof event.data === "string";
    const text = isText ? event.data : "(" + event.data.byteLength + " bytes)";
    show(text, text.startsWith("* ") ? "notice" : "");
    if (isText) restore(text);
  };
  socket.onclose = (event) => {
    if (openedAt && performance.now() - openedAt > STABLE_MS) attempts = 0;
    openedAt = 0;
    const why = event.reason || (event.code === 1006 ? "the connection is lost" : "closed (" + event.code + ")");
    if (!isOut) show("* " + why, "notice");
    isOut = true;
    if (STAY_OUT.includes(event.reason)) {
      socket = null;
      tell("disconnected (" + event.reason + "); Send connects again", "closed");
      return;
    }
    // Many clients must not come back at one moment: the wait doubles, and is anything up to that.
    const most = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** attempts);
    const wait = most / 2 + Math.random() * most / 2;
    attempts += 1;
    tell("disconnected; trying again in " + Math.ceil(wait / 1000) + " s", "closed");
    timer = setTimeout(connect, wait);
  };
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value;
  if (text === "") return;
  if (socket === null || socket.readyState !== WebSocket.OPEN) {
    show("* not connected; nothing was sent", "notice");
    if (socket === null || timer !== null) connect();
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

connect();
