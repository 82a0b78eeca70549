// --- The table of connections

const body = at("sessions");
const filter = at("filter");

const addressOf = (session) => list(session.client?.remote_addr)[0] ?? null;

function endOf(session) {
  const [address, port] = list(session.client?.remote_addr);
  if (address === undefined) return null;
  return (String(address).includes(":") ? "[" + address + "]" : address) + ":" + port;
}

// The name in the application, and the user who logged in, if it is another one.
function nameOf({ name, user }) {
  return name && user && name !== user ? name + " (" + user + ")" : name ?? user;
}

// The operator's address, as the quarantine lists it.
let ownAddress = null;

const isOwn = (session) => ownAddress !== null && addressOf(session) === ownAddress;

const COLUMNS = [
  { key: "name", label: "Name", of: nameOf },
  { key: "id", label: "Id", of: (session) => session.id + (session.status === "connected" ? "" : " " + session.status) },
  { key: "address", label: "Address", of: (session) => endOf(session) && endOf(session) + (isOwn(session) ? " (yours)" : "") },
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
let sortedBy = COLUMNS.find(({ key }) => key === "id");
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
  describe(button, title);
  Object.assign(button.dataset, data);
  return button;
}

// What a button does, for those who do not see what it belongs to.
function describe(button, title) {
  if (title === "" || button.title === title) return;
  button.title = title;
  button.setAttribute("aria-label", title);
}

function headColumn(column) {
  const head = cellOf(at("columns"), "th", column);
  if (column === ACTIONS_COLUMN) head.textContent = column.label;
  else newButton(head, column.label, { sort: column.key }).addEventListener("click", () => {
    isDescending = sortedBy === column && !isDescending;
    sortedBy = column;
    markSorted();
    arrange(true);
    keepView();
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
    buttons[action] = newButton(place, label, { action, needs, session: id });
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
  for (const [action, label] of ACTIONS) describe(row.buttons[action], label + " " + who(row.session));
}

// A connection in words: its name, if it has one, and its id.
function who(session) {
  const found = nameOf(session);
  return found ? clip(found, CELL_CHARACTERS) + " (" + clip(session.id, CELL_CHARACTERS) + ")" : clip(session.id, CELL_CHARACTERS);
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
  let words = total > rows.size ? `the first ${rows.size} of ${total} open; filter and order are of these` : `${rows.size} open`;
  if (visible < rows.size) words += `, ${visible} match`;
  put(at("count"), words);
  at("empty").hidden = visible > 0;
  put(at("empty"), rows.size === 0 ? "No connections." : "No connection matches.");
}

// The filter and the order last until the tab closes.
function keepView() {
  try {
    sessionStorage.setItem("drupe.monitor", JSON.stringify([filter.value, sortedBy.key, isDescending]));
  } catch {
    // Storage is disabled: they last until the page is reloaded.
  }
}

function restoreView() {
  try {
    const [words, key, descends] = JSON.parse(sessionStorage.getItem("drupe.monitor")) ?? [];
    filter.value = words ?? "";
    sortedBy = COLUMNS.find((column) => column.key === key) ?? sortedBy;
    isDescending = descends === true;
  } catch {
    // As above, or somebody else has written there.
  }
}
