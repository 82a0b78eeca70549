// What the charts show: the last minutes, which the page has seen, or the last hour or day, which the server keeps.
//
// The page keeps what it has received when the server starts again, where the server begins anew.

const RANGES = {
  minutes: { ms: 2 * 60 * 1000, words: "2 minutes ago" },
  hour: { ms: 60 * 60 * 1000, words: "1 hour ago" },
  day: { ms: 24 * 60 * 60 * 1000, words: "1 day ago" },
};
// After so many steps without a sample, the curve is interrupted.
const GAP_STEPS = 3;

// Each is a list of points in the order of time. A gap is null.
const points = { minutes: [], hour: [], day: [] };
// The last sample of each series of the server.
const lastSample = { hour: null, day: null };
const range = at("range");

const charts = [
  chart(at("chart-messages"), "Messages", [
    { name: "in", key: "inward", show: rate, least: 1 },
    { name: "out", key: "outward", show: rate, least: 1 },
  ], true),
  chart(at("chart-delay"), "Delay", [
    { name: "ping", key: "ping", show: milliseconds, least: 1 },
    { name: "queued", key: "queued", show: bytes, least: 1000 },
  ], false),
  chart(at("chart-open"), "Connections", [{ name: "open", key: "open", show: count, least: 10 }], false),
];

// The time of the server.
const serverNow = () => Date.now() + clockAhead;

function drawCharts() {
  const { ms, words } = RANGES[range.value] ?? RANGES.minutes;
  const now = serverNow();
  const shown = (points[range.value] ?? []).filter((point) => point === null || point.at >= now - ms);
  for (const one of charts) one.show(shown, now - ms, now, [words, "now"]);
}

function addPoint(name, point) {
  const kept = points[name];
  kept.push(point);
  const from = serverNow() - RANGES[name].ms;
  let old = 0;
  while (old < kept.length && (kept[old] === null || kept[old].at < from)) old += 1;
  kept.splice(0, old);
}

// Interrupts the curve of the last minutes, because the connection was lost.
function interrupt() {
  if (points.minutes.length > 0 && points.minutes.at(-1) !== null) points.minutes.push(null);
  drawCharts();
}

// Takes samples of the server. Those that the page has already are skipped.
function takeSamples(name, { step_ms: step, samples }) {
  for (const sample of list(samples)) {
    const [time, open, queued, inward, outward, trips, tripUs] = list(sample);
    const before = lastSample[name];
    if (number(time) === null || before !== null && time <= before.time) continue;
    lastSample[name] = { time, inward, outward, trips, tripUs };
    if (before === null) continue;
    const seconds = (time - before.time) / 1000;
    // A counter that decreased belongs to another run of the server.
    const isGap = inward < before.inward || outward < before.outward || time - before.time > GAP_STEPS * step;
    if (isGap) addPoint(name, null);
    else addPoint(name, {
      at: time, open, queued, inward: (inward - before.inward) / seconds, outward: (outward - before.outward) / seconds,
      ping: trips > before.trips ? (tripUs - before.tripUs) / (trips - before.trips) / 1000 : null,
    });
  }
}

function showHistory({ series }) {
  ["hour", "day"].forEach((name, index) => takeSamples(name, list(series)[index] ?? {}));
  drawCharts();
}

range.addEventListener("change", drawCharts);
