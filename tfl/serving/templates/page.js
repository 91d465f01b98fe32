"use strict";
const find = (id) => document.getElementById(id);
const address = "v1/models/" + document.body.dataset.name;  // relative: the page may stand behind a prefix
let about = null;
let newest = 0;

function say(text, isProblem) {
  find("status").textContent = text;
  find("status").classList.toggle("problem", Boolean(isProblem));
}

async function learn() {
  try {
    const response = await fetch(address + "/metadata");
    if (response.status === 503) return setTimeout(learn, 1000);
    about = (await response.json()).metadata.tfl;
    const names = about.class_names;
    const some = names.slice(0, 8).join(", ") + (names.length > 8 ? ", ..." : "");
    const kind = about.has_names ? "It distinguishes " : "It gives ";
    find("about").textContent = kind + (names.length > 8 ? names.length + " " + about.noun + ": " : "") + some + ".";
  } catch (error) {
    find("about").textContent = "The service cannot be reached.";
  }
}

async function ask(file) {
  const turn = ++newest;
  const verb = about && about.can_explain ? ":explain" : ":classify";
  find("result").hidden = true;
  say("Classifying " + file.name + ".");
  let answer;
  try {
    const response = await fetch(address + verb + "?top=10", {
      method: "POST", body: file, headers: {"content-type": "application/octet-stream"},
    });
    answer = await response.json();
  } catch (error) {
    answer = {error: "The service cannot be reached."};
  }
  if (turn !== newest) return;  // another photo was chosen meanwhile
  if (answer.error) return say(answer.error, true);
  await show(file, answer);
  say(file.name + ": " + find("verdict").textContent);  // read aloud where the page is not seen
}

async function show(file, answer) {
  const photo = find("photo");
  URL.revokeObjectURL(photo.src);
  photo.src = URL.createObjectURL(file);
  await photo.decode().catch(() => {});
  find("heat").hidden = !answer.overlay;
  if (answer.overlay) {
    find("overlay").src = answer.overlay;
    find("overlay").alt = "The photo in grey, with the evidence for " + answer.explained + " in orange";
    find("overlay").style.aspectRatio = photo.naturalWidth + " / " + photo.naturalHeight;
    find("caption").textContent = "Evidence for " + answer.explained;
  }
  const isClasses = Boolean(answer.classes);
  const rows = isClasses ? answer.classes.map((row) => [row.class, row.probability])
    : answer.values.map((row) => [row.name, row.value]);
  const text = (value) => isClasses ? (100 * value).toFixed(1) + " %" : value.toPrecision(5);
  find("verdict").textContent = rows[0][0] + ": " + text(rows[0][1]);
  find("unit").textContent = isClasses && rows.length < about.class_names.length ? "The " + rows.length + " most probable" : "";
  find("column").textContent = isClasses ? "Class" : "Name";
  find("value").textContent = isClasses ? "Probability" : "Value";
  find("rows").replaceChildren(...rows.map(([name, value]) => makeRow(name, isClasses ? value : 0, text(value))));
  find("result").hidden = false;
}

function makeRow(name, part, text) {
  const row = document.createElement("tr");
  const head = document.createElement("th");
  head.scope = "row";
  head.textContent = name;
  const bar = document.createElement("div");
  bar.className = "bar";
  const fill = document.createElement("div");
  fill.style.width = 100 * part + "%";
  bar.append(fill);
  const middle = document.createElement("td");
  middle.append(bar);
  const number = document.createElement("td");
  number.className = "number";
  number.textContent = text;
  row.append(head, middle, number);
  return row;
}

find("file").addEventListener("change", (event) => {
  if (event.target.files.length) ask(event.target.files[0]);
  event.target.value = "";  // the same file may be chosen again
});
for (const name of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();  // a photo beside the field must not replace the page
    find("drop").classList.toggle("over", name === "dragover");
    if (name === "drop" && event.dataTransfer.files.length) ask(event.dataTransfer.files[0]);
  });
}
learn();
