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

// After an outage, the server may be another run, which does not know the cookie of this page. The page's own address
// sets a new one. A browser does not tell a page why a WebSocket was refused, but it does for this request. It may also ask
// the operator for the credential.
async function renew() {
  retryAt = null;
  tell("connecting", "opening");
  try {
    const response = await fetch("/monitor", { method: "HEAD", cache: "no-store", signal: AbortSignal.timeout(RENEW_MS) });
    if (response.status === 401) return tell("signed out; reload the page to sign in", "closed");
  } catch {
    return retryLater();
  }
  connect();
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
  document.body.classList.add("stale");
  // The next connection may reach another run of the server, where ids mean other connections.
  if (watchedId !== null) tellWatch("stopped: the connection was lost", false);
  metricsBefore = null;
  ping = null;
  for (const row of rows.values()) row.sample = row.inward = row.outward = null;
  interrupt();
  retryLater();
}

function retryLater() {
  const most = Math.min(WAIT_MAX_MS, WAIT_FIRST_MS * 2 ** attempts);
  attempts += 1;
  retryAt = performance.now() + most * (.8 + Math.random() * .2);
  beat();
}

function beat() {
  const now = performance.now();
  if (socket !== null && now - heardAt > Math.max(SILENT_MS, 5 * intervalMs)) lost();
  if (retryAt === null) return;
  if (now >= retryAt) renew();
  else tell("connection lost, what is shown is old; reconnecting", "closed", ` in ${Math.ceil((retryAt - now) / 1000)} s`);
}

function send(message) {
  if (socket === null || socket.readyState !== WebSocket.OPEN) {
    notice("not connected; nothing was sent", "error");
    return false;
  }
  socket.send(JSON.stringify(message));
  return true;
}
