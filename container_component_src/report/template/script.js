"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const plots = new Map(["time", "signals"].map((name) => [name, document.getElementById(name)]));
  for (const place of document.querySelectorAll("[data-figure]")) plots.set(place.dataset.figure, place);
  const rows = [...document.querySelectorAll(".events tbody tr")];
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  let compressed = true;
  let shownEvent = null; // null: the whole period
  let detailedEvent = highestPeak(); // whose signals are shown

  const position = (score) =>
    score === null || !compressed ? score : Math.asinh((score - report.axis.centre) / report.axis.width);
  const scoreAt = (place) => Math.sinh(place) * report.axis.width + report.axis.centre;

  // "@name" and "@name/opacity" stand for colours of the current theme.
  function withColours(value, style) {
    if (typeof value === "string" && value.startsWith("@")) {
      const [name, opacity] = value.slice(1).split("/");
      const hex = style.getPropertyValue("--plot-" + name).trim();
      if (!opacity) return hex;
      const [red, green, blue] = [1, 3, 5].map((start) => parseInt(hex.slice(start, start + 2), 16));
      return `rgba(${red},${green},${blue},${opacity})`;
    }
    if (Array.isArray(value)) {
      return typeof value[0] === "number" ? value : value.map((item) => withColours(item, style));
    }
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, withColours(item, style)]));
    }
    return value;
  }

  function onScoreAxis(figure) {
    const axis = figure.score_axis;
    if (!axis) return figure;
    const data = figure.data.map((trace) =>
      trace.yaxis ? trace : { ...trace, [axis]: trace[axis].map(position), customdata: trace[axis] });
    const shapes = figure.layout.shapes.map((shape) =>
      shape[axis + "ref"] === "paper" ? shape
        : { ...shape, [axis + "0"]: position(shape[axis + "0"]), [axis + "1"]: position(shape[axis + "1"]) });
    return { data, layout: { ...figure.layout, shapes } };
  }

  function axisLook(axis) {
    return {
      gridcolor: "@grid", linecolor: "@grid", zerolinecolor: "@grid", zeroline: false, automargin: true, ...axis,
      title: { standoff: 8, ...axis?.title },
    };
  }

  function laidOut(layout) {
    return {
      paper_bgcolor: "@panel", plot_bgcolor: "@panel", hovermode: "x unified",
      font: { color: "@ink", size: 12, family: getComputedStyle(document.body).fontFamily },
      margin: { l: 56, r: 16, t: 32, b: 40 },
      legend: { orientation: "h", x: 0, yref: "container", y: 0, yanchor: "bottom", bgcolor: "rgba(0,0,0,0)" },
      hoverlabel: { bgcolor: "@panel", bordercolor: "@grid", font: { color: "@ink" } },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: "@muted", activecolor: "@score" },
      ...layout,
      ...Object.fromEntries(
        ["xaxis", "yaxis", ...Object.keys(layout).filter((key) => /^[xy]axis\d+$/.test(key))].map((key) => [key, axisLook(layout[key])]),
      ),
    };
  }

  // The event with the highest score, which is shown first.
  function highestPeak() {
    const peak = ({ score }) => Math.max(...score.y.filter((value) => value !== null));
    const peaks = report.events.map(peak);
    return peaks.indexOf(Math.max(...peaks));
  }

  const times = (event, line) => line.x.map((offset) => event.start + offset);

  function zoomed(figure) {
    if (shownEvent === null) return figure;
    const event = report.events[shownEvent];
    const [score, ...others] = figure.data;
    return {
      ...figure,
      data: [{ ...score, x: times(event, event.score), y: event.score.y }, ...others],
      layout: { ...figure.layout, xaxis: { ...figure.layout.xaxis, range: [event.start, event.end] } },
    };
  }

  // The channels of an event, one below the other, on the same time axis.
  function signalsFigure(event) {
    const count = event.signals.length;
    const layout = {
      xaxis: { type: "date", range: [event.start, event.end], anchor: "y" + count, title: { text: "Time (UTC)" } },
      showlegend: false, hovermode: "x", shapes: [], annotations: [], margin: { l: 64, r: 16, t: 24, b: 32 },
    };
    const [x0, x1] = event.event;
    const colour = event.detected ? "@detected" : "@missed";
    const data = event.signals.map((signal, number) => {
      const axis = number ? "y" + (number + 1) : "y";
      const top = 1 - number / count;
      layout["yaxis" + axis.slice(1)] = {
        domain: [top - 0.76 / count, top - 0.05 / count], nticks: 5, range: signalRange(signal),
      };
      const trained = signal.training_range?.map(short).join(" to ");
      const range = trained ? ` · 98 % of the training values: ${trained}` : "";
      layout.annotations.push({
        text: `<b>${escaped(signal.channel)}</b> · ${signal.excess > 0 ? "+" : ""}${short(signal.excess)} nats${range}`,
        x: 0, xref: "paper", xanchor: "left", y: top - 0.05 / count, yref: "paper", yanchor: "bottom", showarrow: false,
      });
      layout.shapes.push({
        type: "rect", layer: "below", xref: "x", x0, x1, yref: axis + " domain", y0: 0, y1: 1,
        fillcolor: colour + "/0.16", line: { color: colour + "/0.4", width: 1 },
      });
      for (const bound of signal.training_range ?? []) {
        layout.shapes.push({
          type: "line", xref: "paper", x0: 0, x1: 1, yref: axis, y0: bound, y1: bound,
          line: { color: "@muted", width: 1, dash: "dot" },
        });
      }
      return {
        type: "scatter", mode: "lines", name: signal.channel, x: times(event, signal), y: signal.y, yaxis: axis,
        line: { color: "@score", width: 1.4 }, hovertemplate: "%{y:.6~g} at %{x|%Y-%m-%d %H:%M:%S} UTC<extra></extra>",
      };
    });
    return { data, layout };
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

  const short = (value) => value.toLocaleString("en", { maximumSignificantDigits: 4 });

  function escaped(text) {
    return text.replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
  }

  function sourceOf(name) {
    if (name === "signals") return signalsFigure(report.events[detailedEvent]);
    return name === "time" ? zoomed(report.figures.time) : report.figures[name];
  }

  function draw(name) {
    const { data, layout } = withColours(
      ((figure) => ({ data: figure.data, layout: laidOut(figure.layout) }))(onScoreAxis(sourceOf(name))),
      getComputedStyle(document.documentElement),
    );
    layout.uirevision = `${compressed} ${{ time: shownEvent, signals: detailedEvent }[name] ?? ""}`;
    return Plotly.react(plots.get(name), data, layout, config).then(() => labelScores(name));
  }

  // Ticks of the compressed axis: round scores that are far enough apart.
  function labelScores(name) {
    const axis = report.figures[name]?.score_axis;
    if (!axis || !compressed) return null;
    const place = plots.get(name);
    const { range } = place._fullLayout[axis + "axis"];
    const pixels = axis === "x" ? place.clientWidth / 80 : place.clientHeight / 45;
    const ticks = roundScores(Math.min(...range), Math.max(...range), Math.floor(pixels));
    return Plotly.relayout(place, {
      [axis + "axis.tickvals"]: ticks.map(position),
      [axis + "axis.ticktext"]: ticks.map((score) => score.toLocaleString("en", { maximumSignificantDigits: 6 })),
    });
  }

  function roundScores(low, high, most) {
    const [first, last] = [scoreAt(low), scoreAt(high)];
    const apart = (high - low) / most;
    const accepted = [];
    const largest = Math.ceil(Math.log10(last - first));
    for (let power = largest; power > largest - 8; power -= 1) {
      for (const digit of [5, 2, 1]) {
        const step = digit * 10 ** power;
        for (const middle of [0, Math.round(report.axis.centre / step)]) {
          for (let count = middle - 10; count <= middle + 10; count += 1) {
            const score = Number((count * step).toPrecision(12));
            const place = position(score);
            if (place < low || place > high) continue;
            if (accepted.every((other) => Math.abs(position(other) - place) >= apart)) accepted.push(score);
          }
        }
      }
    }
    return accepted;
  }

  function show(number) {
    shownEvent = number;
    const row = rows.find((item) => Number(item.dataset.event) === number);
    for (const item of rows) item.toggleAttribute("aria-current", false);
    row?.setAttribute("aria-current", "true");
    document.getElementById("shown-period").textContent = number === null ? "Whole test period" : report.events[number].label;
    document.getElementById("whole-period").disabled = number === null;
    if (number !== null) {
      detailedEvent = number;
      describe();
      draw("signals");
    }
    return draw("time");
  }

  function describe() {
    const { label, outcome } = report.events[detailedEvent];
    document.getElementById("shown-event").textContent = `${label}. ${outcome}.`;
  }

  function step(direction) {
    const count = report.events.length;
    show(shownEvent === null ? (direction > 0 ? 0 : count - 1) : (shownEvent + direction + count) % count);
  }

  function press(button) {
    for (const other of button.parentElement.children) other.setAttribute("aria-pressed", String(other === button));
  }

  function sortBy(header) {
    const column = [...header.parentElement.children].indexOf(header);
    const descending = header.getAttribute("aria-sort") === "ascending";
    for (const other of header.parentElement.children) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", descending ? "descending" : "ascending");
    const key = (row) => row.children[column].dataset.sort;
    const numeric = rows.every((row) => key(row) === "" || Number.isFinite(Number(key(row))));
    const compare = (left, right) => {
      if (key(left) === "" || key(right) === "") return (key(left) === "") - (key(right) === ""); // empty ones last
      const order = numeric ? Number(key(left)) - Number(key(right)) : key(left).localeCompare(key(right), "en", { numeric: true });
      return descending ? -order : order;
    };
    document.querySelector(".events tbody").append(...[...rows].sort(compare));
  }

  function listen() {
    for (const row of rows) {
      row.addEventListener("click", (event) => {
        if (event.target.closest("details")) return;
        show(Number(row.dataset.event));
        document.getElementById("scores").scrollIntoView();
      });
    }
    for (const header of document.querySelectorAll(".events thead th")) {
      header.querySelector("button").addEventListener("click", () => sortBy(header));
    }
    for (const button of document.querySelectorAll("[data-show]")) {
      button.addEventListener("click", () => {
        press(button);
        for (const row of rows) row.hidden = button.dataset.show !== "all" && !row.classList.contains(button.dataset.show);
      });
    }
    for (const button of document.querySelectorAll("[data-compressed]")) {
      button.addEventListener("click", () => {
        press(button);
        compressed = button.dataset.compressed === "true";
        for (const name of plots.keys()) if (report.figures[name]?.score_axis) draw(name);
      });
    }
    document.getElementById("whole-period").addEventListener("click", () => show(null));
    document.getElementById("previous-event").addEventListener("click", () => step(-1));
    document.getElementById("next-event").addEventListener("click", () => step(1));
    plots.get("time").on("plotly_click", ({ points }) => {
      if (points[0].data.yaxis === "y2") show(points[0].customdata);
    });
    for (const [name, place] of plots) {
      const axis = report.figures[name]?.score_axis + "axis";
      place.on("plotly_relayout", (change) => {
        if (Object.keys(change).some((key) => key.startsWith(axis + ".range") || key === axis + ".autorange")) labelScores(name);
      });
    }
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      for (const name of plots.keys()) draw(name);
    });
  }

  describe();
  Promise.all([...plots.keys()].map(draw)).then(listen);
})();
