// Elements, and numbers, times and durations as texts. A text reaches the page as the text of an element, never as HTML.

export const byId = (id) => document.getElementById(id);
export const VERDICTS = { true: "True alarm", false: "False alarm", rare_nominal: "Rare but nominal" };
const SVG = "http://www.w3.org/2000/svg";

export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) if (value !== null) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const timeOf = (text) => Date.parse(text);

const two = (number) => String(number).padStart(2, "0");

export function dateText(time) {
  const date = new Date(time);
  return `${date.getUTCFullYear()}-${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
}

export function clockText(time, seconds = true) {
  const date = new Date(time);
  return `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}` + (seconds ? `:${two(date.getUTCSeconds())}` : "");
}

export const momentText = (time) => `${dateText(time)} ${clockText(time)}`;

export function numberText(value) {
  if (value === null || !Number.isFinite(value)) return "–";
  const rounded = Number(value.toPrecision(3));
  const size = Math.abs(rounded);
  if (size && (size < 1e-4 || size >= 1e9)) return rounded.toExponential();
  return (size >= 1000 ? Number(value.toPrecision(Math.max(3, Math.ceil(Math.log10(size))))) : rounded).toLocaleString("en", {
    maximumSignificantDigits: 12 }).replaceAll(",", "\u202f").replace("-", "−");
}

export function durationText(milliseconds) {
  const seconds = milliseconds / 1000;
  for (const [size, unit] of [[86_400, "d"], [3600, "h"], [60, "min"]]) {
    if (seconds >= 2 * size) return `${numberText(seconds / size)} ${unit}`;
  }
  return `${numberText(Math.round(seconds))} s`;
}

export const shareText = (share) => `${Math.round(100 * share)} %`;

// Times of the ticks of an axis, at most so many, and how they are written.
const STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800].map((s) => 1000 * s);
const MONTHS = [1, 3, 6, 12, 24, 60, 120];
const MONTH = 30.44 * 86_400_000;
const NAMES = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export function timeTicks(start, end, most) {
  const step = STEPS.find((size) => (end - start) / size <= most);
  return step ? regularTicks(start, end, step) : monthTicks(start, end, most);
}

function regularTicks(start, end, step) {
  const ticks = [];
  for (let time = Math.ceil(start / step) * step; time <= end; time += step) {
    const midnight = time % 86_400_000 === 0;
    const date = new Date(time);
    ticks.push({ time, text: midnight ? `${date.getUTCDate()} ${NAMES[date.getUTCMonth()]}` : clockText(time, step < 60_000) });
  }
  return ticks;
}

function monthTicks(start, end, most) {
  const step = MONTHS.find((count) => (end - start) / (count * MONTH) <= most) ?? MONTHS.at(-1);
  const ticks = [];
  const first = new Date(start);
  let month = first.getUTCFullYear() * 12 + Math.ceil(first.getUTCMonth() / step) * step;
  for (;; month += step) {
    const [year, of] = [Math.floor(month / 12), month % 12];
    const time = Date.UTC(year, of);
    if (time > end) return ticks;
    if (time >= start) ticks.push({ time, text: of ? NAMES[of] : String(year) });
  }
}

export function valueTicks(low, high, most) {
  const rough = (high - low) / most;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * size).find((each) => each >= rough);
  const ticks = [];
  for (let place = Math.ceil(low / step); place * step <= high; place += 1) ticks.push(Number((place * step).toPrecision(12)));
  return ticks;
}
