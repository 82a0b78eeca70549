// The line that the user types, and the lines that were sent.

const HISTORY_LINES = 100;
const history = [];
let recalled = 0;

// Sends a line. Returns whether it could be sent.
function sendLine(text) {
  if (!isServed || socket.readyState !== WebSocket.OPEN) {
    show("* not connected; nothing was sent", "notice");
    if (timer !== null) connect();
    return false;
  }
  sending(text);
  socket.send(text);
  askIfOld();
  return true;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const text = line.value;
  if (text === "" || !sendLine(text)) return;
  if (history[history.length - 1] !== text) history.push(text);
  if (history.length > HISTORY_LINES) history.shift();
  recalled = history.length;
  line.value = "";
  scrollToEnd();
});

line.addEventListener("keydown", (event) => {
  const step = event.key === "ArrowUp" ? -1 : event.key === "ArrowDown" ? 1 : 0;
  if (step === 0) return;
  event.preventDefault();
  recalled = Math.max(0, Math.min(history.length, recalled + step));
  line.value = history[recalled] ?? "";
  line.setSelectionRange(line.value.length, line.value.length);
});

if (MODE === "none") connect();
else startLogin().catch(() => tell("the login could not be loaded; reload the page", "closed"));
