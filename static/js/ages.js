// Every light shows how old its news is, counted here, so that it goes on ageing when nothing comes any more.
const SECOND_MS = 1000;

export function ageText(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)} h`;
  return `${Math.floor(seconds / 86400)} d`;
}

function showAges() {
  const offset = Number(document.documentElement.dataset.clockOffset || 0);
  const now = Date.now() + offset;
  for (const light of document.querySelectorAll(".light")) {
    const age = light.querySelector(".age");
    const at = Number(light.dataset.at || 0);
    if (!at) age.textContent = light.dataset.tone === "bad" ? "no answer" : "not seen";
    else age.textContent = ageText(Math.max(0, Math.floor((now - at) / SECOND_MS)));
  }
}

export function startAges() {
  showAges();
  setInterval(showAges, SECOND_MS);
  document.addEventListener("console:changed", showAges);
}
