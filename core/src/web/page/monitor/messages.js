// --- Messages from the server

const logLines = tail(at("log"), (line, { when, words }) => {
  make(line, "span", "faint", when);
  make(line, "span", "", words);
});
// The server sends its last lines to each new connection, so the page may have them already.
let loggedLines = [];

function showLog({ unix_ms: unix, line }) {
  const words = clip(line, LINE_CHARACTERS);
  const key = unix + " " + words;
  if (loggedLines.includes(key)) return;
  loggedLines.push(key);
  if (loggedLines.length > LINES_MAX) loggedLines.shift();
  logLines.push({ when: clock(unix), words });
}

let version = null;

function greet(message) {
  document.body.classList.toggle("may-act", message.may_act === true);
  document.body.classList.toggle("may-watch", message.may_watch === true);
  document.body.classList.toggle("may-record", message.may_record === true);
  document.body.classList.remove("stale");
  if (version !== null && version !== message.version) {
    notice("The server has another version now. Reload the page, so that both fit.", "error");
  }
  version = message.version;
  put(at("version"), text(version));
  intervalMs = number(message.interval_ms) ?? intervalMs;
  ownAddress = message.address ?? null;
  // The server sends a new monitor no quarantine list if that is empty.
  showQuarantine([]);
  tell("connected", "open");
}

let intervalMs = 1000;

const heard = {
  __proto__: null,
  hello: greet,
  history: showHistory,
  active_sessions(message) {
    const now = performance.now();
    const kept = new Set(list(message.sessions).slice(0, SESSIONS_MAX).map((session) => keepSession(session, now)));
    for (const id of [...rows.keys()]) if (!kept.has(id)) dropRow(id);
    total = number(message.total) ?? kept.size;
    // The server skips messages for a slow page, so the end may not have been reported.
    if (watchedId !== null && !kept.has(watchedId) && total <= kept.size) tellWatch("ended", false);
    arrange(false);
  },
  session_started({ session }) {
    if (rows.size < SESSIONS_MAX) keepSession(session, performance.now());
    total += 1;
    arrange(false);
  },
  session_ended({ session, reason }) {
    const id = String(session.id);
    if (id === watchedId) {
      noteTraffic("ended: " + text(reason));
      tellWatch("ended: " + text(reason), false);
    }
    dropRow(id);
    total = Math.max(0, total - 1);
    arrange(false);
  },
  stats: showStats,
  recent: showRecent,
  hosts: (message) => showHosts(list(message.hosts)),
  quarantine: (message) => showQuarantine(list(message.addresses)),
  watch_response(message) {
    if (message.session_id !== watchedId) return;
    if (message.status === "success") tellWatch("watching", true);
    else tellWatch(message.status === "stopped" ? "stopped" : "failed: " + text(message.error), false);
  },
  client_input: (message) => showTraffic("in", message),
  server_message: (message) => showTraffic("out", message),
  watch_skipped(message) {
    if (message.session_id === watchedId) noteTraffic(count(message.count) + " skipped: there were too many");
  },
  log: showLog,
  action_response(message) {
    const isDone = message.status === "success";
    // The server knows it for certain, such as for two addresses of one IPv6 network.
    if (message.error === "own_address") return askQuarantine(askedAddress, true);
    const ended = number(message.connections) === null ? "" : `, ${many(message.connections, "connection")} closed`;
    const hosts = message.hosts_known > 1 ? ` on ${count(message.hosts)} of ${count(message.hosts_known)} hosts` : "";
    notice(text(message.action) + (isDone ? ": done" + ended + hosts : " failed: " + text(message.error)), isDone ? "done" : "error");
  },
};
