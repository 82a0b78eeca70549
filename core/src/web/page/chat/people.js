// The people in the room and the rooms of the chat, beside the log.
//
// The chat answers `/who` and `/rooms`, and tells who comes and goes. The page asks when it comes to a room and when the
// user does something. It does not ask on a timer: then no user would be idle for the server.

const side = at("side");
const PEOPLE_MAX = 500;
// An older list of rooms is asked for again when the user does something. In milliseconds.
const FRESH_MS = 10000;

const present = {
  room: null,
  people: [],
  others: 0,
  rooms: [],
  otherRooms: 0,
  askedAt: -Infinity,
  // How many answers to the page's own `/who` and `/rooms` are still to come. They are not shown as lines.
  expected: { people: 0, rooms: 0 },
};

function resetPresent() {
  Object.assign(present, { room: null, people: [], others: 0, askedAt: -Infinity, expected: { people: 0, rooms: 0 } });
}

function askPresent() {
  present.askedAt = performance.now();
  for (const [list, command] of [["people", "/who"], ["rooms", "/rooms"]]) {
    present.expected[list] += 1;
    socket.send(command);
  }
}

function askIfOld() {
  if (isServed && present.room !== null && performance.now() - present.askedAt > FRESH_MS) askPresent();
}

// Returns the words of a list, and the number that follows it as `and 3 others`.
function listOf(text) {
  const [, words, others] = /^(.*?)(?: and (\d+) others?)?$/.exec(text);
  return [words.split(", ").filter((word) => word !== ""), Number(others ?? 0)];
}

// Takes an answer to `/who` or `/rooms`. Returns whether the page itself had asked for it.
function takeList(text) {
  const [, room, names] = /^\* in (\S+): (.*)$/.exec(text) ?? [];
  const [, rooms] = /^\* rooms: (.*)$/.exec(text) ?? [];
  if (room === undefined && rooms === undefined) return false;
  const list = room === undefined ? "rooms" : "people";
  if (room === undefined) {
    const [words, others] = listOf(rooms);
    present.rooms = words.map((word) => /^(\S+) \((\d+)\)$/.exec(word)).filter((found) => found).map(([, name, count]) => ({ name, count }));
    present.otherRooms = others;
  } else if (room === present.room) {
    [present.people, present.others] = listOf(names);
  }
  drawPresent();
  if (present.expected[list] === 0) return false;
  present.expected[list] -= 1;
  return true;
}

function cameTo(room) {
  if (room !== present.room) Object.assign(present, { room, people: [], others: 0 });
  askPresent();
}

function addPerson(name) {
  if (present.people.includes(name)) return;
  if (present.people.length < PEOPLE_MAX) present.people.push(name);
  else present.others += 1;
  drawPresent();
}

function removePerson(name) {
  const place = present.people.indexOf(name);
  if (place >= 0) present.people.splice(place, 1);
  else present.others = Math.max(0, present.others - 1);
  drawPresent();
}

function renamePerson(name, to) {
  present.people = present.people.map((one) => (one === name ? to : one));
  drawPresent();
}

let isDrawing = false;

// Many lines may come at a time, so the lists are drawn once for a frame.
function drawPresent() {
  if (!isDrawing) requestAnimationFrame(draw);
  isDrawing = true;
}

function draw() {
  isDrawing = false;
  const { room, people, others, rooms, otherRooms } = present;
  // Between two connections, the last lists stay.
  if (room === null) return;
  side.hidden = at("side-toggle").hidden = false;
  const count = people.length + others;
  at("people-heading").textContent = count === 0 ? room : room + " (" + count + ")";
  at("side-toggle").textContent = count + (count === 1 ? " person" : " people");
  const focused = side.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  fill("people", people, others, (item, name) => {
    if (name === me) make(item, "span", "", name + " (you)");
    else newButton(item, name, "msg " + name, "Send " + name + " a private message");
  });
  // Nobody may be in the lobby, but everyone can go back to it.
  const isListed = otherRooms > 0 || rooms.some(({ name }) => name === LOBBY);
  fill("rooms", isListed ? rooms : [...rooms, { name: LOBBY, count: 0 }], otherRooms, (item, { name, count: told }) => {
    // The list of rooms may be older than that of the people.
    const button = newButton(item, name + " (" + (name === room && count > 0 ? count : told) + ")", "join " + name, "Go to " + name);
    if (name === room) button.setAttribute("aria-current", "true");
  });
  if (focused === undefined) return;
  const same = [...side.querySelectorAll("button")].find((button) => button.dataset.key === focused);
  (same ?? line).focus();
}

function fill(id, entries, others, add) {
  at(id).replaceChildren();
  for (const entry of entries) add(make(at(id), "li"), entry);
  if (others > 0) make(at(id), "li", "", "and " + others + (others === 1 ? " other" : " others"));
}

function newButton(parent, words, key, title) {
  const button = make(parent, "button", "", words);
  button.type = "button";
  button.dataset.key = key;
  button.title = title;
  return button;
}

side.addEventListener("click", (event) => {
  const [verb, name] = event.target.closest("button")?.dataset.key?.split(" ") ?? [];
  if (verb === undefined) return;
  if (verb === "join" && name !== present.room) sendLine("/join " + name);
  if (verb === "msg") line.value = "/msg " + name + " ";
  openSide(false);
  line.focus();
});

function openSide(isOpen) {
  side.classList.toggle("open", isOpen);
  at("side-toggle").setAttribute("aria-expanded", isOpen);
}

at("side-toggle").addEventListener("click", () => {
  openSide(!side.classList.contains("open"));
  askIfOld();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || !side.classList.contains("open")) return;
  openSide(false);
  at("side-toggle").focus();
});
window.addEventListener("focus", askIfOld);
