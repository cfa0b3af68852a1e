// The list of episodes: filters, flags, and only the rows that are in sight.

import { $, clamp, getBytes, getJson, h, lastAt, seconds } from "./dom.js";

const ROW = 46; // height of a row in page.css [px]
const PAGE = 100; // texts fetched at once

export class List {
  constructor(dataset, choose, fail) {
    this.dataset = dataset;
    this.choose = choose;
    this.fail = fail;
    this.numbers = this.lengths = this.flags = new Uint32Array(0);
    this.tasks = new Map(); // episode → texts, or null while they are fetched
    this.chosen = -1;
    this.shown = new Map(); // place → element
    const everything = dataset.flags.reduce((bits, flag) => bits | flag.bit, 0);
    $("flagged").append(
      h("option", { value: "0" }, "all"),
      h("option", { value: String(everything) }, "flagged"),
      ...dataset.flags.map((flag) => h("option", { value: String(flag.bit), title: flag.means }, `⚑ ${flag.name}`)),
    );
    $("filter").addEventListener("submit", (event) => event.preventDefault());
    $("filter").addEventListener("input", () => {
      clearTimeout(this.typing);
      this.typing = setTimeout(() => this.refresh().catch(fail), 120);
    });
    $("rows").addEventListener("scroll", () => this.draw());
    new ResizeObserver(() => this.draw()).observe($("rows"));
  }

  onlyFlagged() {
    const select = $("flagged");
    select.selectedIndex = select.selectedIndex ? 0 : 1;
    return this.refresh();
  }

  /** Ask for the episodes that the filters want; answers that were overtaken are dropped. */
  async refresh() {
    const wanted = new URLSearchParams();
    const frames = (id) => Math.round(Number($(id).value) * this.dataset.fps);
    if ($("text").value.trim()) wanted.set("text", $("text").value.trim());
    if ($("shortest").value) wanted.set("shortest", Math.max(frames("shortest"), 0));
    if ($("longest").value) wanted.set("longest", Math.max(frames("longest"), 0));
    if ($("flagged").value !== "0") wanted.set("flags", $("flagged").value);
    const asked = (this.asked = {});
    const found = new Uint32Array(await getBytes(`data/episodes?${wanted}`));
    if (asked !== this.asked) return;
    const count = found.length / 3;
    [this.numbers, this.lengths, this.flags] = [0, 1, 2].map((part) => new Uint32Array(count).map((_, i) => found[3 * i + part]));
    const all = this.dataset.episodes.toLocaleString("en");
    $("count").textContent = count === this.dataset.episodes ? `${all} episodes` : `${count.toLocaleString("en")} of ${all} episodes`;
    $("all").style.height = `${count * ROW}px`;
    this.clear();
    this.draw();
  }

  clear() {
    for (const element of this.shown.values()) element.remove();
    this.shown.clear();
  }

  /** Put the rows in sight into the page, and take the others out. */
  draw() {
    const view = $("rows");
    const first = clamp(Math.floor(view.scrollTop / ROW) - 4, 0, this.numbers.length);
    const stop = Math.min(Math.ceil((view.scrollTop + view.clientHeight) / ROW) + 4, this.numbers.length);
    for (const [place, element] of this.shown) {
      if (place < first || place >= stop) {
        element.remove();
        this.shown.delete(place);
      }
    }
    for (let place = first; place < stop; place++) {
      if (!this.shown.has(place)) {
        const element = this.row(place);
        this.shown.set(place, element);
        $("all").append(element);
      }
    }
    clearTimeout(this.resting); // a list that flies past fetches nothing
    this.resting = setTimeout(() => this.fetchTexts(first, stop).catch(this.fail), 60);
  }

  row(place) {
    const episode = this.numbers[place];
    const tasks = this.tasks.get(episode);
    const length = this.lengths[place];
    const bar = h("i", { class: "bar" });
    bar.style.width = `${(100 * length) / Math.max(this.dataset.longest, 1)}%`;
    const element = h(
      "div",
      {
        class: "episode",
        role: "option",
        id: `episode-${episode}`,
        ariaSelected: String(episode === this.chosen),
        data: { episode },
        click: () => this.choose(episode),
      },
      h("span", { class: "number" }, String(episode)),
      h("span", { class: "task", title: (tasks ?? []).join("\n") }, tasks ? tasks.join(" · ") || "no task" : "…"),
      h("span", { class: "length" }, seconds(length / this.dataset.fps)),
      this.marks(this.flags[place]),
      bar,
    );
    element.style.transform = `translateY(${place * ROW}px)`;
    return element;
  }

  marks(bits) {
    const flags = this.dataset.flags.filter((flag) => bits & flag.bit);
    return h("span", { class: "flags" }, ...flags.map((flag) => h("b", { title: flag.means }, flag.name)));
  }

  async fetchTexts(first, stop) {
    const lacking = [...this.numbers.subarray(first, stop)].filter((episode) => !this.tasks.has(episode));
    for (let i = 0; i < lacking.length; i += PAGE) {
      const some = lacking.slice(i, i + PAGE);
      for (const episode of some) this.tasks.set(episode, null);
      const found = await getJson(`data/tasks?episodes=${some}`);
      some.forEach((episode, at) => this.tasks.set(episode, found[at]));
      if (this.tasks.size > 20000) this.tasks.clear();
      for (const [place, element] of this.shown) {
        if (some.includes(this.numbers[place])) this.redraw(place, element);
      }
    }
  }

  redraw(place, element) {
    const fresh = this.row(place);
    element.replaceWith(fresh);
    this.shown.set(place, fresh);
  }

  place(episode) {
    const at = lastAt(this.numbers, episode);
    return this.numbers[at] === episode ? at : -1;
  }

  /** Mark an episode as the one that is looked at, and bring it in sight. */
  mark(episode) {
    this.chosen = episode;
    for (const element of this.shown.values()) element.ariaSelected = String(Number(element.dataset.episode) === episode);
    const place = this.place(episode);
    if (place < 0) return;
    const view = $("rows");
    if (place * ROW < view.scrollTop) view.scrollTop = place * ROW;
    else if ((place + 1) * ROW > view.scrollTop + view.clientHeight) view.scrollTop = (place + 1) * ROW - view.clientHeight;
    view.setAttribute("aria-activedescendant", `episode-${episode}`);
  }

  setFlags(episode, bits) {
    const place = this.place(episode);
    if (place < 0) return;
    this.flags[place] |= bits;
    if (this.shown.has(place)) this.redraw(place, this.shown.get(place));
  }

  /** The episode that many places on in the list; null where it ends. */
  neighbour(by) {
    const at = lastAt(this.numbers, this.chosen);
    const before = this.numbers[at] !== this.chosen && by < 0 ? 1 : 0; // it was filtered out: at is the one before it
    const place = at + by + before;
    return place >= 0 && place < this.numbers.length ? this.numbers[place] : null;
  }
}
