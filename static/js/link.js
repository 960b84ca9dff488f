// The live connection: a snapshot, then numbered deltas. A gap asks for a new snapshot; a loss makes the page say so,
// stop offering what depends on it, and try again with growing pauses. Commands never go this way.
import { applyTopic, markEmptyTables } from "./apply.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 3000;
const LONGEST_PAUSE_LATER_MS = 15000; // after twenty failures nobody restarts it in a hurry any more
const MANY_FAILURES = 20;
const SILENCE_MS = 5000;
const NOT_LOGGED_IN = 4401;
const NOT_ALLOWED = 4403;

const root = document.documentElement;
let socket = null;
let sequence = null;
let failures = 0;
let heardAt = 0;
let retryAt = 0;
let waitsForSnapshot = false;

function say(text) {
  const element = document.querySelector("[data-link-text]");
  if (element && element.textContent !== text) element.textContent = text;
}

function setLink(state) {
  if (root.dataset.link === state) return;
  root.dataset.link = state;
  // What was last heard of the kill switch is not what it is now; the next snapshot says.
  if (state === "down") applyTopic("header", { cells: { "kill.state": ["Kill switch UNKNOWN", "unknown", null] } });
}

function receive(message) {
  heardAt = Date.now();
  if (message.type === "snapshot") {
    sequence = message.seq;
    waitsForSnapshot = false;
    failures = 0;
    for (const [name, data] of Object.entries(message.data)) applyTopic(name, data);
    setLink("up");
  } else if (waitsForSnapshot) {
    return;
  } else if (message.seq === sequence + 1) {
    sequence = message.seq;
    applyTopic(message.type, message.data);
  } else if (message.seq > sequence) {
    waitsForSnapshot = true;
    socket.send(JSON.stringify({ type: "resync" }));
  }
  document.dispatchEvent(new CustomEvent("console:changed", { detail: message }));
}

function lost(event) {
  socket = null;
  if (event?.code === NOT_LOGGED_IN) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
    return;
  }
  setLink("down");
  if (event?.code === NOT_ALLOWED) {
    say("Your role may not read the console.");
    retryAt = Infinity;
    return;
  }
  const longest = failures < MANY_FAILURES ? LONGEST_PAUSE_MS : LONGEST_PAUSE_LATER_MS;
  const pause = Math.min(FIRST_PAUSE_MS * 2 ** failures, longest);
  failures += 1;
  // Half of the pause is drawn, so that all pages of a restarted server do not come back at once.
  retryAt = Date.now() + pause / 2 + Math.random() * (pause / 2);
}

function open() {
  retryAt = 0;
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const opened = new WebSocket(`${scheme}://${location.host}/ws/console/`);
  socket = opened;
  heardAt = Date.now();
  opened.addEventListener("message", (event) => receive(JSON.parse(event.data)));
  opened.addEventListener("close", (event) => {
    if (socket === opened) lost(event);
  });
}

function watch() {
  if (!socket && retryAt <= Date.now()) open();
  // The hub sends the clock every second: silence means that the line is dead, whatever the browser believes.
  if (socket && Date.now() - heardAt > SILENCE_MS) {
    const silent = socket;
    lost();
    silent.close();
  }
  if (root.dataset.link !== "down") return;
  const left = Math.ceil((retryAt - Date.now()) / 1000);
  const next = left > 0 && Number.isFinite(left) ? `Trying again in ${left} s.` : "Trying…";
  if (Number.isFinite(retryAt)) say(`Live connection lost: nothing here is current. Stop trading goes another way and is still there. ${next}`);
}

export function startLink() {
  markEmptyTables();
  open();
  setInterval(watch, 250);
  for (const button of document.querySelectorAll("[data-action=reconnect]")) {
    button.addEventListener("click", () => {
      failures = 0;
      retryAt = 0;
    });
  }
  window.addEventListener("online", () => (retryAt = 0));
}
