// One line for an outage, however often the page tries to connect: why it began, and then how long it was.

// The current outage: its line, why the connection ended, and when.
let outage = null;

// Sentences for close reasons. Others are shown as they are.
const WORDS = new Map([
  ["kicked", "an operator closed the connection"],
  ["quarantined", "the server has put this address into quarantine"],
  ["replaced", "the user has logged in elsewhere"],
  ["forbidden", "the server does not allow this"],
  ["unauthorized", "the server did not accept the login"],
  ["session_expired", "the session has expired"],
  ["authentication_timeout", "the login took too long"],
  ["shutdown", "the server is shutting down"],
  ["idle", "nothing was sent for too long"],
  ["connection lost", "connection lost"],
]);

function sentence(why) {
  const words = WORDS.get(why);
  if (words === undefined) return "connection closed (" + why + ")";
  return words === why ? words : words + " (" + why + ")";
}

function span(milliseconds) {
  const seconds = Math.max(1, Math.round(milliseconds / 1000));
  if (seconds < 60) return seconds + " s";
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? minutes + " min " + seconds % 60 + " s" : Math.floor(minutes / 60) + " h " + minutes % 60 + " min";
}

function beginOutage(why) {
  outage ??= { line: show("* " + sentence(why), "notice"), since: Date.now(), why };
}

// The page is connected again, and in its room.
function endOutage(more = "") {
  if (outage === null) return;
  const { line, since, why } = outage;
  reword(line, "* reconnected after " + span(Date.now() - since) + more + ": " + sentence(why));
  outage = null;
}

// The page does not connect by itself any more.
function stayOut() {
  if (outage === null) return;
  reword(outage.line, "* " + sentence(outage.why));
  outage = null;
}
