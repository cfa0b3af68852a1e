// Elements, requests and colours, for the other modules.

export const $ = (id) => document.getElementById(id);

/** An element; a property that is a function listens, `data` sets the data-* attributes. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null) continue;
    if (typeof value === "function") element.addEventListener(name, value);
    else if (name === "data") Object.assign(element.dataset, value);
    else if (name === "class") element.className = value;
    else if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

export class Problem extends Error {}

async function get(path, signal) {
  const answer = await fetch(path, { signal });
  if (answer.ok) return answer;
  const { error, hint } = await answer.json();
  throw new Problem(hint ? `${error}\n${hint}` : error);
}

export const getJson = async (path, signal) => (await get(path, signal)).json();
export const getBytes = async (path, signal) => (await get(path, signal)).arrayBuffer();

/** Pictures and videos are kept by the browser while one server runs; the next may serve another dataset. */
let run = "";
export const startRun = (token) => (run = token);
export const kept = (...words) => `data/${words.map(encodeURIComponent).join("/")}?run=${run}`;

/** A colour of the style sheet as the canvas needs it, in the theme of the moment. */
const known = new Map();
export function colour(name) {
  if (!known.has(name)) {
    const probe = h("i");
    probe.style.color = `var(--${name})`;
    document.body.append(probe);
    known.set(name, getComputedStyle(probe).color);
    probe.remove();
  }
  return known.get(name);
}
export const forgetColours = () => known.clear();

export const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

/** The place of the last entry of a rising list that is not above a value; -1 where there is none. */
export function lastAt(list, value, of = (entry) => entry) {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (of(list[middle]) <= value) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

export function seconds(value) {
  if (value < 60) return `${value.toFixed(1)} s`;
  const whole = Math.round(value);
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  return minutes < 60 ? `${minutes}:${rest} min` : `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest} h`;
}

export function size(bytes) {
  if (bytes < 1024 ** 2) return `${Math.max(bytes / 1024, 0.1).toFixed(1)} KiB`;
  return bytes < 1024 ** 3 ? `${(bytes / 1024 ** 2).toFixed(1)} MiB` : `${(bytes / 1024 ** 3).toFixed(2)} GiB`;
}

/** A number in few characters. */
export function short(value) {
  if (!Number.isFinite(value)) return String(value);
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return String(value);
  const magnitude = Math.abs(value);
  if (magnitude >= 1e5 || (magnitude < 1e-3 && magnitude > 0)) return value.toExponential(2);
  return value.toFixed(magnitude >= 100 ? 1 : magnitude >= 10 ? 2 : 3);
}
