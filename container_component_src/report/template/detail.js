"use strict";
// The figure of one event: its score with the alarms, and its channels below, on the same time axis.

const ALARM_MARKS = [ // in the order of the times of an alarm
  { name: "Start", symbol: "triangle-right" }, { name: "Raised", symbol: "diamond" },
  { name: "Peak", symbol: "star" }, { name: "End", symbol: "square" },
];

function escaped(text) {
  return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

const timesOf = (view, line) => line.x.map((offset) => view.start + offset);

// A narrow figure has two lines where a wide one has one.
function eventFigure(event, alarms, levels, narrow) {
  const near = alarms.filter(({ times }) => times[3] >= event.start && times[0] < event.end);
  const panels = [{ title: "<b>Smoothed score</b> · nats" }, ...event.signals.map((signal) => signalPanel(signal, narrow))];
  const first = firstAlarm(event, narrow);
  const layout = {
    xaxis: { type: "date", range: observed(event), anchor: panels.length > 1 ? "y" + panels.length : "y", title: { text: "Time (UTC)" } },
    hovermode: "closest", shapes: [], annotations: [], margin: { l: 64, r: 16, t: !first.length ? 24 : narrow ? 76 : 52, b: 32 },
  };
  const shares = panels.map((_, number) => (number ? 1 : 1.7));
  const total = shares.reduce((sum, share) => sum + share);
  const gap = narrow ? 0.065 : 0.045;
  let top = 1;
  panels.forEach(({ title, range }, number) => {
    const height = shares[number] / total;
    layout["yaxis" + (number ? number + 1 : "")] = { domain: [top - height + 0.05, top - gap], nticks: 5, range };
    layout.annotations.push({
      text: title, x: 0, xref: "paper", xanchor: "left", xshift: narrow ? -48 : 0, align: "left", y: top - gap, yref: "paper", yanchor: "bottom", showarrow: false,
    });
    top -= height;
  });
  layout.shapes.push(...eventAreas(event, panels.length), ...alarmAreas(near), ...levelLines(levels));
  layout.shapes.push(...first.flatMap((mark) => panels.map((_, number) => markLine(mark, number))));
  layout.annotations.push(...first.map((mark, number) => markLabel(mark, first.length - number, layout.xaxis.range)));
  event.signals.forEach((signal, number) => layout.shapes.push(...trainingRange(signal, "y" + (number + 2))));
  const data = [scoreTrace(event), ...alarmMarks(near), ...event.signals.flatMap((signal, number) => signalTraces(event, signal, number))];
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
    line: { color: "@score", width: 1.6 }, hovertemplate: "%{x|%Y-%m-%d %H:%M:%S} UTC<br>score %{customdata:,.3~r} nats<extra></extra>",
  };
}

// When the score crosses the threshold, and when the alarm is raised; one mark if that is the same row.
function firstAlarm({ first_alarm: times }, narrow) {
  if (!times) return [];
  const [crossed, raised] = times;
  if (crossed === raised) return [{ time: crossed, text: `Score crosses the threshold,${narrow ? "<br>" : " "}first alarm raised` }];
  return [{ time: crossed, text: "Score crosses the threshold" }, { time: raised, text: "First alarm raised" }];
}

function markLine({ time }, number) {
  return {
    type: "line", xref: "x", x0: time, x1: time, yref: `y${number ? number + 1 : ""} domain`, y0: 0, y1: 1,
    line: { color: "@ink", width: 1.5, dash: "dash" },
  };
}

function markLabel({ time, text }, row, [start, end]) {
  return {
    text, x: time, xref: "x", xanchor: ["left", "center", "right"][Math.floor((3 * (time - start)) / (end - start))], y: 1, yref: "paper", yanchor: "bottom",
    yshift: 16 * row - 12, showarrow: false,
  };
}

function alarmMarks(alarms) {
  return ALARM_MARKS.map(({ name, symbol }, number) => ({
    type: "scatter", mode: "markers", cliponaxis: false, name, legendrank: 900 + number,
    x: alarms.map(({ times }) => times[number]),
    y: alarms.map((alarm) => alarm.heights[number]),
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
  const looks = {
    true: ["True alarm", "@detected"], false: ["False alarm", "@false"], "rare nominal": ["Rare nominal alarm", "@slate"],
  };
  return alarms.map(({ times, kind }, number) => ({
    type: "rect", layer: "below", xref: "x", x0: times[0], x1: times[3], yref: "y domain", y0: 0, y1: 1,
    fillcolor: `${looks[kind][1]}/0.2`, line: { color: looks[kind][1], width: 1 }, name: looks[kind][0],
    showlegend: alarms.findIndex((other) => other.kind === kind) === number,
  }));
}

function levelLines(levels) {
  return levels.map(({ name, score, dash }) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, yref: "y", y0: score, y1: score, name, showlegend: true,
    line: { color: "@calibrated", width: 2, dash },
  }));
}

function signalPanel(signal, narrow) {
  const range = signal.training_text ? ` · 98 % of ${narrow ? "training" : "the training values"}: ${signal.training_text}` : "";
  return {
    title: `<b>${escaped(signal.channel)}</b>${narrow ? "<br>" : " · "}${signal.excess}${range}`,
    range: signalRange(signal),
  };
}

function signalTraces(event, signal, number) {
  const yaxis = "y" + (number + 2);
  const look = { type: "scatter", mode: "lines", yaxis, showlegend: !number };
  const hover = (name) => `${name} %{y:,.6~r} at %{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>`;
  const measured = {
    ...look, name: "Measured", x: timesOf(event, signal), y: signal.y, line: { color: "@score", width: 1.4 }, hovertemplate: hover("Measured"),
  };
  const expected = {
    ...look, name: "Expected by the model", ...band(event, signal.expected), fill: "toself", fillcolor: "@best/0.35", hoveron: "points",
    line: { color: "@best", width: 1.4 }, hovertemplate: hover("Expected"),
  };
  return [expected, measured];
}

// Outline of the area between minimum and maximum: a polygon for each stretch without a gap. Several rows in one point
// have their extremes from its time until that of the next one.
function band(event, { x: offsets, low, high }) {
  const [x, y] = [[], []];
  const times = timesOf(event, { x: offsets });
  const stepped = low.some((value, place) => value !== high[place]);
  const stretch = (from, to) => {
    const corners = [];
    for (let place = from; place < to; place += 1) {
      corners.push([times[place], place]);
      if (stepped && place + 1 < to) corners.push([times[place + 1], place]);
    }
    const back = [...corners].reverse();
    x.push(...[...corners, ...back].map(([time]) => time), null);
    y.push(...corners.map(([, place]) => low[place]), ...back.map(([, place]) => high[place]), null);
  };
  let from = 0;
  for (let place = 0; place <= times.length; place += 1) {
    if (place < times.length && low[place] !== null) continue;
    if (place > from) stretch(from, place);
    from = place + 1;
  }
  return { x, y };
}

function trainingRange(signal, axis) {
  return (signal.training_range ?? []).map((bound) => ({
    type: "line", xref: "paper", x0: 0, x1: 1, yref: axis, y0: bound, y1: bound, line: { color: "@muted", width: 1, dash: "dot" },
  }));
}

// Range of the measured and expected values, extended to the bounds of the training values if these are near.
function signalRange({ y, expected, training_range: trained }) {
  const known = [...y, ...expected.low, ...expected.high].filter((value) => value !== null);
  if (!known.length) return [0, 1];
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const spread = high - low || Math.abs(high) / 100 || 1;
  const shown = [low, high, ...(trained ?? []).filter((bound) => bound > low - spread && bound < high + spread)];
  return [Math.min(...shown) - 0.08 * spread, Math.max(...shown) + 0.08 * spread];
}
