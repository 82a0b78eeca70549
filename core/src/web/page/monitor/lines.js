// --- Line lists: show the last lines, and draw once per frame, because lines may arrive fast

function tail(element, fill) {
  let pending = [];
  let isScheduled = false;
  function draw() {
    isScheduled = false;
    const isAtEnd = element.scrollHeight - element.scrollTop - element.clientHeight < 40;
    for (const entry of pending) fill(make(element, "p"), entry);
    pending = [];
    while (element.childElementCount > LINES_MAX) element.firstElementChild.remove();
    if (isAtEnd) element.scrollTop = element.scrollHeight;
  }
  return {
    push(entry) {
      pending.push(entry);
      if (pending.length > LINES_MAX) pending.shift();
      if (!isScheduled) requestAnimationFrame(draw);
      isScheduled = true;
    },
    clear() {
      pending = [];
      element.replaceChildren();
    },
  };
}
