// An act that is kept with its reason: one dialog, filled from the button that opens it.
function openAct(button) {
  const dialog = document.getElementById("act-dialog");
  const form = dialog.querySelector("form");
  const reason = dialog.querySelector("[data-act-reason]");
  const field = reason.querySelector("textarea");
  const submit = form.querySelector("button[type=submit]");
  const close = form.querySelector("[data-close]");
  form.action = button.dataset.act;
  form.setAttribute("hx-post", button.dataset.act);
  dialog.querySelector("h2").textContent = button.dataset.title;
  dialog.querySelector("[data-act-what]").textContent = button.dataset.what;
  dialog.querySelector("[data-act-note]").textContent = button.dataset.note || "";
  dialog.querySelector("#act-outcome").replaceChildren();
  reason.hidden = "noReason" in button.dataset;
  field.disabled = reason.hidden;
  field.value = "";
  submit.textContent = button.dataset.word;
  submit.hidden = false;
  close.textContent = close.dataset.label || "Cancel";
  window.htmx?.process(form);
  dialog.showModal();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-act]");
  if (button) openAct(button);
});

// The page is another one after a change: load it again once its dialog is closed.
let changed = false;
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.target.closest?.("#act-dialog") && event.detail.successful) changed = true;
});
document.getElementById("act-dialog")?.addEventListener("close", () => {
  if (changed) window.location.reload();
});
