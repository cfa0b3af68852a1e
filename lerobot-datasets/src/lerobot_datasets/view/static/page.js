// Puts the parts of the page together: what is chosen, the address, the keys and the texts.

import { $, clamp, forgetColours, getJson, h, lastAt, Problem, seconds, size, startRun } from "./dom.js";
import { List } from "./list.js";
import { Player } from "./player.js";
import { Plots } from "./plots.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];

let dataset = null;
let episode = null; // what is said of the one that is shown
let list = null;
let plots = null;
let loading = null; // gives up what is fetched for an episode that was left
const player = new Player(moved, (playing) => {
  document.body.classList.toggle("playing", playing);
  $("play").ariaLabel = playing ? "Pause" : "Play";
});

function fail(problem) {
  if (problem.name === "AbortError") return;
  const known = problem instanceof Problem || problem instanceof TypeError;
  $("problem").hidden = false;
  $("problem").textContent = problem instanceof TypeError ? `the server does not answer: ${problem.message}` : problem.message;
  if (!known) throw problem;
}

// --- the episode ---

async function open(number, frame = 0) {
  loading?.abort();
  const { signal } = (loading = new AbortController());
  $("problem").hidden = true;
  document.body.classList.add("loads");
  document.body.classList.remove("drawn");
  list.mark(number);
  try {
    const found = await getJson(`data/episode/${number}`, signal);
    episode = found;
    document.title = `${number} · ${dataset.name}`;
    $("scrub").max = episode.length - 1;
    drawMarks();
    drawFacts(null);
    drawTexts();
    plots.clear(episode.length);
    player.load(episode, dataset.fps, clamp(frame, 0, episode.length - 1));
    await plots.load(number, signal);
    document.body.classList.remove("loads");
    document.body.classList.add("drawn");
    const findings = await getJson(`data/findings/${number}`, signal);
    const bit = (name) => dataset.flags.find((flag) => flag.name === name).bit;
    list.setFlags(number, findings.reduce((bits, one) => bits | bit(one.flag), 0));
    drawFacts(findings);
  } catch (problem) {
    if (!signal.aborted) {
      document.body.classList.remove("loads");
      if (episode?.episode !== number) leave();
      fail(problem);
    }
  }
}

/** Show nothing: the episode wanted cannot be read. */
function leave() {
  episode = null;
  told = { pieces: [], lasting: new Map(), events: [] };
  player.load({ length: 1, cameras: [] }, dataset.fps, 0);
  plots.clear(1);
  for (const id of ["texts", "facts", "marks"]) $(id).replaceChildren();
  $("where").value = "";
}

function go(by) {
  const number = list.neighbour(by);
  if (number !== null) open(number);
}

function moved(frame) {
  if (!episode) return;
  $("scrub").value = frame;
  $("where").value = `${frame} / ${episode.length - 1} · ${(frame / dataset.fps).toFixed(2)} s`;
  plots?.at(frame);
  tellTexts(frame);
  clearTimeout(moved.resting);
  moved.resting = setTimeout(remember, player.playing ? 500 : 60);
}

// --- texts ---

const when = (entry) => entry.frame ?? Math.round(entry.time * dataset.fps);
let told = { pieces: [], lasting: new Map(), events: [] };

/** The texts of an episode: what holds until it is superseded, and what is said at one instant. */
function drawTexts() {
  const pieces = [["task", episode.tasks], ...Object.entries(episode.texts)];
  const entries = episode.language.map((entry) => ({ ...entry, at: when(entry) })).sort((a, b) => a.at - b.at);
  const lasting = grouped(entries.filter((entry) => entry.time !== null));
  const line = (name) => h("dd", { data: { text: name } });
  told = { pieces, lasting, events: entries.filter((entry) => entry.time === null) };
  const rows = [...pieces.map(([name]) => name), ...lasting.keys()];
  $("texts").replaceChildren(
    h("dl", {}, ...rows.flatMap((name) => [h("dt", {}, name), line(name)])),
    told.events.length ? h("div", { class: "events" }, ...told.events.map(event)) : "",
  );
  told.lines = new Map([...$("texts").querySelectorAll("dd")].map((element) => [element.dataset.text, element]));
  told.buttons = [...$("texts").querySelectorAll(".events button")];
}

function grouped(entries) {
  const out = new Map();
  for (const entry of entries) {
    const style = entry.style ?? "text";
    out.set(style, [...(out.get(style) ?? []), entry]);
  }
  return out;
}

function event(entry) {
  const kind = [entry.role, entry.style, entry.camera?.replace(/^observation\.images\./, "")].filter(Boolean).join(" · ");
  return h(
    "button",
    { data: { frame: entry.at }, click: () => player.step(entry.at - player.frame) },
    h("span", { class: "quiet" }, `${(entry.at / dataset.fps).toFixed(2)} s  ${kind}`),
    h("span", {}, entry.text),
  );
}

function tellTexts(frame) {
  if (!told.lines) return;
  const put = (name, text) => {
    const line = told.lines.get(name);
    if (line.textContent !== text) line.textContent = text;
  };
  for (const [name, pieces] of told.pieces) put(name, pieces[lastAt(pieces, frame, (piece) => piece[0])]?.[1] ?? "");
  for (const [style, entries] of told.lasting) put(style, entries[lastAt(entries, frame, (entry) => entry.at)]?.text ?? "");
  told.events.forEach((entry, at) => told.buttons[at].classList.toggle("now", Math.abs(entry.at - frame) < dataset.fps / 4));
}

/** Marks over the scrubber: where a task begins, and what is said. */
function drawMarks() {
  const mark = (frame, kind, title) => {
    const element = h("i", { class: kind, title });
    element.style.left = `${(100 * frame) / Math.max(episode.length - 1, 1)}%`;
    return element;
  };
  const tasks = episode.tasks.slice(1, 300).map(([frame, text]) => mark(frame, "task", text));
  const said = episode.language.slice(0, 300).map((entry) => mark(when(entry), entry.time === null ? "event" : "lasting", entry.text));
  $("marks").replaceChildren(...tasks, ...said);
}

// --- facts ---

function drawFacts(findings) {
  const fact = (name, ...value) => [h("dt", {}, name), h("dd", {}, ...value)];
  const more = Object.entries(episode.more).flatMap(([name, value]) => fact(name, typeof value === "object" ? JSON.stringify(value) : String(value)));
  const tasks = [...new Set(episode.tasks.map(([, text]) => text))];
  const files = episode.files.map((file) => h("div", { class: file.bytes === null ? "absent" : "" }, h("code", {}, file.path), file.bytes === null ? " not here" : ` ${size(file.bytes)}`));
  const quality = !findings
    ? [h("span", { class: "quiet" }, "looking …")]
    : findings.length
      ? findings.map((one) => h("div", { class: "finding" }, h("b", {}, one.flag), ` ${one.message}`))
      : ["nothing found"];
  $("facts").replaceChildren(
    h("h2", {}, `Episode ${episode.episode}`),
    h(
      "dl",
      {},
      ...fact("length", `${episode.length} frames, ${seconds(episode.length / dataset.fps)}`),
      ...fact("rows", `${episode.rows[0]} to ${episode.rows[1] - 1}`),
      ...fact("tasks", tasks.join(" · ") || "none"),
      ...more,
      ...fact("quality", ...quality),
      ...fact("files", ...files),
    ),
  );
}

// --- the dataset ---

async function checkAll() {
  $("check").disabled = true;
  let flagged = -1;
  for (;;) {
    const found = await getJson("data/looked?all=1");
    $("check").textContent = `${found.looked.toLocaleString("en")} of ${dataset.episodes.toLocaleString("en")} looked at`;
    if (found.flagged !== flagged) await list.refresh();
    flagged = found.flagged;
    if (found.looked >= dataset.episodes) break;
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
  list.mark(list.chosen);
  $("check").textContent = `all looked at, ${flagged.toLocaleString("en")} flagged`;
}

function remember() {
  if (episode) history.replaceState(null, "", `#episode=${episode.episode}&frame=${player.frame}`);
}

function linked(hash = location.hash) {
  const words = new URLSearchParams(hash.slice(1));
  const number = (name) => Math.max(Math.trunc(Number(words.get(name))) || 0, 0);
  return [Math.min(number("episode"), dataset.episodes - 1), number("frame")];
}

function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  forgetColours();
  plots?.draw();
}

function switchTheme() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (document.documentElement.dataset.theme ?? dark) === "dark" ? "light" : "dark";
  localStorage.setItem("lr-view-theme", next);
  setTheme(next);
}

function changeSpeed(by) {
  $("speed").selectedIndex = clamp($("speed").selectedIndex + by, 0, SPEEDS.length - 1);
  player.setSpeed(SPEEDS[$("speed").selectedIndex]);
}

const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: (event) => player.step(event.shiftKey ? -10 : -1),
  ArrowRight: (event) => player.step(event.shiftKey ? 10 : 1),
  Home: () => player.step(-Infinity),
  End: () => player.step(Infinity),
  ArrowUp: () => go(-1),
  ArrowDown: () => go(1),
  k: () => go(-1),
  j: () => go(1),
  "[": () => changeSpeed(-1),
  "]": () => changeSpeed(1),
  "/": () => (document.body.classList.add("drawer"), $("text").focus(), $("text").select()),
  f: () => list.onlyFlagged().catch(fail),
  t: switchTheme,
  "?": () => $("help").showModal(),
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const field = event.target.closest?.("input:not([type=range]), select, textarea");
  if (field) {
    if (event.key === "Escape" || (event.key === "Enter" && field.id === "text")) field.blur();
    return;
  }
  const act = KEYS[event.key];
  if (!act || !dataset) return;
  event.preventDefault();
  act(event);
}

function wire() {
  const click = (id, act) => $(id).addEventListener("click", act);
  click("play", () => player.toggle());
  click("back", () => player.step(-1));
  click("forward", () => player.step(1));
  click("previous", () => go(-1));
  click("next", () => go(1));
  click("theme", switchTheme);
  click("keys", () => $("help").showModal());
  click("check", () => checkAll().catch(fail));
  click("drawer", () => document.body.classList.toggle("drawer"));
  $("scrub").addEventListener("input", () => player.step(Number($("scrub").value) - player.frame));
  $("speed").append(...SPEEDS.map((speed) => h("option", { selected: speed === 1 }, `${speed}×`)));
  $("speed").addEventListener("change", () => changeSpeed(0));
  document.addEventListener("keydown", pressed);
  for (const button of document.querySelectorAll("button")) button.addEventListener("click", () => button.blur()); // space plays
  addEventListener("hashchange", (event) => {
    const [number, frame] = linked(new URL(event.newURL).hash); // `remember` may have replaced the page's own meanwhile
    if (episode?.episode === number) player.step(frame - player.frame);
    else open(number, frame);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => setTheme());
}

function describe() {
  const frames = `${dataset.frames.toLocaleString("en")} frames`;
  const parts = [dataset.robot, `${dataset.fps} fps`, `${dataset.episodes.toLocaleString("en")} episodes`, frames, seconds(dataset.frames / dataset.fps), dataset.version];
  $("name").textContent = dataset.name;
  $("name").title = dataset.root;
  $("summary").textContent = parts.filter(Boolean).join(" · ");
  $("check").textContent = "Look at all";
  $("check").hidden = dataset.remote;
  if (dataset.dead.length) {
    const names = dataset.dead.join(", ");
    $("summary").append(h("b", { class: "warning", title: `never changes: ${names}` }, ` ${dataset.dead.length} dead`));
  }
}

async function start() {
  setTheme(localStorage.getItem("lr-view-theme"));
  wire();
  startRun(Math.random().toString(36).slice(2));
  dataset = await getJson("data/dataset");
  describe();
  list = new List(dataset, (number) => (document.body.classList.remove("drawer"), open(number)), fail);
  plots = new Plots(dataset, (frame) => player.step(frame - player.frame));
  await list.refresh();
  if (!dataset.episodes) throw new Problem("this dataset has no episodes yet");
  await open(...linked());
}

start().catch(fail);
