// The selected alarm: facts, verdict, channels and plots.

import { readSeries, sendVerdict } from "./live.js";
import { drawPlots } from "./plots.js";
import { VERDICTS, byId, clockText, dateText, durationText, element, momentText, numberText, shareText, timeOf } from "./text.js";

const REMEMBERED = "console-operator";
const AGAIN = 5000; // milliseconds between two readings of the series of an alarm that lasts
const STAYS = 120; // milliseconds after which an alarm is not just one on the way to another

export class Detail {
  constructor() {
    this.alarm = null;
    this.verdict = null;
    this.payloadLog = false;
    this.reading = null;
    this.series = null;
    this.comment = byId("comment");
    this.by = byId("by");
    this.by.value = localStorage.getItem(REMEMBERED) ?? "";
    this.by.addEventListener("change", () => localStorage.setItem(REMEMBERED, this.by.value.trim()));
    this.comment.addEventListener("input", () => this.showSave());
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.addEventListener("click", () => this.judge(button.dataset.verdict));
    }
    byId("verdict").addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.verdict) this.judge(this.verdict.verdict);
    });
    let width = 0;
    new ResizeObserver(([{ contentRect }]) => {
      if (this.series && contentRect.width !== width) this.draw();
      width = contentRect.width;
    }).observe(byId("plots"));
  }

  show(alarm, verdict) {
    const other = alarm?.id !== this.alarm?.id;
    const changed = other || alarm?.end !== this.alarm?.end || alarm?.state !== this.alarm?.state;
    [this.alarm, this.verdict] = [alarm, verdict ?? null];
    byId("nothing").hidden = Boolean(alarm);
    byId("chosen").hidden = !alarm;
    if (!alarm) return;
    if (changed) this.showFacts();
    if (other) this.comment.value = verdict?.comment ?? "";
    this.showVerdict();
    if (changed) this.read(other);
  }

  showFacts() {
    const { alarm } = this;
    const open = alarm.state !== "closed";
    byId("detail-title").textContent = alarm.subsystem || alarm.channels[0]?.channel || "Alarm";
    byId("state").textContent = open ? "open" : "closed";
    byId("state").className = open ? "badge open" : "badge";
    const end = dateText(alarm.startTime) === dateText(alarm.endTime) ? clockText(alarm.endTime) : momentText(alarm.endTime);
    const facts = {
      "Start (UTC)": momentText(alarm.startTime),
      [open ? "Last row (UTC)" : "End (UTC)"]: end,
      Duration: `${durationText(alarm.endTime - alarm.startTime)}, ${alarm.rows} rows`,
      "Largest score": `${numberText(alarm.peak_score)} at ${clockText(timeOf(alarm.peak))}, threshold ${numberText(alarm.threshold)}`,
      "Reported events": alarm.events === null ? "" : alarm.events.join(", ") || "none",
      Model: alarm.model_version.slice(0, 8),
    };
    byId("facts").replaceChildren(...Object.entries(facts).filter(([, text]) => text).map(([name, text]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, text))));
    byId("channels").replaceChildren(...alarm.channels.map(({ channel, share }) => {
      const item = element("li", {}, element("span", {}, channel), element("span", {}, shareText(share)));
      item.style.setProperty("--share", share);
      return item;
    }));
  }

  showVerdict() {
    const { verdict } = this;
    for (const button of document.querySelectorAll("[data-verdict]")) {
      button.setAttribute("aria-pressed", String(button.dataset.verdict === verdict?.verdict));
    }
    if (verdict) {
      const by = verdict.by ? ` by ${verdict.by}` : "";
      this.tell(`${VERDICTS[verdict.verdict]}${by}, ${momentText(timeOf(verdict.at))} UTC${verdict.comment ? ` — ${verdict.comment}` : ""}`);
    } else this.tell("");
    this.showSave();
  }

  showSave() {
    byId("save").disabled = !this.verdict || this.comment.value.trim() === this.verdict.comment;
  }

  tell(text, problem = false) {
    const given = byId("given");
    if (given.textContent !== text) given.textContent = text;
    given.classList.toggle("problem", problem);
  }

  async judge(verdict) {
    const { alarm } = this;
    if (!alarm) return;
    const by = this.by.value.trim();
    if (!by) {
      this.tell("Enter your name first; it is remembered.", true);
      this.by.focus();
      return;
    }
    try {
      const given = await sendVerdict(alarm.id, { verdict, by, comment: this.comment.value });
      if (this.alarm?.id !== alarm.id) return;
      this.verdict = given;
      this.showVerdict();
    } catch (error) {
      if (this.alarm?.id === alarm.id) this.tell(`The verdict was not saved: ${error.message}`, true);
    }
  }

  read(other) {
    const { alarm } = this;
    if (!other && this.reading) return; // one that lasts: it is read again soon
    clearTimeout(this.reading?.timer);
    this.reading?.abort.abort();
    if (!this.payloadLog) {
      this.reading = null;
      this.clear("There is no payload log, so there are no measured and expected values. Start the console with --payload-log.");
      return;
    }
    if (other) {
      byId("plots").classList.add("old");
      byId("plots-note").textContent = "Reading the payload log …";
    }
    const reading = { abort: new AbortController(), timer: 0 };
    this.reading = reading;
    reading.timer = setTimeout(() => this.fetch(reading, alarm), other ? STAYS : 0);
  }

  async fetch(reading, alarm) {
    try {
      const series = await readSeries(alarm.id, reading.abort.signal);
      if (this.reading !== reading) return;
      this.series = series;
      this.draw();
    } catch (error) {
      if (this.reading === reading) this.clear(`The payload log cannot be read: ${error.message}`);
    }
    reading.timer = setTimeout(() => {
      if (this.reading !== reading) return;
      this.reading = null;
      if (this.alarm.id === alarm.id && this.alarm.end !== alarm.end) this.read(false);
    }, AGAIN);
  }

  clear(note) {
    this.series = null;
    byId("plots").replaceChildren();
    byId("plots").classList.remove("old");
    byId("plots-note").textContent = note;
    byId("usual-key").hidden = true;
  }

  draw() {
    const { series, alarm } = this;
    if (!series.rows) {
      this.clear("The payload log has no rows of this time.");
      return;
    }
    const cut = series.end < alarm.endTime;
    byId("plots-note").textContent = `${series.rows.toLocaleString("en").replaceAll(",", "\u202f")} logged rows from ${momentText(series.start)} UTC${cut ? "; the alarm goes on beyond this plot" : ""}. The alarm is shaded.`;
    byId("usual-key").hidden = !series.channels.some(({ range }) => range);
    byId("plots").classList.remove("old");
    drawPlots(byId("plots"), series, alarm);
  }
}
