"use strict";

// Names, addresses, rooms and traffic come from untrusted peers. They are clipped, their invisible
// characters are made visible, and they are inserted as text, never as markup.

const SESSIONS_MAX = 500;
const QUARANTINE_MAX = 500;
const LINES_MAX = 200;
const SAMPLES = 120;
const CELL_CHARACTERS = 80;
const LINE_CHARACTERS = 4096;
// A rate over a shorter time would be mostly noise.
const SAMPLE_SECONDS_MIN = .05;
const SURE_MS = 3000;
const NOTICE_MS = 6000;
const WAIT_FIRST_MS = 1000;
const WAIT_MAX_MS = 15000;
// A connection that lasted this long resets the backoff.
const STABLE_MS = 10000;
// The server sends once per interval. After at least this silence the connection counts as lost.
const SILENT_MS = 10000;
const NONE = "–";

const at = (id) => document.getElementById(id);
const body = at("sessions");
const filter = at("filter");

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

function clip(value, most) {
  const text = String(value);
  // \p{Cf} contains direction overrides and zero-width characters, which make names look alike.
  const plain = text.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : "‹U+" + code.toString(16).toUpperCase().padStart(4, "0") + "›";
  });
  return text.length > most ? plain + "…" : plain;
}

const list = (value) => (Array.isArray(value) ? value : []);
const number = (value) => (Number.isFinite(value) ? value : null);

function scaled(value, units) {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const isRound = value >= 99.95 || Math.abs(value - Math.round(value)) < .05;
  return value.toFixed(isRound ? 0 : 1) + units[unit];
}

const text = (value) => (value === null || value === undefined || value === "" ? NONE : clip(value, CELL_CHARACTERS));
const known = (show) => (value) => (number(value) === null ? NONE : show(value));
const count = known((value) => scaled(value, ["", "k", "M", "G", "T"]));
const bytes = known((value) => scaled(value, [" B", " kB", " MB", " GB", " TB"]));
const rate = known((value) => count(value) + "/s");
const byteRate = known((value) => bytes(value) + "/s");
const milliseconds = known((value) => scaled(value, [" ms", " s"]));

const span = known((seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, unit, part, partUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]]) {
    if (whole >= size) return Math.floor(whole / size) + unit + " " + Math.floor(whole % size / part) + partUnit;
  }
  return whole + "s";
});

const clock = (ms) => new Date(number(ms) ?? Date.now()).toLocaleTimeString([], { hour12: false });

let noticeTimer = null;

function notice(words, kind) {
  const element = at("notice");
  element.textContent = clip(words, 300);
  element.dataset.kind = kind;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { element.textContent = ""; }, NOTICE_MS);
}

// --- Line lists: show the last lines, and draw once per frame, because lines may arrive fast

function tail(element, fill) {
  let pending = [];
  let isScheduled = false;
  function draw() {
    isScheduled = false;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    for (const entry of pending) fill(make(element, "p"), entry);
    pending = [];
    while (element.childElementCount > LINES_MAX) element.firstElementChild.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  }
  return {
    push(entry) {
      pending.push(entry);
      if (pending.length > LINES_MAX) pending.shift();
      if (!isScheduled) requestAnimationFrame(draw);
      isScheduled = true;
    },
    clear() {
      pending = [];
      element.replaceChildren();
    },
  };
}

// --- Charts

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 600;
const HEIGHT = 100;

function draw(parent, name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  parent.append(element);
  return element;
}

// The top of the scale is a round number, so that it does not move with every sample.
function roundUp(value) {
  const size = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].find((step) => step * size >= value) * size;
}

function chart(figure, title, series, isOneScale) {
  const caption = make(figure, "figcaption");
  make(caption, "span", "title", title);
  const svg = draw(figure, "svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title });
  draw(svg, "path", { class: "grid", d: `M0 0H${WIDTH}M0 ${HEIGHT / 2}H${WIDTH}M0 ${HEIGHT}H${WIDTH}` });
  const curves = series.map(({ name, show, least }, index) => {
    const legend = make(caption, "span", "series", name);
    legend.dataset.series = index;
    return { name, show, least, legend, values: [], path: draw(svg, "path", { class: "curve", "data-series": index }) };
  });
  return {
    push(values) {
      curves.forEach((curve, index) => {
        curve.values.push(number(values[index]));
        if (curve.values.length > SAMPLES) curve.values.shift();
      });
      const tops = curves.map((curve) => roundUp(Math.max(curve.least, ...curve.values)));
      curves.forEach((curve, index) => {
        const top = isOneScale ? Math.max(...tops) : tops[index];
        let path = "";
        let isDown = false;
        curve.values.forEach((value, place) => {
          const x = WIDTH - (curve.values.length - 1 - place) * WIDTH / (SAMPLES - 1);
          if (value !== null) path += `${isDown ? "L" : "M"}${x.toFixed(1)} ${(HEIGHT * (1 - value / top)).toFixed(1)}`;
          isDown = value !== null;
        });
        curve.path.setAttribute("d", path);
        put(curve.legend, `${curve.name} ${curve.show(curve.values.at(-1))} (top ${curve.show(top)})`);
      });
    },
  };
}

const messageChart = chart(at("chart-messages"), "Messages, last " + SAMPLES + " intervals", [
  { name: "in", show: rate, least: 1 },
  { name: "out", show: rate, least: 1 },
], true);
const delayChart = chart(at("chart-delay"), "Delay, last " + SAMPLES + " intervals", [
  { name: "ping", show: milliseconds, least: 1 },
  { name: "queued", show: bytes, least: 1000 },
], false);

// --- Metrics

let metricsBefore = null;
let ping = null;
let clockAhead = 0;

const tiles = {};
for (const [name, label] of Object.entries({
  open: "Open", messages_in: "Messages in", messages_out: "Messages out", bytes_in: "Bytes in", bytes_out: "Bytes out",
  ping: "Mean ping", queued: "Queued", stalled: "Stalled", refused: "Refused", uptime: "Uptime",
  histories: "Histories", recovered: "Recovered", gaps: "Gaps",
})) {
  const box = make(at("tiles"), "div");
  make(box, "dt", "", label);
  tiles[name] = make(box, "dd", "", NONE);
  tiles[name].dataset.tile = name;
}

// Most servers have no rooms that remember messages.
const ROOM_TILES = ["histories", "recovered", "gaps"];
for (const name of ROOM_TILES) tiles[name].parentElement.hidden = true;

function showRooms(metrics, grown) {
  const { room_histories: rooms, room_recovered: recovered, room_not_recovered: lost, room_gaps: gaps } = metrics;
  const isUsed = [rooms, recovered, lost, gaps].some((value) => value > 0);
  for (const name of ROOM_TILES) tiles[name].parentElement.hidden = !isUsed;
  tile("histories", count(rooms) + ", " + bytes(metrics.room_histories_bytes));
  tile("recovered", count(recovered) + " of " + count(recovered + lost), grown("room_not_recovered") > 0);
  tile("gaps", count(gaps), grown("room_gaps") > 0);
}

function tile(name, words, isAlert = false) {
  put(tiles[name], words);
  tiles[name].toggleAttribute("data-alert", isAlert);
}

// The messages of each host when it last reported other numbers, and the rate since the report before.
const hostSamples = new Map();

function hostRate({ id, uptime_seconds: uptime, messages_in: inward, messages_out: outward }) {
  const before = hostSamples.get(id);
  const messages = inward + outward;
  if (before && before.uptime === uptime) return before.rate;
  const seconds = before ? uptime - before.uptime : 0;
  const found = seconds > 0 ? Math.max(0, messages - before.messages) / seconds : null;
  hostSamples.set(id, { uptime, messages, rate: found });
  return found;
}

// This host is first.
function showHosts(hosts) {
  at("hosts").hidden = hosts.length === 0;
  const known = new Set(hosts.map(({ id }) => id));
  for (const id of hostSamples.keys()) if (!known.has(id)) hostSamples.delete(id);
  at("host-list").replaceChildren();
  for (const host of hosts) {
    const item = make(at("host-list"), "li");
    item.dataset.state = host.is_linked ? "up" : "down";
    make(item, "strong", "", text(host.name || host.id) + (host.is_own ? " (this host)" : ""));
    make(item, "span", "", host.is_linked ? "linked to the broker" : "not linked to the broker");
    make(item, "span", "", `${count(host.connections)} connections, ${count(host.rooms)} rooms`);
    make(item, "span", "", `${rate(hostRate(host))} messages`);
    make(item, "span", "", `${count(host.workers)} workers, version ${text(host.version)}`);
    const since = number(host.uptime_seconds) === null ? NONE : new Date(Date.now() - host.uptime_seconds * 1000).toLocaleString();
    make(item, "span", "", `up since ${since}`);
    make(item, "span", "", `link lost ${count(host.link_losses)} times`);
    if (!host.is_own) make(item, "span", "", `as of ${span(host.as_of_seconds)} ago`);
  }
}

let tunnelsShown = "";

function showTunnels(tunnels) {
  const wanted = JSON.stringify(tunnels);
  if (wanted === tunnelsShown) return;
  tunnelsShown = wanted;
  at("tunnels").hidden = tunnels.length === 0;
  at("tunnel-list").replaceChildren();
  for (const tunnel of tunnels) {
    const item = make(at("tunnel-list"), "li");
    item.dataset.state = tunnel.state;
    make(item, "strong", "", text(tunnel.name));
    const retry = number(tunnel.retry_in_seconds) === null ? "" : ", retry in " + span(tunnel.retry_in_seconds);
    make(item, "span", "tunnel-state", text(tunnel.state) + retry);
    for (const place of list(tunnel.forwards)) {
      const words = text(place.listener) + " at " + text(place.at) + (place.bound ? "" : " (not bound)");
      make(item, "span", place.bound ? "" : "unbound", words);
    }
    make(item, "span", "", `${count(tunnel.channels)} open, ${bytes(tunnel.bytes_in)} in, ${bytes(tunnel.bytes_out)} out`);
    make(item, "span", "", `connected ${count(tunnel.connected)} of ${count(tunnel.connects)} times`);
    const error = tunnel.last_error;
    if (error && tunnel.state !== "up") make(item, "p", "", clip(error.failure + ": " + error.words, 600));
  }
}

function showStats({ unix_ms: now, draining, metrics, tunnels, watchers, uptime_seconds: uptime }) {
  showTunnels(list(tunnels));
  if (typeof metrics !== "object" || metrics === null) return;
  clockAhead = number(now) === null ? 0 : now - Date.now();
  const before = metricsBefore;
  metricsBefore = { now, metrics };
  // A counter that decreased belongs to another run of the server.
  const grown = (name) => {
    const difference = before === null ? NaN : metrics[name] - before.metrics[name];
    return difference >= 0 ? difference : null;
  };
  const seconds = before === null ? 0 : (now - before.now) / 1000;
  const perSecond = (name) => (seconds >= SAMPLE_SECONDS_MIN && grown(name) !== null ? grown(name) / seconds : null);

  // Pings are rarer than intervals, so the last mean is shown until there is another.
  if (grown("round_trip_count") > 0) ping = grown("round_trip_us") / grown("round_trip_count") / 1000;
  // Like the table, the tile omits the connections of monitors.
  tile("open", count(metrics.open - (number(watchers) ?? 0)));
  for (const name of ["messages_in", "messages_out"]) tile(name, rate(perSecond(name)));
  for (const name of ["bytes_in", "bytes_out"]) tile(name, byteRate(perSecond(name)));
  tile("ping", milliseconds(ping));
  tile("queued", bytes(metrics.queued_bytes));
  tile("uptime", number(uptime) === null ? NONE : span(uptime));
  tile("stalled", count(metrics.stalled), metrics.stalled > 0);
  tile("refused", count(metrics.refused), grown("refused") > 0);
  showRooms(metrics, grown);
  messageChart.push([perSecond("messages_in"), perSecond("messages_out")]);
  delayChart.push([ping, metrics.queued_bytes]);

  at("draining").hidden = !draining;
  at("drain").disabled = draining === true;
}

// --- The table of connections

const addressOf = (session) => list(session.client?.remote_addr)[0] ?? null;

function endOf(session) {
  const [address, port] = list(session.client?.remote_addr);
  if (address === undefined) return null;
  return (String(address).includes(":") ? "[" + address + "]" : address) + ":" + port;
}

const COLUMNS = [
  { key: "id", label: "Id", of: (session) => session.id + (session.status === "connected" ? "" : " " + session.status) },
  { key: "address", label: "Address", of: (session) => endOf(session) },
  { key: "user", label: "User", of: (session) => session.user ?? session.name },
  { key: "wire", label: "Wire", of: (session) => session.wire + (session.tls ? " +" + session.tls : "") },
  { key: "listener", label: "Listener", of: (session) => session.listener },
  { key: "rooms", label: "Rooms", of: (session) => list(session.rooms).slice(0, 20).map((room) => String(room).slice(0, 100)).join(", ") },
  { key: "ping", label: "Ping", of: (session) => session.round_trip_ms, show: milliseconds },
  { key: "queued", label: "Queued", of: (session) => session.queued_bytes, show: bytes },
  { key: "in", label: "In/s", of: (_, { inward }) => inward, show: bytes },
  { key: "out", label: "Out/s", of: (_, { outward }) => outward, show: bytes },
  { key: "age", label: "Age", of: (session) => (Date.now() + clockAhead) / 1000 - session.start_time, show: span },
];
const ACTIONS_COLUMN = { key: "actions", label: "Actions" };
const ACTIONS = [["watch", "Watch", "watch"], ["kick", "Kick", "act"], ["quarantine", "Quarantine", "act"]];

const rows = new Map();
const order = new Intl.Collator(undefined, { numeric: true });
let sortedBy = COLUMNS[0];
let isDescending = false;
let total = 0;

function cellOf(parent, name, { key, show }) {
  const cell = make(parent, name);
  cell.dataset.column = key;
  if (show) cell.dataset.kind = "number";
  return cell;
}

function newButton(parent, label, data, title = "") {
  const button = make(parent, "button", "", label);
  button.type = "button";
  button.title = title;
  Object.assign(button.dataset, data);
  return button;
}

function headColumn(column) {
  const head = cellOf(at("columns"), "th", column);
  if (column === ACTIONS_COLUMN) head.textContent = column.label;
  else newButton(head, column.label, { sort: column.key }).addEventListener("click", () => {
    isDescending = sortedBy === column && !isDescending;
    sortedBy = column;
    markSorted();
    arrange(true);
  });
}

function markSorted() {
  for (const head of at("columns").children) {
    if (head.dataset.column === sortedBy.key) head.setAttribute("aria-sort", isDescending ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  }
}

function newRow(id) {
  const element = make(body, "tr", id === watchedId ? "watched" : "");
  element.dataset.session = id;
  const cells = COLUMNS.map((column) => {
    const cell = cellOf(element, "td", column);
    cell.dataset.label = column.label;
    return cell;
  });
  const place = cellOf(element, "td", ACTIONS_COLUMN);
  const buttons = {};
  for (const [action, label, needs] of ACTIONS) {
    buttons[action] = newButton(place, label, { action, needs, session: id }, label + " " + id);
  }
  const row = { element, cells, buttons, shown: [], inward: null, outward: null, sample: null, session: null, words: "" };
  rows.set(id, row);
  return row;
}

function dropRow(id) {
  const row = rows.get(id);
  if (!row) return;
  rows.delete(id);
  const hadFocus = row.element.contains(document.activeElement);
  row.element.remove();
  if (hadFocus) at("table").focus({ preventScroll: true });
}

function keepSession(session, now) {
  const id = String(session.id);
  const row = rows.get(id) ?? newRow(id);
  const { bytes_in: bytesIn, bytes_out: bytesOut } = session;
  const seconds = row.sample ? (now - row.sample.now) / 1000 : 0;
  if (row.sample && seconds >= SAMPLE_SECONDS_MIN) {
    row.inward = Math.max(0, bytesIn - row.sample.bytesIn) / seconds;
    row.outward = Math.max(0, bytesOut - row.sample.bytesOut) / seconds;
  }
  if (!row.sample || seconds >= SAMPLE_SECONDS_MIN) row.sample = { now, bytesIn, bytesOut };
  row.session = session;
  const searched = COLUMNS.filter((column) => !column.show).map((column) => column.of(row.session, row));
  row.words = [...searched, session.client?.path, session.client?.user_agent]
    .map((value) => String(value ?? "").slice(0, 300)).join("\n").toLowerCase();
  row.buttons.quarantine.hidden = addressOf(session) === null;
  showRow(row);
  return id;
}

function showRow(row) {
  COLUMNS.forEach((column, index) => {
    const value = column.of(row.session, row);
    const words = (column.show ?? text)(value);
    if (row.shown[index] === words) return;
    row.shown[index] = words;
    row.cells[index].textContent = words;
    if (!column.show) row.cells[index].title = words === NONE ? "" : clip(value, 300);
  });
}

function arrange(isAsked) {
  const wanted = filter.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
  let visible = 0;
  for (const row of rows.values()) {
    const isShown = wanted.every((word) => row.words.includes(word));
    if (row.element.hidden === isShown) row.element.hidden = !isShown;
    if (isShown) visible += 1;
  }
  // Rows must not move while the pointer or the focus is on them, or the wrong button is pressed.
  if (isAsked || !(body.matches(":hover") || body.querySelector(":focus-visible"))) {
    const sorted = [...rows.values()].map((row) => {
      const value = sortedBy.of(row.session, row);
      return [row.element, sortedBy.show ? number(value) : value ? String(value).slice(0, CELL_CHARACTERS) : null];
    });
    sorted.sort(([, a], [, b]) => {
      // Unknown values are last in both directions.
      if (a === null || b === null) return (a === null) - (b === null);
      return (isDescending ? -1 : 1) * (sortedBy.show ? a - b : order.compare(a, b));
    });
    let next = body.firstElementChild;
    for (const [element] of sorted) {
      if (element === next) next = next.nextElementSibling;
      else body.insertBefore(element, next);
    }
  }
  let words = total > rows.size ? `showing ${rows.size} of ${total} open` : `${rows.size} open`;
  if (visible < rows.size) words += `, ${visible} match`;
  put(at("count"), words);
  at("empty").hidden = visible > 0;
  put(at("empty"), rows.size === 0 ? "No connections." : "No connection matches.");
}

// --- Watching

const traffic = tail(at("watched"), (line, { when, way, words, note }) => {
  make(line, "span", "faint", when);
  if (way) make(line, "span", "way", way === "in" ? "→ in" : "← out").dataset.way = way;
  if (words !== undefined) make(line, "span", "", words);
  if (note) make(line, "span", "faint", " " + note);
});
let watchedId = null;

function tellWatch(words, isRunning) {
  put(at("watch-state"), words);
  at("stop").disabled = !isRunning;
  if (!isRunning) watchedId = null;
  for (const [id, row] of rows) row.element.classList.toggle("watched", id === watchedId);
}

function watch(id) {
  if (watchedId === id) return;
  if (watchedId !== null) send({ type: "stop_watching", session_id: watchedId });
  if (!send({ type: "watch_session", session_id: id })) return;
  watchedId = id;
  traffic.clear();
  at("watch").hidden = false;
  put(at("watch-heading"), "Traffic of " + clip(id, CELL_CHARACTERS));
  const session = rows.get(id)?.session;
  const about = [session?.user, session && endOf(session), session?.client?.path, session?.client?.user_agent];
  put(at("watch-about"), about.filter((part) => part).map((part) => clip(part, 200)).join(" · "));
  tellWatch("requesting", true);
  at("watch").scrollIntoView({ block: "nearest" });
}

function showTraffic(way, { session_id: id, data }) {
  if (id !== watchedId) return;
  const whole = String(data?.text ?? "");
  const isCut = data?.truncated === true || whole.length > LINE_CHARACTERS;
  traffic.push({
    when: clock(), way, words: clip(whole, LINE_CHARACTERS), note: bytes(data?.bytes) + (isCut ? ", truncated" : ""),
  });
}

function noteTraffic(note) {
  traffic.push({ when: clock(), note });
}

// --- Quarantine

const quarantined = new Map();

function showQuarantine(addresses) {
  const listed = addresses.slice(0, QUARANTINE_MAX);
  const kept = new Set(listed.map(({ address }) => String(address)));
  for (const [address, { item }] of quarantined) {
    if (kept.has(address)) continue;
    item.remove();
    quarantined.delete(address);
  }
  for (const { address: given, seconds } of listed) {
    const address = String(given);
    let entry = quarantined.get(address);
    if (!entry) {
      const item = make(at("quarantine-list"), "li");
      make(item, "span", "", clip(address, CELL_CHARACTERS));
      entry = { item, left: make(item, "span") };
      newButton(item, "Release", { action: "release", needs: "act", address }, "Release " + clip(address, CELL_CHARACTERS));
      quarantined.set(address, entry);
    }
    put(entry.left, span(seconds));
  }
  at("quarantine-note").hidden = listed.length > 0;
}

// --- Recent errors and longest durations

function showRecent({ errors, connections_longest: longest, work_longest: work }) {
  const place = at("recent-list");
  place.replaceChildren();
  const add = (when, words) => {
    const line = make(place, "div");
    make(line, "span", "faint", when);
    make(line, "span", "", clip(words, LINE_CHARACTERS));
  };
  for (const { unix_ms: unix, reason, peer } of list(errors)) {
    add(number(unix) === null ? NONE : clock(unix), text(reason) + " " + text(peer));
  }
  for (const { duration_ms: ms, reason, wire, peer } of list(longest)) {
    add(span(ms / 1000), [wire, peer, reason].map(text).join(" "));
  }
  for (const { duration_ms: ms, finished, peer } of list(work)) {
    add(span(ms / 1000), "work " + text(peer) + (finished === true ? "" : " expired"));
  }
  at("recent").hidden = false;
}

// --- Messages from the server

const logLines = tail(at("log"), (line, { when, words }) => {
  make(line, "span", "faint", when);
  make(line, "span", "", words);
});

let intervalMs = 1000;

const heard = {
  __proto__: null,
  hello(message) {
    document.body.classList.toggle("may-act", message.may_act === true);
    document.body.classList.toggle("may-watch", message.may_watch === true);
    put(at("version"), text(message.version));
    intervalMs = number(message.interval_ms) ?? intervalMs;
    // The server sends a new monitor no quarantine list if that is empty.
    showQuarantine([]);
    tell("connected", "open");
  },
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
  log: (message) => logLines.push({ when: clock(message.unix_ms), words: clip(message.line, LINE_CHARACTERS) }),
  action_response(message) {
    const isDone = message.status === "success";
    ownAddress = null;
    if (message.error === "own_address") {
      ownAddress = askedAddress;
      at("quarantine-address").value = askedAddress;
      notice("This is your own address: you would lock yourself out. Quarantine it again to confirm.", "error");
      return;
    }
    const ended = number(message.connections) === null ? "" : `, ${count(message.connections)} connections closed`;
    const hosts = message.hosts_known > 1 ? ` on ${count(message.hosts)} of ${count(message.hosts_known)} hosts` : "";
    notice(text(message.action) + (isDone ? ": done" + ended + hosts : " failed: " + text(message.error)), isDone ? "done" : "error");
  },
};

// --- The connection

let socket = null;
let attempts = 0;
let openedAt = null;
let heardAt = 0;
let retryAt = null;

function tell(words, kind, wait = "") {
  put(at("state-words"), words);
  put(at("state-wait"), wait);
  at("state").dataset.state = kind;
}

function connect() {
  retryAt = null;
  tell("connecting", "opening");
  const opened = new WebSocket((location.protocol === "https:" ? "wss:" : "ws:") + "//" + location.host + "/monitor");
  socket = opened;
  heardAt = performance.now();
  opened.onopen = () => { openedAt = heardAt = performance.now(); };
  opened.onclose = lost;
  opened.onmessage = (event) => {
    heardAt = performance.now();
    let message = null;
    try {
      message = JSON.parse(event.data);
    } catch {
      return;
    }
    heard[message?.type]?.(message);
  };
}

function lost() {
  socket.onopen = socket.onclose = socket.onmessage = null;
  socket.close();
  socket = null;
  if (openedAt !== null && performance.now() - openedAt > STABLE_MS) attempts = 0;
  openedAt = null;
  const most = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** attempts);
  attempts += 1;
  retryAt = performance.now() + most * (.8 + Math.random() * .2);
  // The next connection may reach another run of the server, where ids mean other connections.
  if (watchedId !== null) tellWatch("stopped: the connection was lost", false);
  metricsBefore = null;
  ping = null;
  for (const row of rows.values()) row.sample = row.inward = row.outward = null;
  messageChart.push([]);
  delayChart.push([]);
  disarm();
  beat();
}

function beat() {
  const now = performance.now();
  if (socket !== null && now - heardAt > Math.max(SILENT_MS, 5 * intervalMs)) lost();
  if (retryAt === null) return;
  if (now >= retryAt) connect();
  // A browser does not learn why an upgrade was refused. An expired credential is likely.
  else {
    const seconds = Math.ceil((retryAt - now) / 1000);
    tell("lost, reconnecting", "closed", ` in ${seconds} s` + (attempts > 3 ? " (or reload to sign in again)" : ""));
  }
}

function send(message) {
  if (socket === null || socket.readyState !== WebSocket.OPEN) {
    notice("not connected; nothing was sent", "error");
    return false;
  }
  socket.send(JSON.stringify(message));
  return true;
}

// --- Actions of the operator

let armed = null;

function disarm() {
  if (armed === null) return;
  clearTimeout(armed.timer);
  armed.button.textContent = armed.words;
  delete armed.button.dataset.armed;
  armed = null;
}

function isSure(button) {
  const isSecond = armed?.button === button;
  disarm();
  if (isSecond) return true;
  armed = { button, words: button.textContent, timer: setTimeout(disarm, SURE_MS) };
  // The buttons beside it must not move when its text changes.
  button.style.minWidth = button.offsetWidth + "px";
  button.textContent = "sure?";
  button.dataset.armed = "";
  return false;
}

// The last requested address, and the one that the server refused as the operator's own.
let askedAddress = null;
let ownAddress = null;

function quarantine(address) {
  askedAddress = address;
  return send({ type: "quarantine", address, force: address === ownAddress });
}

const actions = {
  __proto__: null,
  watch: ({ session }) => watch(session),
  stop: () => { if (watchedId !== null) send({ type: "stop_watching", session_id: watchedId }); },
  release: ({ address }) => send({ type: "release", address }),
  kick: ({ session }, button) => isSure(button) && send({ type: "kick", session_id: session }),
  quarantine: ({ session }, button) => isSure(button) && quarantine(addressOf(rows.get(session).session)),
  reset: () => send({ type: "reset_metrics" }),
  drain: (_, button) => isSure(button) && send({ type: "drain" }),
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button?.type === "button") actions[button.dataset.action]?.(button.dataset, button);
});

at("quarantine-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = at("quarantine-address").value.trim();
  if (address !== "" && quarantine(address)) at("quarantine-address").value = "";
});

at("kick-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const user = at("kick-user").value;
  const button = event.submitter ?? at("kick-form").querySelector("button");
  if (user !== "" && isSure(button) && send({ type: "kick_user", user })) at("kick-user").value = "";
});

filter.addEventListener("input", () => arrange(true));

window.addEventListener("online", () => {
  if (retryAt !== null) connect();
});

for (const column of [...COLUMNS, ACTIONS_COLUMN]) headColumn(column);
markSorted();
setInterval(beat, 250);
connect();
