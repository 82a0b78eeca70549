// What the user chose, until the tab closes.

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

// Returns the text of a message from a room with a history, and its position. Null: other text.
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
  const of = { room, position: isPosition ? position : null };
  if (type === "gap") return { ...of, text: "* messages in " + room + " may be missing (" + why + ")" };
  if (type !== "message" || !isPosition) return null;
  return { ...of, text: typeof data === "string" ? data : JSON.stringify(data) };
}
