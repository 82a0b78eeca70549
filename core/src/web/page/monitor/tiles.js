// --- Numbers of now

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
