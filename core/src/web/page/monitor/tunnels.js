let tunnelsShown = "";

function showTunnels(tunnels) {
  const wanted = JSON.stringify(tunnels);
  if (wanted === tunnelsShown) return;
  tunnelsShown = wanted;
  at("tunnels").hidden = tunnels.length === 0;
  at("tunnel-list").replaceChildren();
  for (const tunnel of tunnels) {
    const item = make(at("tunnel-list"), "li");
    item.dataset.state = tunnel.state;
    make(item, "strong", "", text(tunnel.name));
    const retry = number(tunnel.retry_in_seconds) === null ? "" : ", retry in " + span(tunnel.retry_in_seconds);
    make(item, "span", "tunnel-state", text(tunnel.state) + retry);
    for (const place of list(tunnel.forwards)) {
      const words = text(place.listener) + " at " + text(place.at) + (place.bound ? "" : " (not bound)");
      make(item, "span", place.bound ? "" : "unbound", words);
    }
    make(item, "span", "", `${count(tunnel.channels)} open, ${bytes(tunnel.bytes_in)} in, ${bytes(tunnel.bytes_out)} out`);
    make(item, "span", "", `connected ${count(tunnel.connected)} of ${count(tunnel.connects)} times`);
    const error = tunnel.last_error;
    if (error && tunnel.state !== "up") make(item, "p", "", clip(error.failure + ": " + error.words, 600));
  }
}
