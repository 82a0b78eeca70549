"use strict";

// The parts of this folder are one script, in the order of `web/answer.rs`. This part makes text of values.
// Names, addresses, rooms and traffic come from untrusted peers. They are clipped, their invisible
// characters are made visible, and they are inserted as text, never as markup.

const SESSIONS_MAX = 500;
const QUARANTINE_MAX = 500;
const LINES_MAX = 200;
const CELL_CHARACTERS = 80;
const LINE_CHARACTERS = 4096;
// A rate over a shorter time would be mostly noise.
const SAMPLE_SECONDS_MIN = .05;
const NOTICE_MS = 6000;
const WAIT_FIRST_MS = 1000;
const WAIT_MAX_MS = 15000;
// A connection that lasted this long resets the backoff.
const STABLE_MS = 10000;
// The server sends once per interval. After at least this silence the connection counts as lost.
const SILENT_MS = 10000;
// The operator may have to type the credential in this time.
const RENEW_MS = 60000;
const NONE = "–";

const at = (id) => document.getElementById(id);

function make(parent, name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function clip(value, most) {
  const text = String(value);
  // \p{Cf} contains direction overrides and zero-width characters, which make names look alike.
  const plain = text.slice(0, most).replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, (character) => {
    const code = character.codePointAt(0);
    return code < 32 ? String.fromCharCode(0x2400 + code) : "‹U+" + code.toString(16).toUpperCase().padStart(4, "0") + "›";
  });
  return text.length > most ? plain + "…" : plain;
}

const list = (value) => (Array.isArray(value) ? value : []);
const number = (value) => (Number.isFinite(value) ? value : null);

function scaled(value, units) {
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const isRound = value >= 99.95 || Math.abs(value - Math.round(value)) < .05;
  return value.toFixed(isRound ? 0 : 1) + units[unit];
}

const text = (value) => (value === null || value === undefined || value === "" ? NONE : clip(value, CELL_CHARACTERS));
const known = (show) => (value) => (number(value) === null ? NONE : show(value));
const count = known((value) => scaled(value, ["", "k", "M", "G", "T"]));
const bytes = known((value) => scaled(value, [" B", " kB", " MB", " GB", " TB"]));
// A number of things: the word is in the singular, and is longer by an s in the plural.
const many = (value, word) => count(value) + " " + word + (value === 1 ? "" : "s");
const rate = known((value) => count(value) + "/s");
const byteRate = known((value) => bytes(value) + "/s");
const milliseconds = known((value) => scaled(value, [" ms", " s"]));

const span = known((seconds) => {
  const whole = Math.max(0, Math.floor(seconds));
  for (const [size, unit, part, partUnit] of [[86400, "d", 3600, "h"], [3600, "h", 60, "m"], [60, "m", 1, "s"]]) {
    if (whole >= size) return Math.floor(whole / size) + unit + " " + Math.floor(whole % size / part) + partUnit;
  }
  return whole + "s";
});

const clock = (ms) => new Date(number(ms) ?? Date.now()).toLocaleTimeString([], { hour12: false });

let noticeTimer = null;

function notice(words, kind) {
  const element = at("notice");
  element.textContent = clip(words, 300);
  element.dataset.kind = kind;
  clearTimeout(noticeTimer);
  noticeTimer = setTimeout(() => { element.textContent = ""; }, NOTICE_MS);
}
