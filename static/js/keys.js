// Keys that look and go; none that trades. They rest in fields and while a dialog is open.
const PLACES = { h: "overview", o: "orders", p: "positions", u: "runs", r: "risk", a: "admin" };
const CHORD_MS = 1200;
let chordUntil = 0;

function isTyping(target) {
  return target.closest?.("input, textarea, select, [contenteditable]") !== null;
}

function go(key) {
  document.querySelector(`.nav [data-page="${PLACES[key]}"]`)?.click();
}

export function startKeys() {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && isTyping(event.target) && !event.target.closest("dialog")) {
      event.target.blur();
      return;
    }
    if (isTyping(event.target) || document.querySelector("dialog[open]")) return;
    const inChord = performance.now() < chordUntil;
    chordUntil = 0;
    if (inChord && PLACES[event.key]) go(event.key);
    else if (event.key === "g") chordUntil = performance.now() + CHORD_MS;
    else if (event.key === "?") document.getElementById("help-dialog")?.showModal();
    else if (event.key === "/") {
      event.preventDefault();
      document.getElementById("search")?.focus();
    }
  });
}
