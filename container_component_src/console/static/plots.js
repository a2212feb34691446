// Small plots of one alarm: the score with its threshold, and measured beside expected values of the channels that moved.

import { clockText, dateText, element, numberText, shareText, svg, timeTicks, valueTicks } from "./text.js";

const [LEFT, RIGHT, TOP, BOTTOM] = [46, 6, 6, 20]; // pixels around a plot

export function drawPlots(box, series, alarm) {
  const frame = { start: series.start, end: series.end, span: [alarm.startTime, alarm.endTime], times: series.times };
  const score = { title: "Score", note: "nats", isScore: true, height: 150, lines: [
    { kind: "measured", ...series.score }], levels: [{ kind: "limit", value: alarm.threshold }] };
  const channels = series.channels.map((item) => ({
    title: item.channel, note: shareText(item.share), height: 150,
    lines: [{ kind: "expected", ...item.expected }, { kind: "measured", ...item.measured }],
    levels: (item.range ?? []).map((value) => ({ kind: "usual", value })),
  }));
  score.wide = channels.length % 2 === 0; // the rows of two are filled
  const figures = [score, ...channels].map((plot) => figureOf(plot));
  box.replaceChildren(...figures.map(({ figure }) => figure));
  const panels = figures.map(({ figure, note, plot }) => panelOf(figure, note, plot, frame));
  for (const panel of panels) panel.follow((time) => panels.forEach((each) => each.point(time)));
}

function figureOf(plot) {
  const note = element("span", {}, plot.note);
  const figure = element("figure", { class: plot.wide ? "small wide" : "small" },
    element("figcaption", {}, element("b", {}, plot.title), note));
  return { figure, note, plot };
}

function panelOf(figure, note, plot, frame) {
  const [width, height] = [Math.max(figure.clientWidth, 200), plot.height];
  const [low, high] = valueRange(plot);
  const x = (time) => LEFT + ((time - frame.start) / (frame.end - frame.start)) * (width - LEFT - RIGHT);
  const y = (value) => TOP + ((high - value) / (high - low)) * (height - TOP - BOTTOM);
  const clamp = (value) => Math.min(Math.max(value, LEFT), width - RIGHT);
  const [from, to] = frame.span.map((time) => clamp(x(time)));
  const label = `${plot.title} around the alarm, ${plot.lines.map(({ kind }) => kind).join(" and ")}, from ${numberText(low)} to ${numberText(high)}`;
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label },
    svg("rect", { class: "span", x: from, y: TOP, width: Math.max(to - from, 1), height: height - TOP - BOTTOM }),
    ...axes(plot, frame, { width, height, low, high, x, y }));
  for (const { kind, value } of plot.levels) {
    if (value >= low && value <= high) picture.append(svg("path", { class: `line ${kind}`, d: `M${LEFT} ${y(value)}H${width - RIGHT}` }));
  }
  for (const line of plot.lines) picture.append(svg("path", { class: `line ${line.kind}`, d: pathOf(frame.times, line, x, y) }));
  const cursor = svg("line", { class: "cursor", y1: TOP, y2: height - BOTTOM });
  picture.append(cursor);
  figure.append(picture);
  return {
    follow(tell) {
      picture.addEventListener("pointermove", (event) => {
        const box = picture.getBoundingClientRect();
        const part = ((event.clientX - box.left) / box.width * width - LEFT) / (width - LEFT - RIGHT);
        tell(frame.start + Math.min(Math.max(part, 0), 1) * (frame.end - frame.start));
      });
      picture.addEventListener("pointerleave", () => tell(null));
    },
    point(time) {
      cursor.style.visibility = time === null ? "" : "visible";
      note.textContent = time === null ? plot.note : valuesAt(plot, frame.times, time);
      if (time !== null) for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(time));
    },
  };
}

function axes(plot, frame, { width, height, low, high, x, y }) {
  const parts = [];
  for (const value of valueTicks(low, high, 4)) {
    parts.push(svg("path", { class: "grid", d: `M${LEFT} ${y(value)}H${width - RIGHT}` }));
    parts.push(svg("text", { x: LEFT - 6, y: y(value) + 4, "text-anchor": "end" }, numberText(value)));
  }
  for (const { time, text } of timeTicks(frame.start, frame.end, (width - LEFT) / 75)) {
    parts.push(svg("path", { class: "grid", d: `M${x(time)} ${height - BOTTOM}v4` }));
    const anchor = x(time) > width - 20 ? "end" : "middle";
    parts.push(svg("text", { x: x(time), y: height - 4, "text-anchor": anchor }, text));
  }
  return parts;
}

// Several rows in one point are a stroke from their least to their greatest value.
function pathOf(times, { low, high }, x, y) {
  const parts = [];
  let drawn = false;
  times.forEach((time, place) => {
    if (low[place] === null || high[place] === null) {
      drawn = false;
      return;
    }
    const at = x(time).toFixed(1);
    parts.push(`${drawn ? "L" : "M"}${at} ${y(low[place]).toFixed(1)}`);
    if (high[place] !== low[place]) parts.push(`L${at} ${y(high[place]).toFixed(1)}`);
    drawn = true;
  });
  return parts.join("");
}

// Bounds of the training values and the threshold are shown if they are near.
function valueRange({ lines, levels }) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    for (const value of line.low) if (value !== null && value < low) low = value;
    for (const value of line.high) if (value !== null && value > high) high = value;
  }
  if (low > high) return [0, 1];
  const spread = high - low || Math.abs(high) / 100 || 1;
  for (const { kind, value } of levels) {
    if (kind !== "limit" && (value < low - spread || value > high + spread)) continue;
    [low, high] = [Math.min(low, value), Math.max(high, value)];
  }
  return [low - 0.06 * spread, high + 0.06 * spread];
}

function valuesAt(plot, times, time) {
  let place = 0;
  while (place + 1 < times.length && times[place + 1] <= time) place += 1;
  const texts = plot.lines.toReversed().map(({ kind, low, high }) => {
    if (low[place] === null) return `${kind} –`;
    const range = low[place] === high[place] ? numberText(low[place]) : `${numberText(low[place])} to ${numberText(high[place])}`;
    return plot.isScore ? range : `${kind} ${range}`;
  });
  const when = plot.isScore ? `${dateText(times[place])} ${clockText(times[place])} · ` : "";
  return when + texts.join(" · ");
}
