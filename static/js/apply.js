// Puts what the socket sends into the page: cells by key, rows by id, panels by name. Nothing is computed here.
const template = document.createElement("template");

function parsed(html) {
  template.innerHTML = html.trim();
  return template.content.firstElementChild;
}

function applyCell(key, [text, tone, at]) {
  for (const element of document.querySelectorAll(`[data-live="${CSS.escape(key)}"]`)) {
    if (key.endsWith(".last") && element.textContent && element.textContent !== text) flash(element, text);
    if (element.textContent !== text) element.textContent = text;
    if (element.dataset.tone !== tone) element.dataset.tone = tone;
    if ("count" in element.dataset) element.dataset.count = text;
  }
  const light = document.querySelector(`[data-light="${CSS.escape(key)}"]`);
  if (light) {
    light.dataset.tone = tone;
    if (at) light.dataset.at = at;
    else delete light.dataset.at;
  }
  if (key === "kill.state") document.documentElement.dataset.kill = tone;
}

function flash(element, text) {
  const rises = Number(text.replaceAll(",", "")) > Number(element.textContent.replaceAll(",", ""));
  element.classList.remove("tick-up", "tick-down");
  void element.offsetWidth; // starts the animation anew
  element.classList.add(rises ? "tick-up" : "tick-down");
}

// Cell by cell, so that a button under the mouse is not replaced when a number beside it changes.
function mergeRow(row, fresh) {
  if (row.children.length !== fresh.children.length) {
    row.replaceWith(fresh);
    return fresh;
  }
  for (const [index, cell] of [...row.children].entries()) {
    const newer = fresh.children[index];
    if (!cell.isEqualNode(newer)) cell.replaceWith(newer.cloneNode(true));
  }
  return row;
}

function applyRows(name, rows, order) {
  for (const body of document.querySelectorAll(`[data-rows="${name}"]`)) {
    const known = new Map([...body.children].map((row) => [row.dataset.id, row]));
    for (const [id, html] of Object.entries(rows)) {
      const fresh = parsed(html);
      if (known.has(id)) known.set(id, mergeRow(known.get(id), fresh));
      else known.set(id, fresh);
    }
    if (!("fixed" in body.dataset)) arrange(body, known, order);
    body.dataset.empty = String(body.children.length === 0);
  }
}

function arrange(body, known, order) {
  const wanted = order.map((id) => known.get(id)).filter(Boolean);
  for (const row of [...body.children]) if (!wanted.includes(row)) row.remove();
  wanted.forEach((row, index) => {
    if (body.children[index] !== row) body.insertBefore(row, body.children[index] || null);
  });
}

export function applyTopic(name, data) {
  if (data.rows) applyRows(name, data.rows, data.order);
  for (const [key, cell] of Object.entries(data.cells || {})) applyCell(key, cell);
  if (data.html !== undefined) {
    for (const panel of document.querySelectorAll(`[data-panel="${name}"]`)) panel.innerHTML = data.html;
  }
}

export function markEmptyTables() {
  for (const body of document.querySelectorAll("tbody:has(+ tbody.none)")) {
    body.dataset.empty = String(body.children.length === 0);
  }
}
