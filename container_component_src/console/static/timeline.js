// All alarms over time, a lane for each subsystem, on a canvas that is drawn anew for every change.

import { byId, clockText, dateText, durationText, timeTicks } from "./text.js";

const [LANE, AXIS, LEAST] = [29, 20, 3]; // pixels: height of a lane and of the axis, width of the shortest alarm
const SHORTEST = 60_000; // milliseconds that the whole width shows at least
const DAY = 86_400_000;

export class Timeline {
  constructor(onSelect) {
    this.canvas = byId("timeline");
    this.items = [];
    this.shown = new Set();
    this.selected = null;
    this.range = null; // null: the whole period
    this.brush = null;
    this.onSelect = onSelect;
    this.waits = false;
    new ResizeObserver(() => this.draw()).observe(this.canvas.parentElement);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
    this.listen();
  }

  show(items, shown, selected) {
    [this.items, this.shown, this.selected] = [items, shown, selected];
    this.lanes = [...new Set(items.map(({ alarm }) => alarm.subsystem))].sort();
    const times = items.flatMap(({ alarm }) => [alarm.startTime, alarm.endTime]);
    const [first, last] = times.length ? [times.reduce((a, b) => Math.min(a, b)), times.reduce((a, b) => Math.max(a, b))] : [Date.now() - DAY, Date.now()];
    const margin = Math.max((last - first) * 0.01, SHORTEST);
    this.whole = [first - margin, last + margin];
    this.draw();
  }

  draw() {
    if (this.waits) return;
    this.waits = true;
    requestAnimationFrame(() => {
      this.waits = false;
      if (this.whole) this.paint();
    });
  }

  get period() {
    return this.range ?? this.whole;
  }

  paint() {
    const { canvas, lanes } = this;
    const [width, height] = [canvas.clientWidth, Math.max(1, lanes.length) * LANE + AXIS];
    const scale = devicePixelRatio || 1;
    canvas.style.height = `${height}px`;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    pen.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    this.paintAxis(pen, width, height, colour);
    this.boxes = [];
    for (const item of this.items) this.paintAlarm(pen, item, width, colour);
    lanes.forEach((name, place) => {
      pen.fillStyle = colour("--plot-muted");
      pen.fillText(name || "no subsystem", 4, place * LANE + 11);
    });
    if (this.brush) {
      const [from, to] = this.brush;
      pen.fillStyle = colour("--accent");
      pen.globalAlpha = 0.18;
      pen.fillRect(Math.min(from, to), 0, Math.abs(to - from), height - AXIS);
      pen.globalAlpha = 1;
    }
    canvas.setAttribute("aria-label", `${this.items.length} alarms over time, from ${dateText(this.period[0])} ${clockText(this.period[0])} to ${dateText(this.period[1])} ${clockText(this.period[1])} UTC`);
    byId("whole").disabled = !this.range;
  }

  paintAxis(pen, width, height, colour) {
    const [start, end] = this.period;
    pen.lineWidth = 1;
    pen.strokeStyle = colour("--plot-grid");
    pen.fillStyle = colour("--plot-muted");
    pen.beginPath();
    for (let place = 0; place <= Math.max(1, this.lanes.length); place += 1) {
      pen.moveTo(0, place * LANE + 0.5);
      pen.lineTo(width, place * LANE + 0.5);
    }
    for (const { time, text } of timeTicks(start, end, width / 90)) {
      const x = Math.round(this.x(time, width)) + 0.5;
      pen.moveTo(x, 0);
      pen.lineTo(x, height - AXIS + 4);
      const half = pen.measureText(text).width / 2;
      pen.fillText(text, Math.min(Math.max(x - half, 0), width - 2 * half), height - 4);
    }
    pen.stroke();
  }

  paintAlarm(pen, { alarm, verdict }, width, colour) {
    const left = this.x(alarm.startTime, width);
    const right = Math.max(this.x(alarm.endTime, width), left + LEAST);
    if (right < 0 || left > width) return;
    const top = this.lanes.indexOf(alarm.subsystem) * LANE + 14;
    const names = { true: "--true", false: "--false", rare_nominal: "--rare" };
    pen.globalAlpha = this.shown.has(alarm.id) ? 1 : 0.2;
    pen.fillStyle = colour(verdict ? names[verdict.verdict] : "--none");
    pen.fillRect(left, top, right - left, 11);
    pen.lineWidth = 2;
    if (alarm.state !== "closed") {
      pen.strokeStyle = colour("--open");
      pen.strokeRect(left - 1, top - 1, right - left + 2, 13);
    }
    if (alarm.id === this.selected) {
      pen.globalAlpha = 1;
      pen.strokeStyle = colour("--ink");
      pen.strokeRect(left - 2.5, top - 2.5, right - left + 5, 16);
    }
    pen.globalAlpha = 1;
    this.boxes.push({ alarm, left, right, top });
  }

  x(time, width) {
    const [start, end] = this.period;
    return ((time - start) / (end - start)) * width;
  }

  time(x) {
    const [start, end] = this.period;
    return start + (x / this.canvas.clientWidth) * (end - start);
  }

  at(x, y) {
    const near = (this.boxes ?? []).filter(({ top }) => y >= top - 14 && y <= top + 16);
    const distance = ({ left, right }) => Math.max(left - x, x - right, 0);
    const nearest = near.reduce((best, box) => (!best || distance(box) <= distance(best) ? box : best), null);
    return nearest && distance(nearest) <= 6 ? nearest.alarm : null;
  }

  look(start, end) {
    const [first, last] = this.whole;
    const size = Math.min(Math.max(end - start, SHORTEST), last - first);
    const from = Math.min(Math.max((start + end - size) / 2, first), last - size);
    this.range = size >= last - first ? null : [from, from + size];
    this.draw();
  }

  zoom(factor, around = null) {
    const [start, end] = this.period;
    const centre = around ?? (start + end) / 2;
    this.look(centre - (centre - start) * factor, centre + (end - centre) * factor);
  }

  pan(part) {
    const [start, end] = this.period;
    const by = Math.min(Math.max(part * (end - start), this.whole[0] - start), this.whole[1] - end);
    this.look(start + by, end + by);
  }

  // Show the alarm, if it is not in view.
  reveal(alarm) {
    const [start, end] = this.period;
    if (this.range && (alarm.endTime < start || alarm.startTime > end)) {
      const middle = (alarm.startTime + alarm.endTime) / 2;
      this.look(middle - (end - start) / 2, middle + (end - start) / 2);
    }
  }

  listen() {
    const on = (id, action) => byId(id).addEventListener("click", action);
    on("zoom-in", () => this.zoom(0.5));
    on("zoom-out", () => this.zoom(2));
    on("earlier", () => this.pan(-0.5));
    on("later", () => this.pan(0.5));
    on("whole", () => this.look(...this.whole));
    on("last-day", () => this.look(this.whole[1] - DAY, this.whole[1]));
    const { canvas } = this;
    const place = (event) => [event.offsetX, event.offsetY];
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      if (event.pointerType === "mouse") canvas.setPointerCapture(event.pointerId);
      this.brush = [event.offsetX, event.offsetX];
    });
    canvas.addEventListener("pointermove", (event) => {
      this.describe(this.at(...place(event)));
      if (!this.brush || event.pointerType !== "mouse") return;
      this.brush[1] = event.offsetX;
      this.draw();
    });
    canvas.addEventListener("pointerup", (event) => this.release(event));
    canvas.addEventListener("pointercancel", () => { this.brush = null; this.draw(); });
    canvas.addEventListener("pointerleave", () => this.describe(null));
    canvas.addEventListener("wheel", (event) => {
      if (!event.ctrlKey) return; // the page scrolls
      event.preventDefault();
      this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.time(event.offsetX));
    }, { passive: false });
    const keys = { "+": () => this.zoom(0.5), "=": () => this.zoom(0.5), "-": () => this.zoom(2), 0: () => this.look(...this.whole),
      ArrowLeft: () => this.pan(-0.25), ArrowRight: () => this.pan(0.25) };
    canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
      event.preventDefault();
      keys[event.key]();
    });
  }

  release(event) {
    const [from, to] = (this.brush ?? [0, 0]).toSorted((a, b) => a - b);
    this.brush = null;
    if (to - from > 6) this.look(this.time(from), this.time(to));
    else {
      const alarm = this.at(event.offsetX, event.offsetY);
      if (alarm) this.onSelect(alarm.id);
    }
    this.draw();
  }

  describe(alarm) {
    byId("readout").textContent = alarm
      ? `${dateText(alarm.startTime)} ${clockText(alarm.startTime)} · ${durationText(alarm.endTime - alarm.startTime)} · ${alarm.channels[0]?.channel ?? ""}`
      : "Drag to zoom; select an alarm by a click.";
  }
}
