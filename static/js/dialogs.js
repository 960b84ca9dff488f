// Native dialogs. The kill switch and cancels go over HTTP, so they work with the live connection down.
import { toast } from "./toast.js";

function clearOutcome(dialog) {
  const outcome = dialog.querySelector("[id$='-outcome']");
  if (outcome) outcome.replaceChildren();
  const submit = dialog.querySelector("button[type=submit]");
  if (submit) submit.hidden = false;
  const close = dialog.querySelector("[data-close]");
  if (close?.dataset.label) close.textContent = close.dataset.label;
}

function openKill(dialog) {
  clearOutcome(dialog);
  dialog.showModal();
  const panel = dialog.querySelector("[data-consequence]");
  const query = new URLSearchParams();
  for (const name of ["scope", "level"]) query.set(name, dialog.querySelector(`select[name=${name}]`).value);
  // Counted anew each time: what was open a minute ago may have filled.
  window.htmx?.ajax("GET", `${panel.dataset.consequence}?${query}`, { target: panel });
}

function openCancel(button) {
  const dialog = document.getElementById("cancel-dialog");
  const form = dialog.querySelector("form");
  clearOutcome(dialog);
  form.action = button.dataset.cancel;
  form.setAttribute("hx-post", button.dataset.cancel);
  dialog.querySelector("h2").textContent = button.dataset.title || "Cancel this order?";
  dialog.querySelector("[data-cancel-what]").textContent = button.dataset.what;
  const note = dialog.querySelector("[data-cancel-note]");
  note.dataset.usual ||= note.textContent;
  note.textContent = button.dataset.note || note.dataset.usual;
  const word = button.dataset.word || (button.dataset.title ? "Cancel all" : "Cancel order");
  dialog.querySelector("button[type=submit]").textContent = word;
  window.htmx?.process(form);
  dialog.showModal();
}

function onClick(event) {
  const opener = event.target.closest("[data-dialog]");
  if (opener) openKill(document.getElementById(opener.dataset.dialog));
  const cancel = event.target.closest("[data-cancel]");
  if (cancel) openCancel(cancel);
  if (event.target.closest("[data-action=help]")) document.getElementById("help-dialog")?.showModal();
  const close = event.target.closest("[data-close]");
  if (close) close.closest("dialog").close();
  // A click on the backdrop reaches the dialog itself.
  if (event.target instanceof HTMLDialogElement) event.target.close();
}

function onAnswer(event) {
  const dialog = event.target.closest?.("dialog");
  const { xhr, successful } = event.detail;
  if (!dialog || event.detail.requestConfig?.verb !== "post") return;
  if (!xhr.status) {
    toast("The server did not answer. Nothing is known about what happened: look again.", "bad");
    return;
  }
  if (!successful) return;
  dialog.querySelector("button[type=submit]").hidden = true;
  const close = dialog.querySelector("[data-close]");
  close.dataset.label ||= close.textContent;
  close.textContent = "Close";
  close.focus();
}

export function startDialogs() {
  document.addEventListener("click", onClick);
  document.addEventListener("htmx:afterRequest", onAnswer);
  // Refusals carry their reason in the body: show it where the success would stand.
  document.addEventListener("htmx:beforeSwap", (event) => {
    const { xhr } = event.detail;
    const isOutcome = xhr.status >= 400 && xhr.responseText.includes('class="outcome"');
    if (isOutcome) {
      event.detail.shouldSwap = true;
      event.detail.isError = false;
    } else if (xhr.status === 403) {
      toast("Your role does not allow this, or the page is too old: load it again.", "bad");
    } else if (xhr.status >= 400) {
      toast(`The server refused (${xhr.status}). Nothing is known to have changed.`, "bad");
    }
  });
}
