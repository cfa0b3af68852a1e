// Curves of every number of an episode, by joint or by feature, with the cursor of the player.

import { $, clamp, colour, getBytes, h, short } from "./dom.js";

const HEIGHT = 78; // of a plot [px]
const LEFT = 44; // for the labels of the values [px]
const BOTTOM = 14; // for those of the time [px]
const MOST_CURVES = 16; // of a plot; a feature with more is shown as a map
const COLOURS = 8; // curve-0 … in page.css

/** Features that name the same joint are drawn together: what was measured beside what was commanded. */
function arranged(series, byJoint) {
  const joints = new Map(); // name → the features' elements
  for (const one of series) {
    if (one.names.length > MOST_CURVES * 4) continue;
    one.names.forEach((name, element) => name && joints.set(name, [...(joints.get(name) ?? []), { one, element }]));
  }
  const shared = [...joints].filter(([, parts]) => new Set(parts.map((part) => part.one.key)).size > 1);
  const together = new Set(shared.flatMap(([, parts]) => parts.map((part) => part.one.key)));
  const byFeature = (one) => ({ title: one.key, parts: one.names.map((_, element) => ({ one, element })) });
  if (!byJoint || !shared.length) return { plots: series.map(byFeature), together: byJoint ? new Set() : together };
  const plots = [...joints].filter(([, parts]) => together.has(parts[0].one.key)).map(([title, parts]) => ({ title, parts }));
  return { plots: [...plots, ...series.filter((one) => !together.has(one.key)).map(byFeature)], together };
}

class Plot {
  constructor({ title, parts }, owner) {
    this.owner = owner;
    this.parts = parts;
    this.single = new Set(parts.map((part) => part.one.key)).size === 1;
    this.isMap = parts.length > MOST_CURVES;
    this.hidden = new Set();
    const unit = parts[0].one.unit;
    this.canvas = h("canvas");
    this.cursor = h("div", { class: "cursor" });
    this.hover = h("div", { class: "cursor hover", hidden: true });
    this.area = h("div", { class: "area" }, this.canvas, this.cursor, this.hover);
    this.legend = h("div", { class: "legend" }, ...(this.isMap ? [(this.readout = h("span", { class: "quiet" }))] : parts.map((part, at) => this.entry(part, at))));
    this.element = h("div", { class: parts.length > 6 ? "plot wide" : "plot", data: { title } }, h("h3", {}, title, unit ? h("small", {}, ` [${unit}]`) : ""), this.legend, this.area);
    const frame = (event) => owner.frameAt(event.offsetX, this.width);
    this.area.addEventListener("pointermove", (event) => {
      this.row = Math.floor((event.offsetY / (this.height - BOTTOM)) * parts.length);
      owner.point(frame(event));
      if (event.buttons & 1) owner.go(frame(event));
    });
    this.area.addEventListener("pointerleave", () => owner.point(null));
    this.area.addEventListener("pointerdown", (event) => owner.go(frame(event)));
  }

  entry(part, at) {
    const name = this.single ? part.one.names[part.element] || "value" : part.one.key.replace(/^observation\./, "");
    const value = h("output");
    part.value = value;
    const swatch = h("i");
    swatch.style.background = `var(--${this.curve(part, at)})`;
    const entry = h("button", { class: "key", title: `${part.one.key} ${part.one.names[part.element]}: hide or show`, click: () => this.toggle(at, entry) }, swatch, h("span", {}, name), value);
    return entry;
  }

  curve(part, at) {
    return `curve-${(this.single ? at : this.owner.place(part.one.key)) % COLOURS}`;
  }

  toggle(at, entry) {
    if (!this.hidden.delete(at)) this.hidden.add(at);
    entry.classList.toggle("off", this.hidden.has(at));
    this.draw();
  }

  get visible() {
    return this.parts.filter((part, at) => !this.hidden.has(at) && !this.owner.hidden.has(part.one.key) && part.one.values);
  }

  /** Everything but the cursors. */
  draw() {
    this.width = this.area.clientWidth;
    this.height = this.isMap ? clamp(this.parts.length * 2, HEIGHT, 180) : HEIGHT;
    if (!this.width) return;
    const scale = devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * scale);
    this.canvas.height = Math.round(this.height * scale);
    this.area.style.height = `${this.height}px`;
    const paper = this.canvas.getContext("2d");
    paper.setTransform(scale, 0, 0, scale, 0, 0);
    paper.font = "10px system-ui, sans-serif";
    this.drawTimes(paper);
    if (this.isMap) this.drawMap(paper);
    else this.drawCurves(paper);
    this.canvas.dataset.drawn = this.visible.length;
  }

  x(frame) {
    return this.owner.x(frame, this.width);
  }

  drawTimes(paper) {
    const { length, fps } = this.owner;
    const total = length / fps;
    const step = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600].find((s) => total / s <= this.width / 70) ?? 7200;
    paper.strokeStyle = colour("grid");
    paper.fillStyle = colour("quiet");
    paper.textAlign = "center";
    paper.beginPath();
    for (let time = 0; time <= total; time += step) {
      const x = Math.round(this.x(time * fps)) + 0.5;
      if (x > this.width - 8) break;
      paper.moveTo(x, 0);
      paper.lineTo(x, this.height - BOTTOM);
      paper.fillText(`${Number(time.toFixed(1))}${time ? "" : " s"}`, x, this.height - 3);
    }
    paper.stroke();
  }

  bounds(parts) {
    let low = Infinity;
    let high = -Infinity;
    for (const { one, element } of parts) {
      const width = one.names.length;
      for (let at = element; at < one.values.length; at += width) {
        const value = one.values[at];
        if (value < low && value > -Infinity) low = value;
        if (value > high && value < Infinity) high = value;
      }
    }
    if (low > high) return [0, 1];
    const room = high - low || Math.abs(high) * 0.1 || 1;
    return high > low ? [low, high] : [low - room, high + room];
  }

  drawCurves(paper) {
    const parts = this.visible;
    if (!parts.length) return;
    const [low, high] = this.bounds(parts);
    const top = 5;
    const bottom = this.height - BOTTOM - 4;
    const y = (value) => bottom - ((value - low) / (high - low)) * (bottom - top);
    paper.textAlign = "right";
    paper.fillStyle = colour("quiet");
    paper.fillText(short(high), LEFT - 5, top + 6);
    paper.fillText(short(low), LEFT - 5, bottom + 2);
    if (low < 0 && high > 0) {
      paper.strokeStyle = colour("zero");
      paper.beginPath();
      paper.moveTo(LEFT, Math.round(y(0)) + 0.5);
      paper.lineTo(this.width, Math.round(y(0)) + 0.5);
      paper.stroke();
    }
    paper.lineWidth = 1.5;
    paper.lineJoin = "round";
    for (const part of [...parts].reverse()) this.drawCurve(paper, part, y);
  }

  /** A line through the values; where many fall on a pixel, from their least to their greatest. */
  drawCurve(paper, part, y) {
    const { values, names, dtype } = part.one;
    const width = names.length;
    const { length } = this.owner;
    const many = Math.max(1, Math.floor(length / (2 * this.width)));
    const steps = /bool|int/.test(dtype);
    paper.strokeStyle = colour(this.curve(part, this.parts.indexOf(part)));
    paper.beginPath();
    let pen = false;
    for (let frame = 0; frame < length; frame += many) {
      let low = Infinity;
      let high = -Infinity;
      for (let i = frame; i < Math.min(frame + many, length); i++) {
        const value = values[i * width + part.element];
        if (value < low) low = value;
        if (value > high) high = value;
      }
      const x = this.x(frame + many / 2);
      if (!Number.isFinite(low) || !Number.isFinite(high)) {
        pen = false;
        paper.moveTo(x, this.height - BOTTOM);
        paper.lineTo(x, this.height - BOTTOM - 6); // a mark where there is no number
        continue;
      }
      if (!pen) paper.moveTo(x, y(low));
      else if (steps) paper.lineTo(x, this.lastY);
      if (pen || length === 1) paper.lineTo(x + (length === 1 ? 2 : 0), y(low));
      if (high > low) paper.lineTo(x, y(high));
      this.lastY = y(high > low ? high : low);
      pen = true;
    }
    paper.stroke();
  }

  /** A row per element, dark to bright from its least to its greatest value. */
  drawMap(paper) {
    const one = this.parts[0].one;
    if (!one.values) return;
    const rows = one.names.length;
    const across = Math.min(this.owner.length, 2048);
    const picture = new ImageData(across, rows);
    for (let row = 0; row < rows; row++) {
      const [low, high] = this.bounds([{ one, element: row }]);
      for (let x = 0; x < across; x++) {
        const value = one.values[Math.floor((x / across) * this.owner.length) * rows + row];
        const share = clamp((value - low) / (high - low), 0, 1);
        picture.data.set([20 + 200 * share ** 2, 30 + 190 * share, 90 + 70 * share, Number.isFinite(value) ? 255 : 0], 4 * (row * across + x));
      }
    }
    const sheet = new OffscreenCanvas(across, rows);
    sheet.getContext("2d").putImageData(picture, 0, 0);
    paper.imageSmoothingEnabled = false;
    paper.drawImage(sheet, LEFT, 0, this.width - LEFT, this.height - BOTTOM);
    paper.textAlign = "right";
    paper.fillStyle = colour("quiet");
    paper.fillText("0", LEFT - 5, 9);
    paper.fillText(String(rows - 1), LEFT - 5, this.height - BOTTOM);
  }

  /** Move the cursors, and tell the values at the one that counts. */
  at(frame, pointed) {
    if (!this.width) return;
    this.cursor.style.transform = `translateX(${this.x(frame + 0.5)}px)`;
    this.hover.hidden = pointed === null;
    if (pointed !== null) this.hover.style.transform = `translateX(${this.x(pointed + 0.5)}px)`;
    const shown = pointed ?? frame;
    if (this.isMap) {
      const { values, names } = this.parts[0].one;
      const row = clamp(this.row || 0, 0, names.length - 1);
      this.readout.textContent = `${names.length} values; ${names[row]}: ${values ? short(values[shown * names.length + row]) : ""}`;
      return;
    }
    for (const { one, element, value } of this.parts) value.value = one.values ? this.read(one, shown, element) : "";
  }

  read(one, frame, element) {
    const value = one.values[frame * one.names.length + element];
    return one.dtype === "bool" ? String(value === 1) : short(value);
  }
}

export class Plots {
  /** `go` is called with the frame that was clicked. */
  constructor(dataset, go) {
    this.series = dataset.series;
    this.fps = dataset.fps;
    this.go = go;
    this.length = 1;
    this.frame = 0;
    this.pointed = null;
    this.hidden = new Set(); // features
    this.byJoint = true;
    this.plots = [];
    this.build();
    new ResizeObserver(() => this.draw()).observe($("plots"));
  }

  place(key) {
    return this.series.findIndex((one) => one.key === key);
  }

  build() {
    const { plots, together } = arranged(this.series, this.byJoint);
    this.plots = plots.map((plan) => new Plot(plan, this));
    const chips = this.series.map((one, at) => {
      const swatch = h("i");
      swatch.style.background = `var(--curve-${at % COLOURS})`;
      const chip = h("button", { class: `key${this.hidden.has(one.key) ? " off" : ""}`, title: "hide or show", click: () => this.toggle(one.key, chip) }, this.byJoint && together.has(one.key) ? swatch : null, one.key);
      return chip;
    });
    const arrange = h("button", { class: "key", click: () => this.rearrange() }, this.byJoint ? "a plot per feature" : "a plot per joint");
    $("plots").replaceChildren(
      h("div", { class: "toolbar" }, ...chips, h("span", { class: "spring" }), together.size ? arrange : null),
      h("div", { class: "grid" }, ...this.plots.map((plot) => plot.element)),
    );
    $("plots").hidden = !this.series.length;
    this.draw();
  }

  rearrange() {
    this.byJoint = !this.byJoint;
    this.build();
  }

  toggle(key, chip) {
    if (!this.hidden.delete(key)) this.hidden.add(key);
    chip.classList.toggle("off", this.hidden.has(key));
    this.draw();
  }

  /** Make room for an episode of that many frames. */
  clear(length) {
    this.length = length;
    this.pointed = null;
    for (const one of this.series) one.values = null;
    this.draw();
  }

  /** Fetch and draw the numbers of an episode; `signal` gives it up. */
  async load(episode, signal) {
    const load = async (one) => {
      const values = new Float32Array(await getBytes(`data/values/${episode}/${encodeURIComponent(one.key)}`, signal));
      if (!signal.aborted) one.values = values;
    };
    const done = await Promise.allSettled(this.series.map(load));
    if (signal.aborted) return;
    this.draw();
    const failed = done.find((one) => one.status === "rejected");
    if (failed) throw failed.reason;
  }

  draw() {
    for (const plot of this.plots) {
      plot.element.hidden = plot.parts.every((part) => this.hidden.has(part.one.key));
      plot.draw();
    }
    this.at(this.frame);
  }

  x(frame, width) {
    return LEFT + (frame / this.length) * (width - LEFT);
  }

  frameAt(x, width) {
    return clamp(Math.floor(((x - LEFT) / (width - LEFT)) * this.length), 0, this.length - 1);
  }

  point(frame) {
    this.pointed = frame;
    this.at(this.frame);
  }

  at(frame) {
    this.frame = clamp(frame, 0, this.length - 1);
    for (const plot of this.plots) plot.at(this.frame, this.pointed);
  }
}
