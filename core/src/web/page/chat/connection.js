// The connection of the page: it opens, may log in, and opens again after an outage.

const state = at("state");
const form = at("form");
const line = at("line");
const reconnect = at("reconnect");

const WAIT_FIRST_MS = 500;
const WAIT_MAX_MS = 30000;
// A connection that lasted this long resets the backoff.
const STABLE_MS = 10000;
// An outage is over when the user is back in the room, and without a chat after this time on a connection.
const SETTLED_MS = 1000;
// A chat that does not answer for this long is as good as none.
const RESTORED_MS = 10000;
// How the server wants its users to log in: `none`, or a mode of login.js.
const MODE = document.documentElement.dataset.login;
// Close reasons after which the page does not reconnect by itself.
const STAY_OUT = ["kicked", "quarantined", "replaced", "forbidden", "unauthorized", "session_expired"];
if (MODE !== "none") STAY_OUT.push("authentication_timeout");

let socket = null;
let attempts = 0;
let openedAt = 0;
let timer = null;
let settleTimer = null;
// Where the current connection began to receive, if it is not the first one.
let sinceOn = {};
// Logs the user in on each new connection. Null if there is no login.
let login = null;
// Whether lines are sent and received: on an open connection, after the login.
let isServed = false;
// Whether no text has come on this connection, apart from that of rooms with a history.
let isFirst = true;

function tell(words, kind) {
  state.textContent = words;
  state.dataset.state = kind;
  reconnect.hidden = kind !== "waiting" && kind !== "out";
}

function newSocket() {
  const path = document.documentElement.dataset.path;
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  // Read here: messages of the room in which the server puts a new connection come first.
  sinceOn = seen.get() ?? {};
  const since = sinceOn.position && chosen.get("room") === null ? "?since=" + sinceOn.position : "";
  return new WebSocket(scheme + "//" + location.host + path + since);
}

function receive(data) {
  const isText = typeof data === "string";
  const kept = isText ? ofRoom(data) : null;
  const text = kept?.text ?? (isText ? data : "(" + data.byteLength + " bytes)");
  const isNotice = text.startsWith("* ");
  const wasFirst = isFirst && kept === null;
  if (kept === null) isFirst = false;
  const isShown = !isNotice || noticed(text, wasFirst);
  // What was said meanwhile comes before the user is in the room again.
  const isLate = kept !== null && restoring !== null;
  // The position of a room is kept once the user is there.
  if (kept?.position) seen.set(kept.room, kept.position);
  if (!isShown) return;
  const isOwn = me !== null && (text.startsWith("<" + me + "> ") || text.startsWith("~ " + me + " ") || text.startsWith("[to "));
  const shown = show(text, isNotice ? "notice" : isOwn ? "mine" : "", isLate);
  if (!isNotice && !isOwn) countUnread(shown);
}

function serve() {
  isServed = true;
  tell("connected", "open");
  settleTimer = setTimeout(settleOutage, SETTLED_MS);
}

function settleOutage() {
  if (restoring !== null && performance.now() - openedAt < RESTORED_MS) {
    settleTimer = setTimeout(settleOutage, SETTLED_MS);
    return;
  }
  restoring = null;
  endOutage();
}

function connect() {
  clearTimeout(timer);
  timer = null;
  tell("connecting", "closed");
  socket = newSocket();
  socket.binaryType = "arraybuffer";
  isFirst = true;
  socket.onopen = () => {
    openedAt = performance.now();
    if (login === null) return serve();
    tell("logging in", "closed");
    login.begin(socket);
  };
  socket.onmessage = (event) => (isServed ? receive(event.data) : login.receive(event.data));
  socket.onclose = lost;
}

function lost(event) {
  if (openedAt && performance.now() - openedAt > STABLE_MS) attempts = 0;
  openedAt = 0;
  clearTimeout(settleTimer);
  const wasServed = isServed;
  isServed = false;
  forgetRestoring();
  const why = event.reason || (event.code === 1006 ? "connection lost" : String(event.code));
  if (wasServed || login === null) beginOutage(why);
  if (login !== null && (STAY_OUT.includes(event.reason) || !login.canResume)) return askToLogIn(why);
  if (STAY_OUT.includes(event.reason)) {
    socket = null;
    stayOut();
    tell("disconnected", "out");
    return;
  }
  // Exponential backoff with jitter, so that clients do not all reconnect at one moment.
  const most = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** attempts);
  const wait = most / 2 + Math.random() * most / 2;
  attempts += 1;
  tell("disconnected; reconnecting in " + Math.ceil(wait / 1000) + " s", "waiting");
  timer = setTimeout(connect, wait);
}

// The line takes input while the page reconnects, but not while it shows the login.
function enableLine(isEnabled) {
  for (const element of form.elements) element.disabled = !isEnabled;
}

function askToLogIn(why) {
  socket = null;
  stayOut();
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

reconnect.addEventListener("click", () => {
  connect();
  line.focus();
});

window.addEventListener("online", () => {
  if (timer !== null) connect();
});
