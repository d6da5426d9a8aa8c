// Draws a model's charts anew, to be hovered and zoomed: all of them, and the lanes, keep to the same time.
"use strict";
(() => {
  const lanes = document.querySelector("[data-figures]");
  const found = JSON.parse(lanes.dataset.figures);
  const whole = [found.from, found.until];
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const sync = uPlot.sync("time");
  let drawn = [];
  let zoom = whole;

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const faint = (name) => `color-mix(in srgb, ${color(name)} 22%, transparent)`;
  const shown = (value) => (value == null ? "–" : Number(value.toPrecision(4)).toString());
  const when = (seconds) => new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");

  const named = (seconds, step) => {
    const day = zoom[1] - zoom[0] > 300 * 86400 ? { year: "numeric", month: "short" } : { day: "numeric", month: "short" };
    const clock = { hour: "2-digit", minute: "2-digit", ...(step < 60 ? { second: "2-digit" } : {}), hourCycle: "h23" };
    const form = step < 86400 ? clock : day;
    return new Intl.DateTimeFormat("en-GB", { ...form, timeZone: "UTC" }).format(seconds * 1000);
  };

  // At the ends of the axis a label would be cut off.
  const inside = (plot, at) => {
    const x = plot.valToPos(at, "x");
    return x > 24 && x < plot.bbox.width / devicePixelRatio - 24;
  };

  // What a chart holds: its series, and what it says of one window.
  const kinds = {
    performance: () => ({
      height: 200,
      data: [found.at, found.holdout, ...found.estimated, ...found.realised],
      series: [
        { stroke: color("--then"), dash: [6, 4] },
        ...["--now", "--real"].flatMap((name) => [
          { stroke: color(name), width: 2, points: { size: 5 } },
          { stroke: "transparent", points: { show: false } },
          { stroke: "transparent", points: { show: false } },
        ]),
      ],
      bands: [
        { series: [4, 3], fill: faint("--now") },
        { series: [7, 6], fill: faint("--real") },
      ],
      range: (_, low, high) => [low - 0.06 * (high - low || 0.1), high + 0.06 * (high - low || 0.1)],
      axes: [
        { stroke: color("--soft"), grid: { show: false }, ticks: { show: false }, size: 24, space: 90, values: (plot, marks, _, __, step) => marks.map((at) => (inside(plot, at) ? named(at, step) : "")) },
        { size: 0, values: () => [], grid: { stroke: color("--line"), width: 1 }, ticks: { show: false } },
      ],
      said: (place) =>
        ["estimated", "realised"]
          .filter((name) => found[name][0][place] != null)
          .map((name) => `${name} ${shown(found[name][0][place])} (${shown(found[name][1][place])} to ${shown(found[name][2][place])})`)
          .join(", ") || "unknown",
    }),
    index: (column) => ({
      height: 64,
      data: [found.at, found.index[column]],
      series: [{ stroke: color("--now"), width: 1.5, spanGaps: true, points: { show: found.at.length < 40, size: 4 } }],
      limit: found.limit,
      bands: [],
      range: (_, low, high) => [0, Math.max(high, 1.25 * found.limit)],
      axes: [{ show: false }, { show: false }],
      said: (place) => `PSI ${shown(found.index[column][place])}`,
    }),
  };

  // Where another version began to serve.
  const changes = found.version.flatMap((version, place) => (place && version !== found.version[place - 1] ? [found.at[place]] : []));
  const marked = (plot) => {
    plot.ctx.save();
    plot.ctx.strokeStyle = color("--line");
    plot.ctx.lineWidth = devicePixelRatio;
    for (const at of changes) {
      const x = plot.valToPos(at, "x", true);
      if (x < plot.bbox.left || x > plot.bbox.left + plot.bbox.width) continue;
      plot.ctx.beginPath();
      plot.ctx.moveTo(x, plot.bbox.top);
      plot.ctx.lineTo(x, plot.bbox.top + plot.bbox.height);
      plot.ctx.stroke();
    }
    plot.ctx.restore();
  };

  // The limit, from one end to the other however few windows there are.
  const limited = (limit) => (plot) => {
    if (limit === undefined) return;
    const y = plot.valToPos(limit, "y", true);
    plot.ctx.save();
    plot.ctx.strokeStyle = color("--bad");
    plot.ctx.lineWidth = devicePixelRatio;
    plot.ctx.setLineDash([3 * devicePixelRatio, 4 * devicePixelRatio]);
    plot.ctx.beginPath();
    plot.ctx.moveTo(plot.bbox.left, y);
    plot.ctx.lineTo(plot.bbox.left + plot.bbox.width, y);
    plot.ctx.stroke();
    plot.ctx.restore();
  };

  // The ends of the scale, where a page without a script has them.
  const scaled = (plot) => {
    const { min, max } = plot.scales.y;
    plot.ctx.save();
    plot.ctx.fillStyle = color("--soft");
    plot.ctx.textAlign = "left";
    plot.ctx.textBaseline = "alphabetic";
    plot.ctx.font = `${12 * devicePixelRatio}px system-ui, sans-serif`;
    plot.ctx.fillText(shown(max), plot.bbox.left + 4 * devicePixelRatio, plot.bbox.top + 10 * devicePixelRatio);
    plot.ctx.fillText(shown(min), plot.bbox.left + 4 * devicePixelRatio, plot.bbox.top + plot.bbox.height - 4 * devicePixelRatio);
    plot.ctx.restore();
  };

  const zoomTo = (from, until) => {
    if (from === zoom[0] && until === zoom[1]) return;
    zoom = [from, until];
    const share = (whole[1] - whole[0]) / (until - from);
    for (const lane of document.querySelectorAll(".zoomed")) {
      lane.setAttribute("width", `${100 * share}%`);
      lane.setAttribute("x", `${(-100 * share * (from - whole[0])) / (whole[1] - whole[0])}%`);
    }
    for (const plot of drawn) plot.setScale("x", { min: from, max: until });
  };

  const draw = (figure) => {
    const kind = kinds[figure.dataset.chart](figure.dataset.column);
    const read = figure.querySelector(".read");
    const plot = new uPlot(
      {
        width: figure.clientWidth,
        height: kind.height,
        padding: [4, 0, 4, 0],
        legend: { show: false },
        cursor: { sync: { key: sync.key, setSeries: false }, y: false, drag: { x: true, y: false }, points: { size: 7 } },
        tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        scales: { x: { min: zoom[0], max: zoom[1], range: (_, low, high) => [low, high] }, y: { range: kind.range } },
        axes: kind.axes,
        series: [{}, ...kind.series],
        bands: kind.bands,
        hooks: {
          drawClear: [marked],
          draw: [limited(kind.limit), scaled],
          setScale: [(plot, key) => key === "x" && zoomTo(plot.scales.x.min, plot.scales.x.max)],
          setCursor: [
            ({ cursor: { idx } }) => {
              read.textContent = idx == null ? "" : `${when(found.at[idx])}, version ${found.version[idx]}: ${kind.said(idx)}`;
            },
          ],
        },
      },
      kind.data,
      figure.querySelector(".drawn"),
    );
    plot.over.addEventListener("dblclick", () => zoomTo(...whole));
    // A press that did not move is no zoom: it opens the window.
    let pressed = 0;
    plot.over.addEventListener("mousedown", (event) => (pressed = event.clientX));
    plot.over.addEventListener("mouseup", (event) => {
      if (event.button === 0 && Math.abs(event.clientX - pressed) < 3 && plot.cursor.idx != null)
        location.assign(`${lanes.dataset.base}/windows/${encodeURIComponent(found.window[plot.cursor.idx])}`);
    });
    return plot;
  };

  const figures = [...document.querySelectorAll("[data-chart]")].filter(() => found.at.length);
  const drawAll = () => {
    for (const plot of drawn) plot.destroy();
    drawn = [];
    drawn = figures.map(draw);
  };
  for (const figure of figures) {
    figure.querySelector(".plot").setAttribute("hidden", "");
    figure.insertAdjacentHTML("afterbegin", '<div class="drawn" aria-hidden="true"></div>');
  }
  drawAll();
  // The chart has an axis of its own, which is right when it is zoomed too.
  if (document.querySelector(".performance .drawn")) document.querySelector(".ticks").setAttribute("hidden", "");
  dark.addEventListener("change", drawAll);
  new ResizeObserver(() => {
    for (const plot of drawn) {
      const width = plot.root.parentElement.clientWidth;
      if (width && width !== plot.width) plot.setSize({ width, height: plot.height });
    }
  }).observe(lanes);
})();
