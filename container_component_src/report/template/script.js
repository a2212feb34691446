"use strict";
(() => {
  const report = JSON.parse(document.getElementById("report-data").textContent);
  const plots = new Map(["time", "signals"].map((name) => [name, document.getElementById(name)]));
  for (const place of document.querySelectorAll("[data-figure]")) plots.set(place.dataset.figure, place);
  const rows = [...document.querySelectorAll("tr[data-view]")];
  const config = {
    responsive: true, displaylogo: false, showSendToCloud: false, plotlyServerURL: "",
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"],
  };
  let compressed = true;
  let shown = null; // list and number of an event or alarm; null: the whole period
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
      ![undefined, axis].includes(shape[axis + "ref"]) ? shape
        : { ...shape, [axis + "0"]: position(shape[axis + "0"]), [axis + "1"]: position(shape[axis + "1"]) });
    return { data, layout: { ...figure.layout, shapes } };
  }

  function axisLook(axis) {
    return {
      gridcolor: "@grid", linecolor: "@grid", zerolinecolor: "@grid", zeroline: false, automargin: true, separatethousands: true, ...axis,
      title: { standoff: 8, ...axis?.title },
    };
  }

  function laidOut(layout) {
    return {
      separators: ".\u202f", paper_bgcolor: "@panel", plot_bgcolor: "@panel", hovermode: "x unified",
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

  function zoomed(figure) {
    if (shown === null) return figure;
    const view = report[shown.list][shown.number];
    const [score, ...others] = figure.data;
    return {
      ...figure,
      data: [{ ...score, x: timesOf(view, view.score), y: view.score.y }, ...others],
      layout: { ...figure.layout, xaxis: { ...figure.layout.xaxis, range: [view.start, view.end] } },
    };
  }

  function detail(event) {
    const { raise, clear } = report.levels;
    const heights = ({ peak_score: peak }) => [raise, raise, peak, clear];
    const alarms = report.alarms.map((alarm) => ({ ...alarm, heights: heights(alarm) }));
    const levels = [{ name: "Alarm threshold", score: raise, dash: "solid" }, { name: "Clear threshold", score: clear, dash: "dot" }];
    return eventFigure(event, alarms, clear < raise ? levels : levels.slice(0, 1), plots.get("signals").clientWidth < 600);
  }

  function sourceOf(name) {
    if (name === "signals") return detail(report.events[detailedEvent]);
    return name === "time" ? zoomed(report.figures.time) : report.figures[name];
  }

  function draw(name) {
    const { data, layout } = withColours(
      ((figure) => ({ data: figure.data, layout: laidOut(figure.layout) }))(onScoreAxis(sourceOf(name))),
      getComputedStyle(document.documentElement),
    );
    layout.uirevision = `${compressed} ${{ time: shown && shown.list + shown.number, signals: detailedEvent }[name] ?? ""}`;
    return Plotly.react(plots.get(name), data, layout, config).then(() => labelScores(name));
  }

  const scoreAxis = (name) => (name === "signals" ? "y" : report.figures[name].score_axis);

  // Ticks of the compressed axis: round scores that are far enough apart.
  function labelScores(name) {
    const axis = scoreAxis(name);
    if (!axis || !compressed) return null;
    const place = plots.get(name);
    const { range } = place._fullLayout[axis + "axis"];
    const pixels = axis === "x" ? place.clientWidth / 80 : place._fullLayout[axis + "axis"]._length / 40;
    const ticks = roundScores(Math.min(...range), Math.max(...range), Math.floor(pixels));
    return Plotly.relayout(place, {
      [axis + "axis.tickvals"]: ticks.map(position),
      [axis + "axis.ticktext"]: ticks.map((score) => score.toLocaleString("en", { maximumSignificantDigits: 6 }).replace(/,/g, "\u202f")),
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

  function show(list, number) {
    shown = list && { list, number };
    for (const row of rows) {
      row.toggleAttribute("aria-current", false);
      if (row.dataset.view === list && Number(row.dataset.number) === number) row.setAttribute("aria-current", "true");
    }
    document.getElementById("shown-period").textContent = list ? report[list][number].label : "Whole test period";
    document.getElementById("whole-period").disabled = !list;
    if (list === "events") {
      detailedEvent = number;
      describe();
      draw("signals");
    }
    return draw("time");
  }

  function describe() {
    const { label, outcome, similar } = report.events[detailedEvent];
    document.getElementById("shown-event").textContent = `${label}. ${outcome}.`;
    const items = similar.map(({ number, similarity }) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: report.events[number].label });
      button.addEventListener("click", () => show("events", number));
      const item = document.createElement("li");
      const { symbol, event: [start] } = report.events[number];
      item.append(button, ` · ${symbol && symbol + " · "}${new Date(start).toISOString().slice(0, 10)} · similarity ${similarity}`);
      return item;
    });
    document.getElementById("similar").replaceChildren(...(items.length ? items : ["No other event is similar."]));
  }

  function step(direction) {
    const count = report.events.length;
    const next = shown?.list === "events" ? shown.number + direction : direction > 0 ? 0 : count - 1;
    show("events", (next + count) % count);
  }

  function listen() {
    for (const row of rows) {
      row.addEventListener("click", (event) => {
        if (event.target.closest("details")) return;
        show(row.dataset.view, Number(row.dataset.number));
        document.getElementById("scores").scrollIntoView();
      });
    }
    tableControls();
    document.getElementById("download-alarms")?.addEventListener("click", () => download(report.alarms_csv, "alarms.csv", "text/csv"));
    for (const button of document.querySelectorAll("[data-compressed]")) {
      button.addEventListener("click", () => {
        press(button);
        compressed = button.dataset.compressed === "true";
        for (const name of plots.keys()) if (scoreAxis(name)) draw(name);
      });
    }
    document.getElementById("whole-period").addEventListener("click", () => show(null, null));
    document.getElementById("previous-event").addEventListener("click", () => step(-1));
    document.getElementById("next-event").addEventListener("click", () => step(1));
    plots.get("time").on("plotly_click", ({ points }) => {
      if (points[0].data.meta) show(points[0].data.meta, points[0].customdata);
    });
    for (const [name, place] of plots) {
      const axis = scoreAxis(name) + "axis";
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
