function showStats({ unix_ms: now, draining, metrics, tunnels, watchers, uptime_seconds: uptime }) {
  showTunnels(list(tunnels));
  if (typeof metrics !== "object" || metrics === null) return;
  clockAhead = number(now) === null ? 0 : now - Date.now();
  const before = metricsBefore;
  metricsBefore = { now, metrics };
  // A counter that decreased belongs to another run of the server.
  const grown = (name) => {
    const difference = before === null ? NaN : metrics[name] - before.metrics[name];
    return difference >= 0 ? difference : null;
  };
  const seconds = before === null ? 0 : (now - before.now) / 1000;
  const perSecond = (name) => (seconds >= SAMPLE_SECONDS_MIN && grown(name) !== null ? grown(name) / seconds : null);

  const open = metrics.open - (number(watchers) ?? 0);
  // Pings are rarer than intervals, so the last mean is shown until there is another.
  if (grown("round_trip_count") > 0) ping = grown("round_trip_us") / grown("round_trip_count") / 1000;
  // Like the table, the tile omits the connections of monitors.
  tile("open", count(open));
  for (const name of ["messages_in", "messages_out"]) tile(name, rate(perSecond(name)));
  for (const name of ["bytes_in", "bytes_out"]) tile(name, byteRate(perSecond(name)));
  tile("ping", milliseconds(ping));
  tile("queued", bytes(metrics.queued_bytes));
  tile("uptime", number(uptime) === null ? NONE : span(uptime));
  tile("stalled", count(metrics.stalled), metrics.stalled > 0);
  tile("refused", count(metrics.refused), grown("refused") > 0);
  showRooms(metrics, grown);
  const [inward, outward] = [perSecond("messages_in"), perSecond("messages_out")];
  addPoint("minutes", inward === null ? null : { at: serverNow(), inward, outward, ping, queued: metrics.queued_bytes, open });
  drawCharts();

  at("draining").hidden = !draining;
  at("drain").disabled = draining === true;
}
