// The three charts, by Plotly, and the tables of their numbers.

import { byId, count, fill, milliseconds } from "./tables.js";

const LIGHT = ["#0b5cad", "#b3470b", "#176b3a", "#7b2fa8", "#8a1c4a", "#00707a"];
const DARK = ["#7cb8f5", "#ffab70", "#6fd29a", "#d3a6f5", "#ff9ec4", "#6fd6df"];
// Lines are told apart without colour too.
const DASHES = ["solid", "dash", "dot", "dashdot", "longdash"];
// A double click undoes a zoom; a bar of buttons would cover the legend.
const CONFIG = { responsive: true, displayModeBar: false };

export function showCharts(live) {
  const look = theme();
  showTrend(live, look);
  showBars(live, look);
  if (live.batching) showSizes(live.batching, look);
}

function theme() {
  const style = getComputedStyle(document.documentElement);
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const of = (name) => style.getPropertyValue(name).trim();
  return { colors: dark ? DARK : LIGHT, ink: of("--ink"), line: of("--line"), card: of("--card") };
}

function draw(id, empty, traces, look, more) {
  const chart = byId(id);
  chart.hidden = empty;
  byId(`${id}-empty`).hidden = !empty;
  if (empty) return;
  const axis = { gridcolor: look.line, linecolor: look.line, zerolinecolor: look.line, automargin: true };
  const layout = {
    paper_bgcolor: look.card,
    plot_bgcolor: look.card,
    font: { color: look.ink, size: 12 },
    margin: { t: 8, r: 8, b: 32, l: 48 },
    legend: { orientation: "h", y: 1.02, yanchor: "bottom", x: 0 },
    hoverlabel: { bgcolor: look.card, font: { color: look.ink } },
    // A finger scrolls the page, and what the reader has zoomed to stays.
    dragmode: matchMedia("(pointer: coarse)").matches ? false : "zoom",
    uirevision: "the reader's",
    ...more,
    xaxis: { ...axis, ...more.xaxis },
    yaxis: { ...axis, rangemode: "tozero", ...more.yaxis },
  };
  Plotly.react(chart, traces, layout, CONFIG);
}

// Steps that follow each other without a gap, as [start, p50, p99]; steps without a request are gaps.
function runs(points, server, stepMs) {
  const found = [];
  let end = -Infinity;
  for (const [start, servers] of points) {
    const value = servers[server];
    if (!value) continue;
    if (start > end) found.push([]);
    found.at(-1).push([new Date(start), value[1], value[2]]);
    end = start + stepMs;
  }
  return found;
}

const joined = (parts) => parts.flatMap((part, index) => (index === 0 ? part : [null, ...part]));

function trendTraces(found, server, index, look) {
  const color = look.colors[index % look.colors.length];
  const ring = (run, of) => [...run.map((step) => of(step, 1)), ...run.toReversed().map((step) => of(step, 2))];
  const band = {
    x: joined(found.map((run) => ring(run, (step) => step[0]))),
    y: joined(found.map((run) => ring(run, (step, percentile) => step[percentile]))),
    fill: "toself", fillcolor: `${color}33`, line: { width: 0 }, mode: "lines", hoverinfo: "skip",
    legendgroup: server.name, showlegend: false, name: `${server.label} p99`,
  };
  const line = {
    x: joined(found.map((run) => run.map((step) => step[0]))),
    y: joined(found.map((run) => run.map((step) => step[1]))),
    customdata: joined(found.map((run) => run.map((step) => step[2]))),
    mode: "lines+markers", marker: { size: 4, color }, line: { color, width: 2, dash: DASHES[index % DASHES.length] },
    legendgroup: server.name, name: `Backend ${server.label}`,
    hovertemplate: "p50 %{y} ms, p99 %{customdata} ms<extra>%{fullData.name}</extra>",
  };
  return [band, line];
}

function showTrend({ backends, trend }, look) {
  const stepMs = trend.step_seconds * 1000;
  const traces = backends.flatMap((server, index) => {
    const found = runs(trend.points, index, stepMs);
    return found.length === 0 ? [] : trendTraces(found, server, index, look);
  });
  draw("trend", trend.points.length === 0, traces, look, {
    hovermode: "x unified",
    xaxis: { type: "date" },
    yaxis: { title: { text: "ms" } },
  });
  if (!byId("trend-numbers").open) return;
  const heads = [
    [{ text: "Step" }, ...backends.map((server) => ({ text: server.label, span: 3 }))],
    ["from", ...backends.flatMap(() => ["Requests", "p50", "p99"])],
  ];
  const rows = trend.points.toReversed().map(([start, servers]) => [
    new Date(start).toLocaleTimeString([], { hour12: false }),
    ...backends.flatMap((_, index) => {
      const [requests, p50, p99] = servers[index] ?? [0, null, null];
      return [count(requests), milliseconds(p50), milliseconds(p99)];
    }),
  ]);
  fill(byId("trend-table"), heads, rows);
}

function showBars({ backends, status }, look) {
  // A classifier that is not used has no bar.
  const servers = backends
    .map((server, index) => ({ ...server, color: look.colors[index % look.colors.length] }))
    .filter((server) => server.kind === "backend" || server.requests > 0);
  const bars = {
    type: "bar",
    x: servers.map((server) => server.label),
    y: servers.map((server) => server.requests),
    text: servers.map((server) => count(server.requests)),
    marker: { color: servers.map((server) => server.color) },
    hovertemplate: "%{x}: %{y}<extra></extra>",
  };
  draw("bars", status.requests === 0, [bars], look, {
    xaxis: { type: "category", title: { text: "backend" } },
    yaxis: { title: { text: "requests" } },
  });
  if (!byId("bars-numbers").open) return;
  const share = (requests) => (status.requests > 0 ? `${((100 * requests) / status.requests).toFixed(1)} %` : "–");
  const rows = servers.map((server) => [server.label, count(server.requests), share(server.requests)]);
  rows.push(["All", count(status.requests), share(status.requests)]);
  fill(byId("bars-table"), [["Backend", "Requests", "Share"]], rows);
}

function showSizes({ flushes }, look) {
  const used = flushes.filter((flush) => flush.batches > 0);
  const bounds = new Set(used.flatMap((flush) => Object.keys(flush.sizes)));
  const sizes = [...bounds].sort((a, b) => (a === "more") - (b === "more") || Number(a) - Number(b));
  const traces = flushes.flatMap((flush, index) => {
    if (flush.batches === 0) return [];
    const color = look.colors[index % look.colors.length];
    const y = sizes.map((size) => flush.sizes[size] ?? 0);
    return [{ type: "bar", name: flush.reason, x: sizes, y, marker: { color } }];
  });
  draw("sizes", used.length === 0, traces, look, {
    barmode: "stack",
    showlegend: true,
    xaxis: { type: "category", title: { text: "sequences in a batch, at most" } },
    yaxis: { title: { text: "batches" } },
  });
  if (!byId("sizes-numbers").open) return;
  const rows = flushes.map((flush) => [
    flush.reason,
    count(flush.batches),
    count(flush.sequences),
    milliseconds(flush.wait_ms_mean),
    milliseconds(flush.service_ms_mean),
    ...sizes.map((size) => count(flush.sizes[size] ?? 0)),
  ]);
  const heads = ["Reason", "Batches", "Sequences", "Mean wait, ms", "Mean service, ms", ...sizes.map((size) => `of ${size}`)];
  fill(byId("sizes-table"), [heads], rows);
}
