const MOST_TROUBLES = 3;  // that the line below the field repeats
const find = (id) => document.getElementById(id);
let about = null, typed = 0;
let batch = {all: 0, done: 0, troubles: []};  // what was sent since the last "Clear"

async function learn() {
  for (;;) {
    try {
      const response = await fetch(address + "/metadata");
      if (response.ok) {
        about = (await response.json()).metadata.tfl;
        break;
      }
      if (response.status !== 503) throw new Error(response.status);
    } catch (error) {
      find("about").textContent = "The service cannot be reached. This page tries again.";
    }
    await pause(1);
  }
  describe();
}
const learned = learn();

function describe() {
  const names = about.class_names, [one, several] = about.input.noun;
  const some = names.slice(0, 8).join(", ") + (names.length > 8 ? ", ..." : "");
  const verb = about.has_names ? "It distinguishes " : "It estimates ";
  find("about").textContent = verb + (names.length > 8 ? names.length + " " + about.noun + ": " : "") + some + ".";
  find("files").accept = about.input.file_types.join(",");
  const invitation = make("span");
  invitation.append(make("strong", "Choose " + several), ", drop them here or paste them");
  if (!about.input.has_pictures) {
    const form = "Each file must hold one " + one + ", in the form of the files of the training.";
    invitation.append(make("br"), make("span", form, "quiet"));
  }
  find("invitation").replaceChildren(invitation);
  find("typing").hidden = !about.input.typed;
  find("typed_label").textContent = "Or type " + about.input.one + ": " + about.input.typed;
  find("progress").setAttribute("aria-label", "How many " + several + " are done");
  find("promise").hidden = !about.certainty;
  if (about.certainty) find("promise").textContent = about.certainty.promise + " " + about.certainty.result;
  find("example").textContent = "curl --data-binary @FILE " + new URL(address + ":classify", location.href)
    + "\ncurl " + new URL(address + "/metadata", location.href);
  showFacts(several);
}

function showFacts(several) {
  const {name, network, date, test} = about.run;
  const facts = [["Network", network]];
  if (name && name !== document.querySelector("h1").textContent) facts.unshift(["Run", name]);
  if (test && typeof test.value === "number") {
    const write = test.is_share ? percent : figures;
    const ends = test.interval ? " (95\u00a0% interval " + test.interval.map(write).join(" to ") + ")" : "";
    const metric = test.metric[0].toUpperCase() + test.metric.slice(1);
    facts.push([metric + " on " + test.num_examples.toLocaleString("en") + " test " + several, write(test.value) + ends]);
  }
  if (date) facts.push(["Trained", date]);
  find("facts").replaceChildren(...facts.map(([label, text]) => {
    const pair = make("div");
    pair.append(make("dt", label), make("dd", text));
    return pair;
  }));
}

async function take(files) {
  const chosen = [...files];
  if (!chosen.length) return;
  if (!about) say("Waiting for the model.", false);
  await learned;
  const mine = batch;
  mine.all += chosen.length;
  tell();
  const jobs = chosen.map((file) => [file, addCard(file, about.input.has_pictures)]);
  jobs[0][1].card.scrollIntoView({block: "nearest"});
  await Promise.all(jobs.map(([file, parts]) => inTurn(() => answerOne(file, parts, mine, chosen.length === 1))));
}

async function answerOne(file, parts, mine, isAlone) {
  parts.verdict.textContent = "Asking the model.";
  const problem = await refusal(file, about.max_request_bytes);
  const verb = about.can_explain && isAlone ? ":explain" : ":classify";
  const answer = problem ? {error: problem} : await send(file, verb + "?top=50");
  let sentence;
  if (answer.error) {
    const isOther = answer.status === 415;
    sentence = file.name + ": " + (isOther ? "this is not " + about.input.one + " that can be read." : answer.error);
    showTrouble(parts, sentence, isOther ? answer.error : "");
    mine.troubles.push(sentence);
  } else {
    sentence = file.name + ": " + verdictOf(answer);
    showAnswer(parts, answer);
    if (answer.overlay) showEvidence(parts, answer);
    else if (about.can_explain) offerEvidence(parts, () => inTurn(() => send(file, ":explain")));
  }
  mine.done += 1;
  if (mine === batch) tell(isAlone ? sentence : "");
}

function tell(lone) {
  const {all, done, troubles} = batch, noun = about.input.noun[all === 1 ? 0 : 1];
  find("work").hidden = all === 0;
  find("progress").max = all || 1;
  find("progress").value = done;
  find("count").textContent = done + " of " + all + " " + noun;
  if (done < all) return say("Asking about " + all + " " + noun + ".", false);
  const shown = troubles.slice(0, MOST_TROUBLES).join(" ") + (troubles.length > MOST_TROUBLES ? " ..." : "");
  const end = troubles.length ? ", " + troubles.length + " without an answer. " + shown : ".";
  say(all === 0 ? "" : lone || done + " " + noun + " done" + end, troubles.length > 0);
}

function say(text, isProblem) {
  if (find("status").textContent !== text) find("status").textContent = text;
  find("status").classList.toggle("problem", isProblem);
}

function clear() {
  document.querySelectorAll(".cards img").forEach((image) => URL.revokeObjectURL(image.src));
  waiting.length = 0;
  batch = {all: 0, done: 0, troubles: []};
  find("cards").replaceChildren();
  tell();
  find("files").focus();
}

find("files").addEventListener("change", (event) => {
  take(event.target.files);
  event.target.value = "";  // the same file may be chosen again
});
find("form").addEventListener("submit", (event) => {
  event.preventDefault();
  const text = find("typed").value;
  if (text.trim()) take([new File([text], "typed " + about.input.noun[0] + " " + (typed += 1))]);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
for (const name of ["dragover", "drop", "dragleave"]) {
  document.addEventListener(name, (event) => {
    if (![...event.dataTransfer.types].includes("Files")) return;
    event.preventDefault();  // a file beside the field must not replace the page
    find("drop").classList.toggle("over", name === "dragover");
    if (name === "drop") take(event.dataTransfer.files);
  });
}
find("clear").addEventListener("click", clear);
