// One clock for all cameras. The browser plays what it can; other pictures are fetched one by one.

import { $, clamp, h, kept } from "./dom.js";

const CODECS = { av1: "av01.0.08M.08", h264: "avc1.640028", hevc: "hvc1.1.6.L120.90", vp9: "vp09.00.40.08" };
const AHEAD = 6; // pictures fetched before they are needed
const HELD = 60; // pictures held for stepping back
const AT_ONCE = 3; // pictures of a camera fetched at a time

function plays(codec) {
  return !(codec in CODECS) || document.createElement("video").canPlayType(`video/mp4; codecs="${CODECS[codec]}"`) !== "";
}

/** A camera that the browser decodes. Its picture at frame i is sought at the middle of that frame. */
class VideoCamera {
  constructor(camera, episode, fps, fail) {
    this.from = camera.from;
    this.fps = fps;
    this.pending = null;
    this.started = false;
    this.element = h("video", {
      muted: true,
      playsInline: true,
      preload: "auto",
      disablePictureInPicture: true,
      src: kept("video", camera.key, ...camera.place),
      error: fail,
      seeked: () => this.sought(),
      playing: () => (this.started = true),
    });
  }

  get ready() {
    return this.started && !this.element.seeking && this.element.readyState >= 3;
  }

  /** Stand at a time of the episode; while one seek is under way, only the last of the next counts. */
  seek(time) {
    this.pending = time;
    if (this.element.readyState === 0) {
      this.element.addEventListener("loadedmetadata", () => this.pending !== null && this.seek(this.pending), { once: true });
    } else if (!this.element.seeking) {
      this.pending = null;
      this.target = time;
      this.element.currentTime = this.from + time;
    }
  }

  sought() {
    if (this.pending !== null) this.seek(this.pending);
    else if (this.target !== undefined) this.element.dataset.frame = Math.floor(this.target * this.fps);
  }

  play() {
    this.started = false;
    delete this.element.dataset.frame;
    this.element.play().catch(() => {}); // a pause came first
  }

  pause() {
    this.element.pause();
  }

  /** Keep to the clock: small differences by speed, large ones by a seek. */
  follow(time, speed) {
    const ahead = this.element.currentTime - this.from - time;
    if (Math.abs(ahead) > 0.35 && !this.element.seeking) this.seek(time);
    const change = Math.abs(ahead) > 0.4 / this.fps ? clamp(-2 * ahead, -0.1, 0.1) : 0;
    const rate = Math.round(speed * (1 + change) * 1000) / 1000;
    if (this.element.playbackRate !== rate) this.element.playbackRate = rate;
  }

  close() {
    this.element.removeAttribute("src");
    this.element.load();
  }
}

/** A camera whose pictures are fetched: cells of tables, depth, and videos that the browser cannot decode. */
class PictureCamera {
  constructor(camera, episode, fps) {
    this.fps = fps;
    this.length = episode.length;
    this.path = (frame) => kept("picture", episode.episode, camera.key, frame);
    this.held = new Map(); // frame → picture once it is loaded, null before
    this.loading = 0;
    this.wanted = 0;
    this.drawn = -1;
    this.element = h("canvas", { width: camera.size[0], height: camera.size[1] });
    this.context = this.element.getContext("2d");
  }

  get ready() {
    return Math.abs(this.drawn - this.wanted) <= this.fps / 2;
  }

  seek(time) {
    this.wanted = clamp(Math.floor(time * this.fps), 0, this.length - 1);
    this.draw();
    this.fetch();
  }

  follow(time) {
    this.seek(time);
  }

  play() {}

  pause() {}

  draw() {
    const picture = this.held.get(this.wanted);
    if (!picture || this.drawn === this.wanted) return;
    if (this.element.width !== picture.naturalWidth || this.element.height !== picture.naturalHeight) {
      this.element.width = picture.naturalWidth;
      this.element.height = picture.naturalHeight;
    }
    this.context.drawImage(picture, 0, 0);
    this.drawn = this.wanted;
    this.element.dataset.frame = this.drawn;
  }

  fetch() {
    for (let frame = this.wanted; frame <= this.wanted + AHEAD && frame < this.length; frame++) {
      if (this.loading >= AT_ONCE) return;
      if (!this.held.has(frame)) this.load(frame);
    }
  }

  async load(frame) {
    this.loading++;
    this.held.set(frame, null);
    const picture = new Image();
    picture.src = this.path(frame);
    try {
      await picture.decode();
      this.held.set(frame, picture);
      if (frame > this.drawn && frame < this.wanted && this.drawn < this.wanted) this.late(frame, picture);
    } catch {
      this.element.classList.add("broken");
    }
    this.loading--;
    for (const old of this.held.keys()) {
      if (this.held.size <= HELD) break;
      if (Math.abs(old - this.wanted) > HELD / 2) this.held.delete(old);
    }
    if (this.closed) return;
    this.draw();
    this.fetch();
  }

  /** A picture that comes after its time is better than an older one. */
  late(frame, picture) {
    this.context.drawImage(picture, 0, 0);
    this.drawn = frame;
    this.element.dataset.frame = frame;
  }

  close() {
    this.closed = true;
    this.held.clear();
  }
}

export class Player {
  /** `moved` is called with each frame come to, `changed` when playing begins or ends. */
  constructor(moved, changed) {
    this.moved = moved;
    this.changed = changed;
    this.cameras = [];
    this.playing = false;
    this.speed = 1;
    this.time = 0;
    this.length = 1;
    this.fps = 1;
    this.last = -1;
    requestAnimationFrame((now) => this.tick(now));
  }

  load(episode, fps, frame) {
    this.pause();
    for (const camera of this.cameras) camera.close();
    this.fps = fps;
    this.length = episode.length;
    this.last = -1;
    this.cameras = [];
    const stage = $("cameras");
    stage.replaceChildren();
    for (const camera of episode.cameras) stage.append(this.figure(camera, episode));
    stage.hidden = !episode.cameras.length;
    stage.dataset.count = episode.cameras.length;
    this.seek(frame);
  }

  figure(camera, episode) {
    const name = camera.key.replace(/^observation\.images\./, "");
    const note = h("span", { class: "quiet" }, `${camera.size[0]}×${camera.size[1]}${camera.codec ? ` ${camera.codec}` : ""}`);
    const figure = h(
      "figure",
      { data: { camera: camera.key }, click: () => figure.classList.toggle("large") },
      h("figcaption", {}, h("span", { title: camera.key }, name), camera.bounds && this.scale(camera.bounds), note),
    );
    if (camera.missing) {
      figure.prepend(h("div", { class: "absent" }, "This video is not on this machine."));
      return figure;
    }
    const put = (made) => {
      this.cameras.push(made);
      made.element.style.aspectRatio = `${camera.size[0]} / ${camera.size[1]}`;
      figure.prepend(made.element);
    };
    const instead = () => {
      const at = this.cameras.findIndex((one) => one.element.parentElement === figure);
      if (at >= 0) this.cameras.splice(at, 1)[0].element.remove();
      if (!note.textContent.includes("picture by picture")) note.append(", picture by picture");
      put(new PictureCamera(camera, episode, this.fps));
      this.cameras.at(-1).seek(this.time);
    };
    if (!camera.played) put(new PictureCamera(camera, episode, this.fps));
    else if (plays(camera.codec)) put(new VideoCamera(camera, episode, this.fps, () => figure.isConnected && instead()));
    else instead();
    return figure;
  }

  scale([near, far]) {
    const metres = (value) => `${(value / 1000).toFixed(2)} m`;
    return h("span", { class: "scale" }, metres(near), h("i"), metres(far));
  }

  get frame() {
    return clamp(Math.floor(this.time * this.fps + 1e-6), 0, this.length - 1);
  }

  middle(frame) {
    return (clamp(frame, 0, this.length - 1) + 0.5) / this.fps;
  }

  seek(frame) {
    this.time = this.middle(frame);
    for (const camera of this.cameras) camera.seek(this.time);
    this.tell();
  }

  step(by) {
    this.pause();
    this.seek(this.frame + by);
  }

  toggle() {
    if (this.playing) return this.pause();
    if (this.frame >= this.length - 1) this.seek(0);
    this.playing = true;
    for (const camera of this.cameras) camera.play();
    this.changed(true);
  }

  pause() {
    if (!this.playing) return;
    this.playing = false;
    for (const camera of this.cameras) camera.pause();
    this.seek(this.frame);
    this.changed(false);
  }

  setSpeed(speed) {
    this.speed = speed;
  }

  tell() {
    if (this.frame === this.last) return;
    this.last = this.frame;
    this.moved(this.frame);
  }

  tick(now) {
    const passed = Math.min((now - (this.before ?? now)) / 1000, 0.25);
    this.before = now;
    if (this.playing) {
      const waits = !this.cameras.every((camera) => camera.ready);
      document.body.classList.toggle("waits", waits);
      if (!waits) this.time += passed * this.speed;
      if (this.time >= this.middle(this.length - 1)) {
        this.time = this.middle(this.length - 1);
        this.pause();
      } else for (const camera of this.cameras) camera.follow(this.time, this.speed);
      this.tell();
    } else document.body.classList.remove("waits");
    requestAnimationFrame((next) => this.tick(next));
  }
}
