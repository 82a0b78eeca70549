// How many messages came while the user was not looking: in the title, and as a mark in the log.

const TITLE = document.title;
let unread = 0;
// How many messages came while the log was scrolled up.
let below = 0;
let mark = null;

const isAway = () => document.hidden || !document.hasFocus();

// Counts a message, and marks it if it is the first one that the user has not seen.
function countUnread(line) {
  if (!isAtEnd()) showBelow(below + 1);
  if (!isAway()) return;
  if (unread === 0) {
    mark?.remove();
    mark = document.createElement("p");
    mark.className = "mark";
    mark.textContent = "New";
    append(() => line.before(mark));
  }
  unread += 1;
  document.title = "(" + unread + ") " + TITLE;
}

function markRead() {
  if (isAway() || unread === 0) return;
  unread = 0;
  document.title = TITLE;
}

function showBelow(count) {
  below = count;
  at("below").hidden = below === 0;
  at("below").textContent = below + (below === 1 ? " new message below" : " new messages below");
}

document.addEventListener("visibilitychange", markRead);
window.addEventListener("focus", markRead);

log.addEventListener("scroll", () => {
  if (below > 0 && isAtEnd()) showBelow(0);
});

at("below").addEventListener("click", () => {
  scrollToEnd();
  line.focus();
});
