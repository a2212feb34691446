// Drift and dead channels.

import { byId, element, momentText, numberText, timeOf } from "./text.js";

const REASONS = { distribution: "distribution", missing: "missing values", outside: "outside the usual range" };

export function showDrift(drift) {
  const rows = drift ? Object.entries(drift.drifted) : [];
  if (drift?.scores?.drifted) rows.unshift(["(scores)", drift.scores]);
  byId("drift-note").textContent = drift ? driftText(drift) : "There is no check for drift yet. Run check_drift, and start the console with --drift.";
  count("count-drifted", drift ? Object.keys(drift.drifted).length : null);
  table("drift", rows.map(([name, item]) => element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "number", "data-label": "PSI" }, numberText(item.psi)),
    element("td", {}, item.reasons.map((reason) => REASONS[reason] ?? reason).join(", ")),
    element("td", { class: "time", "data-label": "since" }, item.since ? momentText(timeOf(item.since)) : "–"))));
}

function driftText(drift) {
  const drifted = Object.keys(drift.drifted).length;
  const period = `${momentText(timeOf(drift.start))} to ${momentText(timeOf(drift.end))} UTC`;
  const verdict = drift.exceeded ? `Limit passed: ${drift.reasons.join("; ")}.` : "No limit is passed.";
  return `${drifted} of ${drift.total} channels have drifted, ${period}. ${verdict}`;
}

export function showDead(dead, payloadLog) {
  const rows = dead ? Object.entries(dead.channels) : [];
  byId("dead-note").textContent = !payloadLog ? "There is no payload log, which tells which channels send values."
    : !dead?.last_row ? "The payload log has no rows yet."
      : `${rows.length ? "They send no values any more." : "All channels send values."} Last row: ${momentText(timeOf(dead.last_row))} UTC.`;
  count("count-dead", payloadLog && dead ? rows.length : null);
  table("dead", rows.map(([name, last]) => element("tr", {},
    element("th", { scope: "row" }, name), element("td", { class: "time", "data-label": "last value" }, last ? momentText(timeOf(last)) : "none seen"))));
}

function table(name, rows) {
  const found = byId(`${name}-table`);
  found.hidden = !rows.length;
  found.tBodies[0].replaceChildren(...rows);
}

export function count(id, number) {
  const place = byId(id);
  place.textContent = number === null ? "–" : number;
  place.parentElement.classList.toggle("raised", number > 0 && id !== "count-unjudged");
}
