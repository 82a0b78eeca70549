// --- Quarantine

const quarantined = new Map();

function showQuarantine(addresses) {
  const listed = addresses.slice(0, QUARANTINE_MAX);
  const kept = new Set(listed.map(({ address }) => String(address)));
  for (const [address, { item }] of quarantined) {
    if (kept.has(address)) continue;
    item.remove();
    quarantined.delete(address);
  }
  for (const { address: given, seconds } of listed) {
    const address = String(given);
    let entry = quarantined.get(address);
    if (!entry) {
      const item = make(at("quarantine-list"), "li");
      make(item, "span", "", clip(address, CELL_CHARACTERS));
      entry = { item, left: make(item, "span") };
      newButton(item, "Release", { action: "release", needs: "act", address }, "Release " + clip(address, CELL_CHARACTERS));
      quarantined.set(address, entry);
    }
    put(entry.left, span(seconds));
  }
  at("quarantine-note").hidden = listed.length > 0;
}
