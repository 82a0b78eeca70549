// --- Actions of the operator

// The last address that was asked to be quarantined.
let askedAddress = null;

// Asks before a quarantine. With `isOwn`, it is known that the operator would be locked out.
function askQuarantine(address, isOwn) {
  const open = [...rows.values()].filter(({ session }) => addressOf(session) === address).length;
  ask({
    title: "Quarantine " + clip(address, CELL_CHARACTERS) + "?",
    words: (open === 0 ? "No connection in the table has this address. " : `It closes ${open} of the connections in the table. `) +
      "Until the quarantine ends, the server accepts no connection from this address.",
    warning: isOwn ? "This is your own address: you would lock yourself out. This page works until its connection ends, and then " +
      "nobody at your address can open it or release the address." : "",
    label: isOwn ? "Lock myself out" : "Quarantine",
  }, () => {
    askedAddress = address;
    if (send({ type: "quarantine", address, force: isOwn })) at("quarantine-address").value = "";
  });
}

function askKick(session) {
  const own = isOwn(session) ? " It comes from your address, but this page stays open." : "";
  ask({
    title: "Kick " + who(session) + "?",
    words: "The connection is closed as kicked. The peer may connect again." + own,
    label: "Kick",
  }, () => send({ type: "kick", session_id: String(session.id) }));
}

function askKickUser(user) {
  ask({
    title: "Kick the user " + clip(user, CELL_CHARACTERS) + "?",
    words: "All connections that have logged in as this user are closed, on all hosts. The user may connect again.",
    label: "Kick",
  }, () => {
    if (send({ type: "kick_user", user })) at("kick-user").value = "";
  });
}

function askDrain() {
  ask({
    title: "Drain the server?",
    words: "The server accepts no new connections, closes the open ones in turn, and then stops.",
    warning: "That ends this page too. It works again when the server is started again.",
    label: "Drain",
  }, () => send({ type: "drain" }));
}

const actions = {
  __proto__: null,
  watch: ({ session }) => watch(session),
  stop: () => { if (watchedId !== null) send({ type: "stop_watching", session_id: watchedId }); },
  release: ({ address }) => send({ type: "release", address }),
  kick: ({ session }) => askKick(rows.get(session).session),
  quarantine: ({ session }) => askQuarantine(addressOf(rows.get(session).session), isOwn(rows.get(session).session)),
  reset: () => send({ type: "reset_metrics" }),
  record: () => send({ type: "record" }),
  drain: askDrain,
};

document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-action]");
  if (button?.type === "button") actions[button.dataset.action]?.(button.dataset);
});

at("quarantine-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const address = at("quarantine-address").value.trim();
  if (address !== "") askQuarantine(address, address === ownAddress);
});

at("kick-form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (at("kick-user").value !== "") askKickUser(at("kick-user").value);
});

filter.addEventListener("input", () => {
  arrange(true);
  keepView();
});

window.addEventListener("online", () => {
  if (retryAt !== null) renew();
});

restoreView();
for (const column of [...COLUMNS, ACTIONS_COLUMN]) headColumn(column);
markSorted();
setInterval(beat, 250);
connect();
