"use strict";
const AT_ONCE = 3;  // requests: the service stays free for others
const TRIES = 8;  // while the service says that it is busy
const address = "v1/models/" + document.body.dataset.name;  // relative: the page may stand behind a prefix
const waiting = [];
let running = 0;

function inTurn(task) {
  return new Promise((resolve) => {
    waiting.push(() => task().then(resolve));
    startNext();
  });
}

function startNext() {
  while (running < AT_ONCE && waiting.length) {
    running += 1;
    waiting.shift()().finally(() => {
      running -= 1;
      startNext();
    });
  }
}

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, 1000 * seconds));

async function send(file, verb) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      const response = await fetch(address + verb, {
        method: "POST", body: file, headers: {"content-type": "application/octet-stream"},
      });
      const answer = await response.json();
      if (response.status !== 503 || attempt === TRIES) return {status: response.status, ...answer};
      await pause(Number(response.headers.get("retry-after")) || 1);
    } catch (error) {
      return {error: "The service cannot be reached."};
    }
  }
}

function inBytes(count, exact) {
  if (exact) return count.toLocaleString("en") + " bytes";
  return count < 1e6 ? (count / 1e3).toFixed(1) + " kB" : (count / 1e6).toFixed(1) + " MB";
}

async function refusal(file, limit) {
  if (file.size > limit) {
    const isClose = inBytes(file.size) === inBytes(limit);
    return "this file has " + inBytes(file.size, isClose) + ", and the limit is " + inBytes(limit, isClose)
      + ". It was not sent.";
  }
  return file.slice(0, 1).arrayBuffer().then(() => "", () => "this cannot be opened. A folder must be opened first.");
}
