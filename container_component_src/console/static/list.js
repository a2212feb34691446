// The list of alarms. Only the rows in view are elements, so that thousands of alarms are as fast as a few.

import { VERDICTS, byId, dateText, clockText, durationText, element, shareText } from "./text.js";

const ROW = 80; // pixels, as in the style sheet
const SPARE = 6; // rows above and below those in view

export class AlarmList {
  constructor(onSelect) {
    this.box = byId("alarms");
    this.space = this.box.firstElementChild;
    this.items = [];
    this.selected = null;
    this.rows = new Map(); // element by the ID of the alarm
    this.drawn = new Map(); // what it shows, by the ID
    this.onSelect = onSelect;
    this.box.addEventListener("scroll", () => this.draw(), { passive: true });
    this.box.addEventListener("keydown", (event) => this.key(event));
    this.box.addEventListener("click", (event) => {
      const row = event.target.closest(".alarm");
      if (!row) return;
      onSelect(row.dataset.id);
      if (matchMedia("(max-width: 1000px)").matches) byId("detail").scrollIntoView();
    });
    new ResizeObserver(() => this.draw()).observe(this.box);
  }

  show(items, selected) {
    this.items = items;
    this.selected = selected;
    this.space.style.height = `${items.length * ROW}px`;
    this.box.hidden = !items.length;
    this.draw();
  }

  draw() {
    const first = Math.max(0, Math.floor(this.box.scrollTop / ROW) - SPARE);
    const stop = Math.min(this.items.length, Math.ceil((this.box.scrollTop + this.box.clientHeight) / ROW) + SPARE);
    const wanted = new Map();
    for (let place = first; place < stop; place += 1) wanted.set(this.items[place].alarm.id, place);
    for (const [id, row] of this.rows) {
      if (wanted.has(id)) continue;
      row.remove();
      this.rows.delete(id);
      this.drawn.delete(id);
    }
    for (const [id, place] of wanted) this.row(id, place);
    const active = this.rows.get(this.selected);
    if (active) this.box.setAttribute("aria-activedescendant", active.id);
    else this.box.removeAttribute("aria-activedescendant");
  }

  row(id, place) {
    const { alarm, verdict } = this.items[place];
    const state = [place, this.items.length, alarm.state, alarm.end, verdict?.verdict, id === this.selected].join("|");
    if (this.drawn.get(id) === state) return;
    let row = this.rows.get(id);
    if (!row) {
      row = element("div", { role: "option", id: `alarm-${id}`, "data-id": id });
      this.rows.set(id, row);
      this.space.append(row);
    }
    this.drawn.set(id, state);
    row.className = `alarm ${verdict?.verdict ?? ""}`;
    row.style.top = `${place * ROW}px`;
    row.setAttribute("aria-selected", String(id === this.selected));
    row.setAttribute("aria-posinset", place + 1);
    row.setAttribute("aria-setsize", this.items.length);
    row.replaceChildren(...contents(alarm, verdict));
  }

  key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / ROW) - 1);
    const moves = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in moves)) return;
    event.preventDefault();
    this.move(moves[event.key]);
  }

  // Select another alarm, so many rows below the selected one.
  move(by) {
    if (!this.items.length) return;
    const now = this.items.findIndex(({ alarm }) => alarm.id === this.selected);
    const place = now < 0 ? 0 : Math.min(this.items.length - 1, Math.max(0, now + by));
    this.onSelect(this.items[place].alarm.id);
    this.reveal(place);
  }

  reveal(place) {
    const top = place * ROW;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    else if (top + ROW > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + ROW - this.box.clientHeight;
  }

  revealAlarm(id) {
    const place = this.items.findIndex(({ alarm }) => alarm.id === id);
    if (place >= 0) this.reveal(place);
  }
}

function contents(alarm, verdict) {
  const [first, ...others] = alarm.channels;
  const share = first ? `${shareText(first.share)}${others.length ? `, +${others.length}` : ""}` : "";
  const open = alarm.state !== "closed";
  const badge = verdict ? VERDICTS[verdict.verdict].replace(" alarm", "").replace(" but nominal", "") : open ? "open" : "";
  return [
    element("span", { class: "when" }, `${dateText(alarm.startTime)} ${clockText(alarm.startTime)}`),
    element("span", { class: "lasted" }, `${durationText(alarm.endTime - alarm.startTime)}${open && verdict ? ", open" : ""}`),
    element("span", { class: "what" }, alarm.subsystem || "no subsystem"),
    element("span", { class: `badge ${verdict ? verdict.verdict : open ? "open" : ""}` }, badge),
    element("span", { class: "cause" }, element("b", {}, first?.channel ?? "no channel"), element("i", {}, share)),
  ];
}
