"use strict";
// The figure of one event: its score with the alarms, and its channels below, on the same time axis.

const ALARM_MARKS = [ // in the order of the times of an alarm: start, raised, peak, end
  { name: "Start", symbol: "triangle-right", textposition: "middle left" },
  { name: "Raised", symbol: "diamond", textposition: "bottom center" },
  { name: "Peak", symbol: "star", textposition: "top center" },
  { name: "End", symbol: "square", textposition: "middle right" },
];

const short = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

const timesOf = (view, line) => line.x.map((offset) => view.start + offset);

function eventFigure(event, alarms, levels) {
  const near = alarms.filter(({ times }) => times[3] >= event.start && times[0] < event.end);
  const panels = [{ title: "<b>Smoothed score</b>", unit: "nats" }, ...event.signals.map(signalPanel)];
  const layout = {
    xaxis: { type: "date", range: observed(event), anchor: panels.length > 1 ? "y" + panels.length : "y", title: { text: "Time (UTC)" } },
    hovermode: "closest", shapes: [], annotations: [], margin: { l: 64, r: 16, t: 24, b: 32 },
  };
  const shares = panels.map((_, number) => (number ? 1 : 1.7));
  const total = shares.reduce((sum, share) => sum + share);
  let top = 1;
  panels.forEach(({ title, range }, number) => {
    const height = shares[number] / total;
    layout["yaxis" + (number ? number + 1 : "")] = { domain: [top - height + 0.05, top - 0.045], nticks: 5, range };
    layout.annotations.push({
      text: title, x: 0, xref: "paper", xanchor: "left", y: top - 0.045, yref: "paper", yanchor: "bottom", showarrow: false,
    });
    top -= height;
  });
  layout.shapes.push(...eventAreas(event, panels.length), ...alarmAreas(near), ...levelLines(levels));
  event.signals.forEach((signal, number) => layout.shapes.push(...trainingRange(signal, "y" + (number + 2))));
  const data = [scoreTrace(event), ...alarmMarks(near), ...event.signals.map((signal, number) => signalTrace(event, signal, number))];
  return { data, layout, score_axis: "y" };
}

// The part of the window that has data.
function observed(event) {
  const times = timesOf(event, event.score);
  const margin = (times.at(-1) - times[0]) / 20;
  return [times[0] - margin, times.at(-1) + margin];
}

function scoreTrace(event) {
  return {
    type: "scatter", mode: "lines", name: "Smoothed score", x: timesOf(event, event.score), y: event.score.y, showlegend: false,
    line: { color: "@score", width: 1.6 }, hovertemplate: "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:.4~g} nats<extra></extra>",
  };
}

// A mark for each time of the alarms; those of the alarm with the highest peak are named.
function alarmMarks(alarms) {
  const highest = Math.max(...alarms.map((alarm) => alarm.peak_score));
  return ALARM_MARKS.map(({ name, symbol, textposition }, number) => ({
    type: "scatter", mode: "markers+text", cliponaxis: false, name, textposition, legendrank: 900 + number,
    x: alarms.map(({ times }) => times[number]),
    y: alarms.map((alarm) => alarm.heights[number]),
    text: alarms.map((alarm) => (alarm.peak_score === highest ? name : "")),
    marker: { symbol, size: 10, color: "@ink", line: { color: "@panel", width: 1 } },
    hovertemplate: `${name} of the alarm<br>%{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>`,
  }));
}

function eventAreas(event, count) {
  const [x0, x1] = event.event;
  return Array.from({ length: count }, (_, number) => ({
    type: "rect", layer: "below", xref: "x", x0, x1, yref: `y${number ? number + 1 : ""} domain`, y0: 0, y1: 1,
    fillcolor: "@muted/0.16", line: { color: "@muted/0.5", width: 1 }, name: "Reported event", showlegend: !number,
  }));
}

function alarmAreas(alarms) {
  return alarms.map(({ times, true: isTrue }, number) => ({
    type: "rect", layer: "below", xref: "x", x0: times[0], x1: times[3], yref: "y domain", y0: 0, y1: 1,
    fillcolor: isTrue ? "@detected/0.2" : "@false/0.2", line: { color: isTrue ? "@detected" : "@false", width: 1 },
    name: isTrue ? "True alarm" : "False alarm",
    showlegend: alarms.findIndex((other) => other.true === isTrue) === number,
  }));
}

function levelLines(levels) {
  return levels.map(({ name, score, dash }) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: score, y1: score, name, showlegend: true,
    line: { color: "@calibrated", width: 2, dash },
  }));
}

function signalPanel(signal) {
  const trained = signal.training_range?.map(short).join(" to ");
  const range = trained ? ` · 98 % of the training values: ${trained}` : "";
  return {
    title: `<b>${escaped(signal.channel)}</b> · ${signal.excess > 0 ? "+" : ""}${short(signal.excess)} nats${range}`,
    range: signalRange(signal),
  };
}

function signalTrace(event, signal, number) {
  return {
    type: "scatter", mode: "lines", name: escaped(signal.channel), x: timesOf(event, signal), y: signal.y, yaxis: "y" + (number + 2),
    showlegend: false, line: { color: "@score", width: 1.4 }, hovertemplate: "%{y:.6~g} at %{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
  };
}

function trainingRange(signal, axis) {
  return (signal.training_range ?? []).map((bound) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, yref: axis, y0: bound, y1: bound, line: { color: "@muted", width: 1, dash: "dot" },
  }));
}

// Range of the values, extended to the bounds of the training values if these are near.
function signalRange({ y, training_range: trained }) {
  const known = y.filter((value) => value !== null);
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const spread = high - low || Math.abs(high) / 100 || 1;
  const shown = [low, high, ...(trained ?? []).filter((bound) => bound > low - spread && bound < high + spread)];
  return [Math.min(...shown) - 0.08 * spread, Math.max(...shown) + 0.08 * spread];
}
