"use strict";

// The parts of this folder are one script, in the order of `web/answer.rs`. This part shows lines.
// Input from the server is inserted only as textContent, so it is never parsed as markup.

const at = (id) => document.getElementById(id);
const log = at("log");

const SCROLLBACK_LINES = 2000;
// Closer to the end than this, the log follows new lines. In CSS pixels.
const END_PX = 40;
const HOURS = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };

let lastDay = "";

function make(parent, name, className, text) {
  const element = document.createElement(name);
  if (className) element.className = className;
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

function isAtEnd() {
  return log.scrollHeight - log.scrollTop - log.clientHeight < END_PX;
}

function scrollToEnd() {
  log.scrollTop = log.scrollHeight;
}

// Appends something to the log, and keeps the end in view if it was.
function append(add) {
  const follows = isAtEnd();
  const added = add();
  while (log.childElementCount > SCROLLBACK_LINES) log.firstElementChild.remove();
  if (follows) scrollToEnd();
  return added;
}

// Shows a line with the time, and the date above the first line of a day. Returns the line.
//
// `isLate` is for messages that the server has kept: the page does not know when they were sent.
function show(text, kind, isLate = false) {
  return append(() => {
    const now = new Date();
    const day = now.toDateString();
    if (lastDay !== "" && day !== lastDay) make(log, "p", "day", now.toLocaleDateString([], { dateStyle: "full" }));
    lastDay = day;
    const line = make(log, "p", kind);
    const time = make(line, "time", "", isLate ? "earlier" : now.toLocaleTimeString([], HOURS));
    time.dateTime = now.toISOString();
    time.title = isLate ? "sent while this page was away" : now.toLocaleString();
    make(line, "span", "", text === "" ? " " : text);
    return line;
  });
}

// Replaces the text of a line that was shown.
function reword(line, text) {
  append(() => { line.lastElementChild.textContent = text; });
}
