"use strict";
const cases = [...document.querySelectorAll(".case[data-id]")];
const decisions = new Map();  // from the id of an example to what was decided
let isSaved = true;

function show() {
  for (const card of cases) {
    const made = decisions.get(card.dataset.id);
    card.classList.toggle("done", made !== undefined);
    card.querySelector(".verdict").textContent =
      made === undefined ? "" : made.decision === "relabel" ? `label: ${made.label}` : made.decision;
  }
  const ids = new Set(cases.map((card) => card.dataset.id));
  document.getElementById("progress").textContent = `${decisions.size} of ${ids.size} decided`;
}

function decide(card, decision, label = "") {
  decisions.set(card.dataset.id, { decision, label });
  isSaved = false;
  show();
}

function choose(card, action) {
  if (action === "accept") decide(card, card.dataset.decision, card.dataset.label);
  else if (action === "reject") decide(card, "keep");
  else if (action === "exclude") decide(card, "exclude");
  else if (action === "undo") { decisions.delete(card.dataset.id); show(); }
}

function cell(text) {  // as tfl writes CSV: no cell is a formula
  const safe = /^'*[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function table() {
  const rows = [...decisions].map(([id, made]) => [id, made.decision, made.label]);
  return [["id", "decision", "label"], ...rows].map((row) => row.map(cell).join(",") + "\n").join("");
}

function move(step) {
  const at = cases.indexOf(document.activeElement.closest(".case"));
  const next = cases[Math.min(cases.length - 1, Math.max(0, at + step))];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

document.getElementById("save").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "decisions.csv";
  link.click();
  isSaved = true;
});
for (const card of cases) {
  for (const button of card.querySelectorAll("button")) {
    button.addEventListener("click", () => choose(card, button.dataset.do));
  }
  card.querySelector("select")?.addEventListener("change", (event) => {
    if (event.target.value) decide(card, "relabel", event.target.value);
  });
}
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const card = document.activeElement.closest(".case[data-id]");
  const action = { a: "accept", r: "reject", x: "exclude", u: "undo" }[event.key];
  if (event.key === "j" || event.key === "k") move(event.key === "j" ? 1 : -1);
  else if (card && action) { choose(card, action); if (action !== "undo") move(1); }
  else if (card && event.key === "l") card.querySelector("select")?.focus();
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", (event) => { if (!isSaved) event.preventDefault(); });
