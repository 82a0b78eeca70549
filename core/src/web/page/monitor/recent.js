// --- Recent errors and longest durations

function showRecent({ errors, connections_longest: longest, work_longest: work }) {
  const place = at("recent-list");
  place.replaceChildren();
  const add = (when, words) => {
    const line = make(place, "div");
    make(line, "span", "faint", when);
    make(line, "span", "", clip(words, LINE_CHARACTERS));
  };
  for (const { unix_ms: unix, reason, peer } of list(errors)) {
    add(number(unix) === null ? NONE : clock(unix), text(reason) + " " + text(peer));
  }
  for (const { duration_ms: ms, reason, wire, peer } of list(longest)) {
    add(span(ms / 1000), [wire, peer, reason].map(text).join(" "));
  }
  for (const { duration_ms: ms, finished, peer } of list(work)) {
    add(span(ms / 1000), "work " + text(peer) + (finished === true ? "" : " expired"));
  }
  at("recent").hidden = false;
}
