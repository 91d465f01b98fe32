const MOST_CLASSES = 5;  // rows of a card; labels and values are all shown
const MOST_AREAS = 12;
const OPACITY = 0.6;  // of a mask over its photo
let cards = 0;

function make(tag, text, className) {
  const element = document.createElement(tag);
  if (text) element.textContent = text;  // never as HTML: names of files and classes may hold anything
  if (className) element.className = className;
  return element;
}

function addCard(file, hasPictures) {
  const card = make("li", "", "card");
  const title = make("h3", file.name);
  title.id = "card" + (cards += 1);
  card.setAttribute("aria-labelledby", title.id);
  card.setAttribute("aria-busy", "true");
  const body = make("div", "", "body");
  const verdict = make("p", "Waiting.", "verdict quiet");
  body.append(title, verdict);
  const pictures = make("div", "", "pictures");
  if (hasPictures) pictures.append(picture(URL.createObjectURL(file), "Preview of " + file.name, ""));
  card.append(pictures, body);
  pictures.hidden = !hasPictures;
  document.getElementById("cards").append(card);
  return {card, body, verdict, pictures};
}

function picture(source, description, caption) {
  const figure = make("figure");
  const image = make("img");
  image.loading = "lazy";
  image.decoding = "async";
  image.alt = description;
  image.onerror = () => {
    URL.revokeObjectURL(source);
    image.replaceWith(make("figcaption", "This browser has no preview of this file."));
  };
  image.src = source;
  figure.append(image);
  if (caption) figure.append(make("figcaption", caption));
  return figure;
}

function finish(parts, text, className) {
  parts.card.setAttribute("aria-busy", "false");
  parts.verdict.textContent = text;
  parts.verdict.className = "verdict " + className;
}

function showTrouble(parts, sentence, detail) {
  finish(parts, sentence, "problem");
  parts.body.firstChild.hidden = true;  // the sentence names the file
  parts.pictures.hidden = parts.pictures.hidden || Boolean(detail);  // it is no picture
  if (detail) parts.body.append(make("p", detail, "quiet"));
}

const percent = (share) => (100 * share).toFixed(1) + "\u00a0%";
const figures = (value) => String(Number(value.toPrecision(5)));

function verdictOf(answer) {
  if (answer.values) return answer.values.map((row) => row.name + ": " + figures(row.value)).join(", ");
  if (answer.boxes) return countsOf(answer.boxes);
  if (answer.areas) return "Mostly " + answer.areas[0].class;
  if (answer.verdict) return answer.verdict;
  const isSet = answer.classes[0] && "present" in answer.classes[0];
  if (!isSet) return answer.classes[0].class;
  return answer.classes.filter((row) => row.present).map((row) => row.class).join(", ") || "none of the labels";
}

function showAnswer(parts, answer) {
  const isUnsure = Boolean(answer.verdict) && answer.named.length !== 1;
  finish(parts, verdictOf(answer), isUnsure ? "unsure" : "");
  if (answer.mask) showMask(parts, answer);
  if (answer.boxes) showBoxes(parts, answer.boxes);
  parts.body.append(answer.boxes ? tableOfBoxes(answer.boxes) : answer.areas ? tableOfAreas(answer)
    : answer.values ? tableOfValues(answer) : tableOfClasses(answer));
}

function showMask(parts, answer) {
  parts.card.dataset.answer = "mask";
  const figure = parts.pictures.querySelector("figure"), layers = make("div", "", "layers"), mask = make("img");
  mask.src = answer.mask;
  mask.alt = "The class of each pixel as a colour; the table names them";
  mask.style.opacity = OPACITY;
  layers.append(...figure.childNodes, mask);
  const label = make("label", "Opacity of the mask"), slider = make("input");
  Object.assign(slider, {type: "range", min: 0, max: 1, step: 0.05, value: OPACITY});
  slider.addEventListener("input", () => { mask.style.opacity = slider.value; });
  label.append(slider);
  figure.append(layers, label);
}

function countsOf(boxes) {
  const counts = new Map();
  boxes.forEach((box) => counts.set(box.class, (counts.get(box.class) || 0) + 1));
  return [...counts].map(([name, count]) => name + ": " + count).join(", ") || "Nothing found";
}

function showBoxes(parts, boxes) {
  parts.card.dataset.answer = "boxes";
  const figure = parts.pictures.querySelector("figure"), image = figure.querySelector("img");
  if (!image) return;  // this browser has no preview, and the table has the boxes
  const space = "http://www.w3.org/2000/svg", layers = make("div", "", "layers");
  const drawing = document.createElementNS(space, "svg");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", "The boxes around the objects; the table lists them");
  boxes.forEach((box) => {
    const [x1, y1, x2, y2] = box.box, frame = document.createElementNS(space, "rect");
    const place = {x: x1, y: y1, width: x2 - x1, height: y2 - y1, stroke: box.colour};
    Object.entries(place).forEach(([name, value]) => frame.setAttribute(name, value));
    drawing.append(frame);
  });
  const fit = () => drawing.setAttribute("viewBox", [0, 0, image.naturalWidth, image.naturalHeight].join(" "));
  if (image.complete && image.naturalWidth) fit();
  else image.addEventListener("load", fit);
  layers.append(...figure.childNodes, drawing);
  figure.append(layers);
}

function table(columns, rows) {
  const whole = make("table"), head = make("thead"), line = make("tr"), body = make("tbody");
  columns.forEach(([name, className]) => {
    const cell = make("th", "", className);
    cell.scope = "col";
    cell.append(name ? name : make("span", "Bar", "unseen"));
    line.append(cell);
  });
  head.append(line);
  body.append(...rows);
  whole.append(head, body);
  return whole;
}

function rowOf(name, ...cells) {
  const row = make("tr"), head = make("th", name);
  head.scope = "row";
  row.append(head, ...cells);
  return row;
}

function tableOfClasses(answer) {
  const isSet = answer.classes.length > 0 && "present" in answer.classes[0];
  const shown = isSet ? answer.classes : answer.classes.slice(0, MOST_CLASSES);
  const rows = shown.map((entry) => {
    const bar = make("td", "", "wide"), track = make("div", "", "bar"), fill = make("div");
    fill.style.width = 100 * entry.probability + "%";
    track.append(fill);
    bar.append(track);
    const cells = [bar, make("td", percent(entry.probability), "number")];
    if (isSet) cells.push(make("td", entry.present ? "yes" : "no", "number"));
    return rowOf(entry.class, ...cells);
  });
  const columns = [[isSet ? "Label" : "Class"], ["", "wide"], ["Probability", "number"]];
  return table(isSet ? [...columns, ["Present", "number"]] : columns, rows);
}

function tableOfAreas(answer) {
  const count = (number) => number.toLocaleString("en");
  const rows = answer.areas.slice(0, MOST_AREAS).map((entry) => {
    const row = rowOf(entry.class, make("td", percent(entry.share), "number"), make("td", count(entry.pixels), "number"));
    row.firstChild.prepend(swatch(entry.colour));
    return row;
  });
  const rest = answer.areas.slice(MOST_AREAS), sum = (name) => rest.reduce((total, entry) => total + entry[name], 0);
  if (rest.length) {
    const cells = [make("td", percent(sum("share")), "number"), make("td", count(sum("pixels")), "number")];
    rows.push(rowOf(rest.length + " more", ...cells));
  }
  return table([["Class"], ["Area", "number"], ["Pixels", "number"]], rows);
}

function tableOfBoxes(boxes) {
  const rows = boxes.map((box) => {
    const place = box.box.map((side) => Math.round(side));
    const row = rowOf(box.class, make("td", percent(box.confidence), "number"), make("td", place.join(", "), "number"));
    row.firstChild.prepend(swatch(box.colour));
    return row;
  });
  return table([["Class"], ["Confidence", "number"], ["Left, top, right, bottom", "number"]], rows);
}

function swatch(colour) {
  const mark = make("i", "", "colour");
  mark.style.background = colour;
  return mark;
}

function tableOfValues(answer) {
  const ends = answer.intervals;
  const rows = answer.values.map((entry, k) => {
    const cells = [make("td", figures(entry.value), "number")];
    if (ends) cells.push(make("td", ends[k].map(figures).join(" to "), "number"));
    return rowOf(entry.name, ...cells);
  });
  const columns = [["Name"], ["Value", "number"]];
  return table(ends ? [...columns, [figures(100 * answer.coverage) + "\u00a0% interval", "number"]] : columns, rows);
}

function showEvidence(parts, answer) {
  const what = "Evidence for " + answer.explained;
  parts.pictures.append(picture(answer.overlay, "The same in grey, with the evidence for " + answer.explained
    + " in orange", what));
}

function offerEvidence(parts, ask) {
  const button = make("button", "Show the evidence");
  button.type = "button";
  button.addEventListener("click", async () => {
    button.disabled = true;
    const answer = await ask();
    if (answer.overlay) {
      showEvidence(parts, answer);
      button.remove();
    } else {
      button.disabled = false;
      button.textContent = answer.error + " Try again.";
    }
  });
  parts.body.append(button);
}
