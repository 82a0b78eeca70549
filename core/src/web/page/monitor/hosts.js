// The messages of each host when it last reported other numbers, and the rate since the report before.
const hostSamples = new Map();

function hostRate({ id, uptime_seconds: uptime, messages_in: inward, messages_out: outward }) {
  const before = hostSamples.get(id);
  const messages = inward + outward;
  if (before && before.uptime === uptime) return before.rate;
  const seconds = before ? uptime - before.uptime : 0;
  const found = seconds > 0 ? Math.max(0, messages - before.messages) / seconds : null;
  hostSamples.set(id, { uptime, messages, rate: found });
  return found;
}

// This host is first.
function showHosts(hosts) {
  at("hosts").hidden = hosts.length === 0;
  const known = new Set(hosts.map(({ id }) => id));
  for (const id of hostSamples.keys()) if (!known.has(id)) hostSamples.delete(id);
  at("host-list").replaceChildren();
  for (const host of hosts) {
    const item = make(at("host-list"), "li");
    item.dataset.state = host.is_linked ? "up" : "down";
    make(item, "strong", "", text(host.name || host.id) + (host.is_own ? " (this host)" : ""));
    make(item, "span", "", host.is_linked ? "linked to the broker" : "not linked to the broker");
    make(item, "span", "", `${many(host.connections, "connection")}, ${many(host.rooms, "room")}`);
    make(item, "span", "", `messages ${rate(hostRate(host))}`);
    make(item, "span", "", `${many(host.workers, "worker")}, version ${text(host.version)}`);
    const since = number(host.uptime_seconds) === null ? NONE : new Date(Date.now() - host.uptime_seconds * 1000).toLocaleString();
    make(item, "span", "", `up since ${since}`);
    make(item, "span", "", `link lost ${many(host.link_losses, "time")}`);
    if (!host.is_own) make(item, "span", "", `as of ${span(host.as_of_seconds)} ago`);
  }
}
