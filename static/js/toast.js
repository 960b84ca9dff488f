// Short messages in the corner, read out by screen readers.
const SHOWN_MS = 7000;

export function toast(text, tone = "good") {
  const item = document.createElement("div");
  item.className = "toast";
  item.dataset.tone = tone;
  item.textContent = text;
  document.getElementById("toasts")?.append(item);
  setTimeout(() => item.remove(), SHOWN_MS);
}
