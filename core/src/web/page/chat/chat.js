// The user's name and room in the chat. The page learns both from the lines of the chat, and gets both again after an
// outage: the chat puts each new connection into the lobby, under a new name.

const LOBBY = "lobby";
// When the page asks again for a name that is in use: then after twice the time, and so on. The server may not have
// noticed the end of the last connection yet.
const NAME_WAIT_MS = 5000;
const NAME_TRIES_MAX = 6;

// The user's name. Null if the application is not the chat.
let me = null;
// The name that was asked for and not confirmed.
let askedName = null;
// The name and the room to get again on a new connection, until the chat has answered.
let restoring = null;
let nameTimer = null;
// How often the page has asked again for a name that is in use. 0: it does not.
let nameTries = 0;

// Begins with the greeting of the chat, which is the first line of a connection.
function greeted(name) {
  // A guest's name lasts as long as the page, unless it is taken meanwhile.
  const wanted = chosen.get("name") ?? (outage === null ? null : me);
  const room = chosen.get("room");
  me = name;
  restoring = { name: wanted === name ? null : wanted, room: room === LOBBY ? null : room, isLost: false };
  if (restoring.name !== null) askForName(restoring.name);
  if (restoring.room !== null) {
    // With a position, the server sends what was said in the room meanwhile.
    const since = sinceOn.room === restoring.room ? " " + sinceOn.position : "";
    socket.send("/join " + restoring.room + since);
  }
}

function askForName(name) {
  askedName = name.normalize("NFC");
  socket.send("/nick " + name);
}

// The connection has ended.
function forgetRestoring() {
  clearTimeout(nameTimer);
  nameTimer = askedName = restoring = null;
  nameTries = 0;
  resetPresent();
}

// Handles a line that begins with `* `, which only the server sends. Returns whether it is shown.
function noticed(text, isFirst) {
  const [, greeting] = isFirst ? /^\* welcome, (\S+); /.exec(text) ?? [] : [];
  if (greeting !== undefined) greeted(greeting);
  if (me === null) return true;
  if (takeList(text)) return false;
  const isShown = outage === null;
  const [, name, verb, other] = /^\* (\S+) (came to|went to|is now|left\b)(?: (\S+)|.*)$/.exec(text) ?? [];
  if (greeting !== undefined) return isShown;
  if (verb === "is now" && name === me && other === askedName) {
    renamed(other);
    return isShown;
  }
  if (verb === "came to" && name === me) {
    arrived(other);
    return isShown;
  }
  if (verb === "is now") renamePerson(name, other);
  else if (verb === "came to" && other === present.room) addPerson(name);
  else if (verb !== undefined && name !== me) removePerson(name);
  const isTaken = askedName !== null && (text === "* " + askedName + " is taken" || text.startsWith("* " + askedName + " looks like "));
  if (isTaken) return refusedName();
  if (restoring !== null && text.startsWith("* cannot join ")) {
    restoring.room = null;
    settle();
  }
  return true;
}

function renamed(name) {
  renamePerson(me, name);
  me = name;
  askedName = null;
  nameTries = 0;
  // The name of a guest who came back is not one that the user chose.
  if (restoring === null || chosen.get("name") !== null) chosen.set("name", name);
  if (restoring !== null) restoring.name = null;
  settle();
}

function arrived(room) {
  const isOnTheWay = restoring !== null && restoring.room !== null && room !== restoring.room;
  if (isOnTheWay) return;
  const now = room === LOBBY ? null : room;
  if (now !== chosen.get("room")) {
    chosen.set("room", now);
    // The position is one of the room that the user has left.
    chosen.set("seen", null);
  }
  if (restoring !== null) restoring.room = null;
  cameTo(room);
  settle();
}

// The name is in use. Returns whether the line is shown that says so.
function refusedName() {
  const isOwn = nameTries > 0 || restoring !== null && restoring.name !== null;
  const name = askedName;
  askedName = null;
  if (!isOwn) return true;
  if (restoring !== null) {
    restoring.name = null;
    restoring.isLost = true;
  }
  if (chosen.get("name") !== null && nameTries < NAME_TRIES_MAX) {
    nameTimer = setTimeout(() => askForName(name), NAME_WAIT_MS * 2 ** nameTries);
    nameTries += 1;
  } else if (nameTries > 0) {
    nameTries = 0;
    show("* " + name + " stays in use; /nick chooses another name", "notice");
  }
  settle();
  return false;
}

// Ends the outage when the user has the name and the room again.
function settle() {
  if (restoring === null || restoring.name !== null || restoring.room !== null || present.room === null) return;
  const more = restoring.isLost ? " as " + me + " (the name is still in use" + (nameTries > 0 ? "; asking again" : "") + ")" : "";
  restoring = null;
  endOutage(more);
}

// The user sends a line: a name that is asked for now replaces one that the page asks for.
function sending(text) {
  const [, name] = /^\/nick\s+(\S+)\s*$/.exec(text) ?? [];
  if (me === null || name === undefined) return;
  clearTimeout(nameTimer);
  nameTries = 0;
  askedName = name.normalize("NFC");
}
