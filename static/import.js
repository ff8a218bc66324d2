// Imports photos in the admin: files go singly, three at a time, a zip goes in pieces. Without this script a form does it.
"use strict";

const AT_ONCE = 3; // files on their way; more would only wait for the server
const TRIES = 5; // of one request; with the pauses below about 15 seconds
const PAUSE_MS = 1000; // before the second try, doubled for each further one
const SPEAK_MS = 5000; // between two sentences of a screen reader
const LOOK_MS = 2000; // between two looks at a worker's progress
const LISTED = 200; // refused files shown here; the import's page has them all
const OURS_NOT_THE_FILES = ["not-authenticated", "permission-denied", "not-found", "import-not-open"]; // no other file would fare better

const byId = (id) => document.getElementById(id);
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const code = (problem) => (problem.type ?? "").replace("urn:photorally:", "");

let spokenAt = 0;
function speak(text, now = false) {
  if (!now && Date.now() - spokenAt < SPEAK_MS) return;
  spokenAt = Date.now();
  byId("spoken").textContent = text;
}

class Refusal extends Error {
  constructor(problem) {
    super(problem.detail ?? problem.title ?? "The server refused it without a reason.");
    this.fatal = OURS_NOT_THE_FILES.includes(code(problem));
  }
}

// One request, tried again when the network or the server fails; a refusal is final.
async function call(method, address, body, signal) {
  const token = document.querySelector("[name=csrfmiddlewaretoken]").value;
  const json = body !== undefined && !(body instanceof Blob);
  const headers = { "X-CSRFToken": token, Accept: "application/json", "Content-Type": json ? "application/json" : "application/octet-stream" };
  let why = "";
  for (let turn = 0; turn < TRIES; turn++) {
    if (turn) await pause(PAUSE_MS * 2 ** (turn - 1));
    signal?.throwIfAborted();
    try {
      const answer = await fetch(address, { method, headers, body: json ? JSON.stringify(body) : body, signal });
      if (answer.ok) return answer.status === 204 ? {} : await answer.json();
      const problem = await answer.json().catch(() => ({}));
      const again = answer.status >= 500 || answer.headers.has("Retry-After") || code(problem) === "length-mismatch";
      if (!again) throw new Refusal(problem);
      why = problem.detail ?? `The server answered ${answer.status}.`;
    } catch (error) {
      if (error instanceof Refusal || error.name === "AbortError") throw error;
      why = "It could not be sent: the network or the server failed.";
    }
  }
  throw new Refusal({ detail: `${why} Tried ${TRIES} times.` });
}

// ---- the form --------------------------------------------------------------------------------------------------
const form = byId("import-form");
let chosen = { files: [], zip: null }; // files: [{name: "label/file", file}]
let ways = [];

function isLitter(name) {
  return name.split("/").some((part) => part.startsWith(".") || ["__macosx", "thumbs.db", "desktop.ini"].includes(part.toLowerCase()));
}

function choose(files, zip = null) {
  const wanted = files.filter(({ name }) => !isLitter(name)).sort((a, b) => (a.name < b.name ? -1 : 1));
  chosen = { files: wanted, zip };
  const folders = new Set(wanted.map(({ name }) => name.split("/").at(-2)));
  if (zip) byId("chosen").textContent = `Chosen: ${zip.name}, ${(zip.size / 2 ** 20).toFixed(1)} MB.`;
  else if (wanted.length) byId("chosen").textContent = `Chosen: ${plural(wanted.length, "file")} in ${plural(folders.size, "folder")}.`;
  else byId("chosen").textContent = "There is no file in it.";
}

// A browser hands out a folder's entries a hundred at a time, until it hands out none.
async function walk(entry, above, found) {
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject));
    found.push({ name: above + file.name, file });
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!batch.length) return;
    for (const each of batch) await walk(each, `${above}${entry.name}/`, found);
  }
}

async function dropped(event) {
  event.preventDefault();
  byId("drop").classList.remove("over");
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry()).filter(Boolean); // before the first await
  const files = [...event.dataTransfer.files];
  clearOthers(null);
  if (files.length === 1 && files[0].name.toLowerCase().endsWith(".zip") && !entries[0]?.isDirectory) {
    choose([], files[0]);
    return;
  }
  if (!entries.length) {
    choose(files.map((file) => ({ name: file.name, file }))); // the server says that they lie in no folder
    return;
  }
  byId("chosen").textContent = "Looking through the folder …";
  const found = [];
  try {
    for (const entry of entries) await walk(entry, "", found);
    choose(found);
  } catch (error) {
    byId("chosen").textContent = `The folder cannot be read: ${error.message}`;
  }
}

function clearOthers(input) {
  for (const other of ways) if (other !== input) other.value = "";
}

function photosOfOneLabel() {
  const label = byId("label").value.trim().replaceAll("/", "-");
  return [...byId("photos").files].map((file) => ({ name: `${label}/${file.name}`, file }));
}

function follow() {
  const known = JSON.parse(byId("label-names").textContent)[byId("recognizer").value] ?? [];
  byId("labels").replaceChildren(...known.map((name) => Object.assign(document.createElement("option"), { value: name })));
  byId("new-name-row").hidden = byId("recognizer").value !== "";
  byId("new-name").required = byId("recognizer").value === "";
}

function prepare() {
  ways = [byId("folder"), byId("zip"), byId("photos")];
  for (const part of form.querySelectorAll("[data-script]")) part.hidden = false;
  byId("drop").hidden = false;
  for (const input of ways) input.addEventListener("change", () => clearOthers(input));
  byId("folder").addEventListener("change", (event) => choose([...event.target.files].map((file) => ({ name: file.webkitRelativePath, file }))));
  byId("zip").addEventListener("change", (event) => choose([], event.target.files[0] ?? null));
  byId("photos").addEventListener("change", () => choose(photosOfOneLabel()));
  byId("label").addEventListener("change", () => byId("photos").files.length && choose(photosOfOneLabel()));
  byId("recognizer").addEventListener("change", follow);
  byId("drop").addEventListener("drop", dropped);
  byId("drop").addEventListener("dragover", (event) => {
    event.preventDefault();
    byId("drop").classList.add("over");
  });
  byId("drop").addEventListener("dragleave", () => byId("drop").classList.remove("over"));
  // A file that is dropped beside the field must not replace the page.
  for (const name of ["dragover", "drop"]) document.addEventListener(name, (event) => event.preventDefault());
  form.addEventListener("submit", submitted);
  follow();
}

// ---- sending ---------------------------------------------------------------------------------------------------
const counts = { done: 0, total: 0, new: 0, known: 0, accepted: 0, refused: 0 };
let sending = null; // the AbortController of the import under way

async function submitted(event) {
  event.preventDefault();
  if (sending) return;
  if (byId("photos").files.length) chosen = { files: photosOfOneLabel(), zip: null };
  if (!chosen.zip && !chosen.files.length) {
    byId("chosen").textContent = "Choose a folder, a zip or photos first.";
    byId("folder").focus();
    return;
  }
  sending = new AbortController();
  form.querySelector("[type=submit]").disabled = true;
  Object.assign(counts, { done: 0, total: chosen.files.length, new: 0, known: 0, accepted: 0, refused: 0 });
  byId("refused-list").replaceChildren();
  byId("refused").hidden = byId("refused-more").hidden = byId("job-link").hidden = true;
  byId("progress").hidden = byId("stop").hidden = false;
  byId("progress-title").textContent = "Progress";
  byId("counts").textContent = "";
  byId("bar").value = 0;
  byId("progress").focus();
  try {
    await run(sending);
  } catch (error) {
    ended(`Nothing more was imported. ${error.message}`);
  }
  sending = null;
  byId("stop").hidden = true;
  form.querySelector("[type=submit]").disabled = false;
}

async function run(stopper) {
  const fields = new FormData(form);
  const job = await call("POST", form.dataset.begin, {
    kind: chosen.zip ? "zip" : "files",
    recognizer: fields.get("recognizer"),
    new_name: fields.get("new_name"),
    accept: fields.has("accept"),
    confirmed: fields.has("confirmed"),
    total: chosen.files.length,
    size: chosen.zip?.size ?? 0,
  });
  byId("job-link").href = job.job;
  byId("job-link").hidden = false;
  let fatal = null;
  try {
    if (chosen.zip) await sendPieces(job, chosen.zip, stopper.signal);
    else await sendFiles(job, stopper);
  } catch (error) {
    if (error.name !== "AbortError") fatal = error;
  }
  const stopped = stopper.signal.aborted || fatal !== null;
  await call("POST", job.end, { stopped }).catch((error) => (fatal ??= error));
  if (fatal) ended(`Stopped: ${fatal.message}`);
  else if (stopped) ended("Stopped. Choose the same again to go on; what is known is not taken twice.");
  else if (chosen.zip) {
    sending = null; // leaving is meant
    location.assign(job.job);
  } else ended("Done.");
}

async function sendFiles(job, stopper) {
  const queue = [...chosen.files].reverse();
  const most = Number(form.dataset.mostBytes);
  async function one() {
    for (let next = queue.pop(); next && !stopper.signal.aborted; next = queue.pop()) {
      const query = new URLSearchParams({ name: next.name, size: next.file.size });
      try {
        // Too large is said without the bytes: a server that does not read them would look like a failing network.
        const body = next.file.size > most ? new Blob([]) : next.file;
        const outcome = await call("PUT", `${job.file}?${query}`, body, stopper.signal);
        counts[outcome.state] += 1;
        counts.accepted += outcome.accepted;
      } catch (error) {
        if (error.name === "AbortError") return;
        if (error.fatal) {
          stopper.abort();
          throw error;
        }
        counts.refused += 1;
        list(next.name, error.message);
      }
      counts.done += 1;
      show();
    }
  }
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, one));
  const failed = ends.find((end) => end.status === "rejected");
  if (failed) throw failed.reason;
}

async function sendPieces(job, zip, signal) {
  const size = Number(form.dataset.pieceBytes);
  for (let number = 0; number * size < zip.size; number++) {
    await call("PUT", `${job.pieces}${number}/`, zip.slice(number * size, (number + 1) * size), signal);
    const sent = Math.min(zip.size, (number + 1) * size);
    byId("bar").value = sent / zip.size;
    byId("counts").textContent = `${(sent / 2 ** 20).toFixed(1)} of ${(zip.size / 2 ** 20).toFixed(1)} MB sent.`;
    speak(byId("counts").textContent);
  }
}

function summary() {
  const accepted = counts.accepted ? ` ${counts.accepted} accepted now,` : "";
  return `${counts.done} of ${counts.total} files: ${counts.new} new, ${counts.known} known already,${accepted} ${counts.refused} refused.`;
}

function show() {
  byId("bar").value = counts.total ? counts.done / counts.total : 0;
  byId("counts").textContent = summary();
  speak(summary());
}

function ended(text) {
  byId("progress-title").textContent = text;
  speak(`${text} ${counts.total ? summary() : ""}`, true);
}

function list(name, why) {
  byId("refused").hidden = false;
  if (counts.refused > LISTED) {
    byId("refused-more").hidden = false;
    byId("refused-more").textContent = `And ${counts.refused - LISTED} more; this import’s page has the whole list.`;
    return;
  }
  const item = document.createElement("li");
  item.append(Object.assign(document.createElement("code"), { textContent: name }), ` ${why}`);
  byId("refused-list").append(item);
}

// ---- the page of one import: what the worker does --------------------------------------------------------------
async function watch(address) {
  for (;;) {
    await pause(LOOK_MS);
    const facts = await call("GET", address).catch(() => null);
    if (!facts || !facts.open) break;
    Object.assign(counts, facts);
    if (facts.total) {
      byId("bar").max = 1;
      show();
    }
  }
  location.reload(); // the server's page says how it ended; a session that is over comes to the login
}

if (form) {
  prepare();
  byId("stop").addEventListener("click", () => sending?.abort());
  addEventListener("beforeunload", (event) => sending && event.preventDefault());
} else {
  watch(byId("spoken").dataset.state);
}
