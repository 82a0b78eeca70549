// --- Watching

const traffic = tail(at("watched"), (line, { when, way, words, note }) => {
  make(line, "span", "faint", when);
  if (way) make(line, "span", "way", way === "in" ? "→ in" : "← out").dataset.way = way;
  if (words !== undefined) make(line, "span", "", words);
  if (note) make(line, "span", "faint", " " + note);
});
let watchedId = null;

function tellWatch(words, isRunning) {
  put(at("watch-state"), words);
  at("stop").disabled = !isRunning;
  if (!isRunning) watchedId = null;
  for (const [id, row] of rows) row.element.classList.toggle("watched", id === watchedId);
}

function watch(id) {
  if (watchedId === id) return;
  if (watchedId !== null) send({ type: "stop_watching", session_id: watchedId });
  if (!send({ type: "watch_session", session_id: id })) return;
  watchedId = id;
  traffic.clear();
  at("watch").hidden = false;
  const session = rows.get(id)?.session;
  put(at("watch-heading"), "Traffic of " + (session ? who(session) : clip(id, CELL_CHARACTERS)));
  const about = [session && endOf(session), session?.client?.path, session?.client?.user_agent];
  put(at("watch-about"), about.filter((part) => part).map((part) => clip(part, 200)).join(" · "));
  tellWatch("requesting", true);
  at("watch").scrollIntoView({ block: "nearest" });
}

function showTraffic(way, { session_id: id, data }) {
  if (id !== watchedId) return;
  const whole = String(data?.text ?? "");
  const isCut = data?.truncated === true || whole.length > LINE_CHARACTERS;
  traffic.push({
    when: clock(), way, words: clip(whole, LINE_CHARACTERS), note: bytes(data?.bytes) + (isCut ? ", truncated" : ""),
  });
}

function noteTraffic(note) {
  traffic.push({ when: clock(), note });
}
