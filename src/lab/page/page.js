// Charts of a report: draws them in the reader's colours, with legends and downloads that a keyboard reaches.
"use strict";
(() => {
  const root = document.documentElement;
  const figures = JSON.parse(document.getElementById("figures").textContent);
  // Those of the pictures; the last is ink.
  const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00"];
  // So that two charts stand on a sheet of A4.
  const PRINT = { width: 660, shrink: 0.8 };

  function theme() {
    const style = getComputedStyle(root);
    const of = (name) => style.getPropertyValue(name).trim();
    return { paper: of("--paper"), ink: of("--ink"), line: of("--line"), surface: of("--surface") };
  }

  const color = (n, look) => COLORS[n % (COLORS.length + 1)] ?? look.ink;
  const dash = (n) => (Math.floor(n / (COLORS.length + 1)) % 2 === 1 ? "dash" : "solid");

  function paintTraces(data, look) {
    for (const trace of data) {
      const own = color(trace.meta, look);
      if (trace.type === "bar") {
        trace.marker = { color: own };
        trace.insidetextfont = { color: own === COLORS[0] ? "#ffffff" : own === look.ink ? look.paper : "#111111" };
        if (trace.error_y) Object.assign(trace.error_y, { color: look.ink, thickness: 1.5 });
      } else {
        trace.line = { ...trace.line, color: own, dash: dash(trace.meta), width: 2 };
        trace.marker = { color: own, size: 5 };
      }
    }
    return data;
  }

  function laidOut(figure, look) {
    const layout = structuredClone(figure.layout);
    for (const [name, axis] of Object.entries(layout)) {
      if (!/^[xy]axis\d*$/.test(name)) continue;
      Object.assign(axis, { gridcolor: look.line, linecolor: look.ink, zerolinecolor: look.line, tickcolor: look.ink });
      if (name[0] === "x") Object.assign(axis, { ticks: "outside", showline: true });
      axis.title = { standoff: 10, ...axis.title };
    }
    for (const shape of layout.shapes ?? []) shape.line.color = look.ink;
    return {
      ...layout,
      autosize: true,
      showlegend: false,
      uirevision: "kept",
      paper_bgcolor: look.paper,
      plot_bgcolor: look.paper,
      separators: ".,",
      font: { family: "system-ui, 'DejaVu Sans', sans-serif", size: 13, color: look.ink },
      hoverlabel: { bgcolor: look.surface, bordercolor: look.ink, font: { color: look.ink }, namelength: -1 },
      modebar: { bgcolor: "rgba(0,0,0,0)", color: look.ink, activecolor: look.ink },
      margin: { l: 64, r: layout.annotations?.length ? 44 : 16, t: 30, b: 48 },
    };
  }

  const CONFIG = {
    responsive: true,
    displaylogo: false,
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d"],
  };

  const element = (name, properties = {}, text = "") => {
    const made = Object.assign(document.createElement(name), properties);
    made.textContent = text;
    return made;
  };

  function swatch(n, bar, look) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("width", "22");
    svg.setAttribute("height", "12");
    svg.setAttribute("aria-hidden", "true");
    const line = document.createElementNS(svg.namespaceURI, "line");
    const attributes = { x1: 0, x2: 22, y1: 6, y2: 6, stroke: color(n, look), "stroke-width": bar ? 12 : 3 };
    if (!bar && dash(n) === "dash") attributes["stroke-dasharray"] = "7 4";
    for (const [name, value] of Object.entries(attributes)) line.setAttribute(name, value);
    svg.append(line);
    return svg;
  }

  class Chart {
    constructor(figure, place) {
      this.figure = figure;
      this.plot = place.querySelector(".plot");
      this.legend = place.querySelector(".legend");
      this.table = place.querySelector(".numbers table");
      this.bars = figure.data[0]?.type === "bar";
      this.height = this.plot.clientHeight;
      this.hidden = new Set();
      this.plot.replaceChildren();
      if (figure.names.length > 1) {
        this.legend.setAttribute("role", "group");
        this.legend.setAttribute("aria-label", "Shown in the chart");
        this.legend.append(...figure.names.map((name, n) => this.key(name, n)));
      }
      const actions = place.querySelector(".actions");
      const action = (text, act) => {
        const button = element("button", { type: "button" }, text);
        button.setAttribute("aria-label", `${text} of ${figure.title}`);
        button.addEventListener("click", act);
        return button;
      };
      actions.append(
        action("Download PNG", () => this.download("png")),
        action("Download SVG", () => this.download("svg")),
        action("Download numbers (CSV)", () => this.csv()),
        action("Reset view", () => this.reset()),
      );
      this.paint();
    }

    key(name, n) {
      const button = element("button", { type: "button" }, name);
      button.setAttribute("aria-pressed", "true");
      button.addEventListener("click", () => {
        this.hidden.has(n) ? this.hidden.delete(n) : this.hidden.add(n);
        button.setAttribute("aria-pressed", String(!this.hidden.has(n)));
        this.paint();
      });
      return button;
    }

    traces(look) {
      const data = structuredClone(this.figure.data);
      for (const trace of data) trace.visible = !this.hidden.has(trace.meta);
      paintTraces(data, look);
      // The first curve on top: it is what the others are compared with.
      return this.bars ? data : data.reverse();
    }

    paint(print) {
      const look = theme();
      [...this.legend.children].forEach((button, n) => {
        button.querySelector("svg")?.remove();
        button.prepend(swatch(n, this.bars, look));
      });
      const layout = laidOut(this.figure, look);
      const height = this.height * (print?.shrink ?? 1);
      this.plot.style.height = `${height}px`;
      if (print) Object.assign(layout, { autosize: false, width: print.width, height });
      Plotly.react(this.plot, this.traces(look), layout, CONFIG);
    }

    // What was zoomed or moved is seen as at first.
    reset() {
      const axes = Object.entries(this.figure.layout).filter(([name]) => /^[xy]axis\d*$/.test(name));
      const whole = axes.map(([name, axis]) =>
        axis.range ? [`${name}.range`, axis.range] : [`${name}.autorange`, true]);
      Plotly.relayout(this.plot, Object.fromEntries(whole));
    }

    // On its own the picture needs a title and a legend, and paper that it can be printed on.
    download(format) {
      const look = { paper: "#ffffff", ink: "#222222", line: "#dddddd", surface: "#ffffff" };
      const { title, name, names } = this.figure;
      const layout = laidOut(this.figure, look);
      const text = title.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
      Object.assign(layout, {
        title: { text, x: 0.01, xanchor: "left", y: 1, yanchor: "top", pad: { t: 16 } },
        showlegend: names.length > 1,
        legend: { orientation: "h", yref: "container", y: 0, yanchor: "bottom", traceorder: this.bars ? "normal" : "reversed" },
        margin: { ...layout.margin, t: 52 },
      });
      const height = this.height + 90;
      return Plotly.downloadImage(
        { data: this.traces(look), layout, config: CONFIG },
        { format, width: 1100, height, scale: 2, filename: name },
      );
    }

    csv() {
      const quoted = (cell) => `"${cell.textContent.replaceAll('"', '""')}"`;
      const lines = [...this.table.rows].map((row) => [...row.cells].map(quoted).join(","));
      const url = URL.createObjectURL(new Blob([`${lines.join("\r\n")}\r\n`], { type: "text/csv" }));
      element("a", { href: url, download: `${this.figure.name}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    }
  }

  const charts = figures.map((figure, n) => {
    const place = document.getElementById(`chart-${n}`);
    try {
      return new Chart(figure, place);
    } catch (error) {
      console.error(error);
      const sorry = `The chart cannot be drawn here (${error.message}); its numbers are in the table below.`;
      place.querySelector(".plot").replaceChildren(element("p", { className: "failed" }, sorry));
      return null;
    }
  }).filter(Boolean);

  const repaint = (print) => charts.forEach((chart) => chart.paint(print));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => repaint());
  addEventListener("beforeprint", () => {
    root.classList.add("printing");
    repaint(PRINT);
  });
  addEventListener("afterprint", () => {
    root.classList.remove("printing");
    repaint();
  });
})();
