// The page: what is known, what is shown of it, and the keys.

import { Detail } from "./detail.js";
import { AlarmList } from "./list.js";
import { connect } from "./live.js";
import { count, showDead, showDrift } from "./panels.js";
import { Timeline } from "./timeline.js";
import { byId, clockText, element, timeOf } from "./text.js";

const SHORTCUTS = "console-shortcuts";
const alarms = new Map(); // by ID
const verdicts = new Map(); // by the ID of the alarm
let sorted = null; // the newest first; null: to be sorted
let selected = decodeURIComponent(location.hash.slice(1)) || null;
let filter = { which: "all", subsystem: "", words: [] };
let waits = false;
let payloadLog = false;

const list = new AlarmList(select);
const timeline = new Timeline(select);
const detail = new Detail();

function take(alarm) {
  const known = alarms.get(alarm.id);
  alarm.startTime = known?.start === alarm.start ? known.startTime : timeOf(alarm.start);
  alarm.endTime = timeOf(alarm.end);
  alarm.text = [alarm.id, alarm.subsystem, ...alarm.channels.map(({ channel }) => channel), ...(alarm.events ?? [])].join(" ").toLowerCase();
  if (known?.startTime !== alarm.startTime) sorted = null;
  alarms.set(alarm.id, alarm);
  return !known;
}

const isOpen = (alarm) => alarm.state !== "closed";

function fits({ alarm, verdict }) {
  if (filter.which === "open" && !isOpen(alarm)) return false;
  if (filter.which === "unjudged" && verdict) return false;
  if (filter.subsystem && alarm.subsystem !== filter.subsystem) return false;
  if (!filter.words.length) return true;
  const text = verdict ? `${alarm.text} ${verdict.comment} ${verdict.by} ${verdict.verdict}`.toLowerCase() : alarm.text;
  return filter.words.every((word) => text.includes(word));
}

// Draw once for all changes of a moment.
function refresh() {
  if (waits) return;
  waits = true;
  requestAnimationFrame(() => {
    waits = false;
    draw();
  });
}

function draw() {
  sorted ??= [...alarms.values()].sort((a, b) => b.startTime - a.startTime);
  const items = sorted.map((alarm) => ({ alarm: alarms.get(alarm.id), verdict: verdicts.get(alarm.id) }));
  // The selected alarm stays in view when its verdict takes it out of the filter.
  const shown = items.filter((item) => fits(item) || (item.alarm.id === selected && filter.which !== "all" && !filter.words.length));
  list.show(shown, selected);
  timeline.show(items, new Set(shown.map(({ alarm }) => alarm.id)), selected);
  detail.show(alarms.get(selected) ?? null, verdicts.get(selected));
  count("count-open", items.filter(({ alarm }) => isOpen(alarm)).length);
  count("count-unjudged", items.filter(({ verdict }) => !verdict).length);
  byId("count").textContent = shown.length === items.length ? `${items.length}` : `${shown.length} of ${items.length}`;
  byId("none").hidden = shown.length > 0;
  byId("none").textContent = items.length ? "No alarm fits the filter." : "No alarms yet. They appear here when they are raised.";
  showSubsystems(items);
}

function showSubsystems(items) {
  const box = byId("subsystem");
  const names = [...new Set(items.map(({ alarm }) => alarm.subsystem))].filter(Boolean).sort();
  if (names.join("\n") === box.dataset.names) return;
  box.dataset.names = names.join("\n");
  box.replaceChildren(element("option", { value: "" }, "All subsystems"), ...names.map((name) => element("option", { value: name }, name)));
  box.value = names.includes(filter.subsystem) ? filter.subsystem : "";
}

function select(id) {
  selected = id;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  const alarm = alarms.get(id);
  if (alarm) timeline.reveal(alarm);
  draw();
  list.revealAlarm(id);
}

function announce(found) {
  if (!found.length) return;
  const [alarm] = found;
  byId("announcement").textContent = found.length === 1
    ? `New alarm: ${alarm.subsystem || alarm.channels[0]?.channel || ""}, started ${clockText(alarm.startTime)}`
    : `${found.length} new alarms`;
}

function showProblems(problems) {
  const box = byId("problems");
  const lines = Object.entries(problems).map(([name, text]) => element("li", {}, `${name}: ${text}`));
  box.hidden = !lines.length;
  box.replaceChildren(...lines);
}

const changes = {
  alarms: (found) => announce(found.filter((alarm) => take(alarm))),
  verdict: (verdict) => verdicts.set(verdict.alarm_id, verdict),
  verdicts: (found) => {
    verdicts.clear();
    for (const verdict of found) verdicts.set(verdict.alarm_id, verdict);
  },
  drift: showDrift,
  dead: (dead) => showDead(dead, payloadLog),
  problems: showProblems,
};

connect({
  onState(state) {
    payloadLog = detail.payloadLog = state.payload_log;
    alarms.clear();
    sorted = null;
    state.alarms.forEach(take);
    changes.verdicts(state.verdicts);
    showDrift(state.drift);
    showDead(state.dead, payloadLog);
    showProblems(state.problems);
    draw();
    if (selected) list.revealAlarm(selected);
  },
  onChange(name, content) {
    changes[name](content);
    refresh();
  },
  onConnection(state) {
    byId("connection").dataset.state = state;
    byId("connection").textContent = state === "live" ? "Live" : "Connecting";
  },
});

for (const button of document.querySelectorAll("[data-which]")) {
  button.addEventListener("click", () => {
    filter.which = button.dataset.which;
    for (const other of document.querySelectorAll("[data-which]")) other.setAttribute("aria-pressed", String(other === button));
    draw();
  });
}
byId("subsystem").addEventListener("change", (event) => {
  filter.subsystem = event.target.value;
  draw();
});
byId("search").addEventListener("input", (event) => {
  filter.words = event.target.value.toLowerCase().split(/\s+/).filter(Boolean);
  draw();
});

const shortcuts = byId("shortcuts");
shortcuts.checked = localStorage.getItem(SHORTCUTS) !== "off";
shortcuts.addEventListener("change", () => localStorage.setItem(SHORTCUTS, shortcuts.checked ? "on" : "off"));
const KEYS = {
  t: () => detail.judge("true"), f: () => detail.judge("false"), n: () => detail.judge("rare_nominal"),
  j: () => list.move(1), k: () => list.move(-1), c: () => byId("comment").focus(), "/": () => byId("search").focus(),
};
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape" && typing) typing.blur();
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat && event.key in { t: 1, f: 1, n: 1 } || typing) return;
  if (!shortcuts.checked || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
});
