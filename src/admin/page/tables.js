// Figures and tables. Whatever comes from the proxy is set as text, never as markup.

export const byId = (id) => document.getElementById(id);

// Sets a text if it is another one, so that a selection, and what a screen reader reads, stays.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const NONE = "–";
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export const count = (number) => whole.format(number);
export const milliseconds = (number) => (number === null || number === undefined ? NONE : tenth.format(number));

// Makes the children of `parent` as many as `items`, and lets `show` see to each.
function each(parent, items, make, show) {
  while (parent.children.length > items.length) parent.lastElementChild.remove();
  items.forEach((item, index) => {
    if (parent.children.length <= index) parent.append(make(item, index));
    show(parent.children[index], item, index);
  });
}

const element = (name) => () => document.createElement(name);

// Rows of cells; a cell is a text, or a text and a class. The first of a row is its header.
export function fill(table, heads, rows) {
  each(table.tHead, heads, element("tr"), (tr, cells) => {
    each(tr, cells, element("th"), (th, cell) => {
      const { text, span = 1 } = typeof cell === "string" ? { text: cell } : cell;
      th.scope = span > 1 ? "colgroup" : "col";
      if (th.colSpan !== span) th.colSpan = span;
      say(th, text);
    });
  });
  each(table.tBodies[0], rows, element("tr"), (tr, cells) => {
    each(tr, cells, (_, index) => document.createElement(index === 0 ? "th" : "td"), (td, cell, index) => {
      const { text, kind = "" } = typeof cell === "string" ? { text: cell } : cell;
      if (index === 0) td.scope = "row";
      if (td.className !== kind) td.className = kind;
      say(td, text);
    });
  });
}

function figures(list, pairs) {
  const make = () => {
    const div = document.createElement("div");
    div.append(document.createElement("dt"), document.createElement("dd"));
    return div;
  };
  each(list, pairs, make, (div, [name, value]) => {
    say(div.firstElementChild, name);
    say(div.lastElementChild, value);
  });
}

// All tables but those beside charts. `change(button, name, verb)` drains a server, or lets it be used again.
export function showTables(live, change) {
  showServers(live.backends, change);
  showPool(live.status);
  showLatest(live);
  byId("batching").hidden = !live.batching;
  if (live.batching) showQueue(live.batching);
}

function showServers(servers, change) {
  const make = () => {
    const tr = document.createElement("tr");
    const name = document.createElement("th");
    name.scope = "row";
    const button = document.createElement("button");
    button.type = "button";
    button.onclick = () => change(button, tr.dataset.name, button.dataset.verb);
    const action = document.createElement("td");
    action.append(button);
    const cells = Array.from({ length: 11 }, element("td"));
    tr.append(name, ...cells, action);
    return tr;
  };
  each(byId("servers").tBodies[0], servers, make, (tr, server) => {
    tr.dataset.name = server.name;
    const latency = server.attempts_answered > 0 ? server.latency_ms : {};
    const texts = [
      server.kind === "backend" ? server.name : `${server.name} (${server.kind})`,
      server.state,
      milliseconds(server.score_ms),
      milliseconds(server.sma_ms),
      milliseconds(server.ewma_ms),
      count(server.in_flight),
      count(server.requests),
      count(server.failed),
      milliseconds(latency.p50),
      milliseconds(latency.p95),
      milliseconds(latency.p99),
      count(server.idle),
    ];
    texts.forEach((text, index) => say(tr.cells[index], text));
    tr.cells[1].className = server.state;
    tr.cells[7].className = server.failed > 0 ? "wrong" : "";
    const button = tr.cells[12].firstElementChild;
    const verb = server.state === "draining" ? "undrain" : "drain";
    button.dataset.verb = verb;
    say(button, verb === "drain" ? "Drain" : "Undrain");
    button.setAttribute("aria-label", `${button.textContent} ${server.name}`);
  });
}

function showPool({ pool, retries, hedges }) {
  figures(byId("pool"), [
    ["Open", count(pool.open)],
    ["Idle", count(pool.idle)],
    ["Opened", count(pool.opened)],
    ["Closed", count(pool.closed)],
    ["Reused", count(pool.reused)],
    ["Stale when reused", count(pool.stale)],
    ["Spoke unasked", count(pool.unasked)],
    ["Connect p50", pool.opened > 0 ? `${pool.connect_ms.p50} ms` : NONE],
    ["Retries, the connection was stale", count(retries.stale_connection)],
    ["Retries on another backend", count(retries.another_backend)],
    ["Hedges, answered first", `${count(hedges.sent)}, ${count(hedges.won)}`],
  ]);
}

function showLatest({ backends, latest }) {
  const rows = latest.toReversed();
  byId("latest-empty").hidden = rows.length > 0;
  byId("latest").hidden = rows.length === 0;
  if (rows.length === 0) return;
  // Of classifiers no averages are compared.
  const labels = backends.filter((server) => server.kind === "backend").map((server) => server.label);
  const heads = [
    [{ text: "Request", span: 5 }, ...labels.map((label) => ({ text: `Backend ${label}`, span: 2 }))],
    ["Time", "Chosen", "Latency", "Status", "Mode", ...labels.flatMap(() => ["SMA", "EWMA"])],
  ];
  fill(byId("latest"), heads, rows.map((row) => latestRow(row, labels)));
}

function latestRow(row, labels) {
  const scores = labels.flatMap((label, index) => {
    const kind = (mode) => (label === row.chosen && (row.mode === mode || row.mode === "round-robin") ? "chosen" : "");
    return [
      { text: milliseconds(row.sma_ms[index]), kind: kind("adaptive_sma") },
      { text: milliseconds(row.ewma_ms[index]), kind: kind("adaptive_ewma") },
    ];
  });
  const status = { text: String(row.status), kind: row.failed ? "wrong" : "" };
  return [row.time, row.chosen, count(row.latency_ms), status, row.mode, ...scores];
}

function showQueue(batching) {
  figures(byId("queue"), [
    ["Strategy", batching.strategy],
    ["Waiting", count(batching.depth)],
    ["Oldest", batching.oldest_seconds === null ? NONE : `${milliseconds(batching.oldest_seconds * 1000)} ms`],
    ["Batches in flight", `${count(batching.in_flight)} of ${count(batching.most_in_flight)}`],
    ["Queued so far", count(batching.queued)],
    ["Refused", count(batching.refused)],
    ["Cancelled", count(batching.cancelled)],
    ["Batches failed", count(batching.batches_failed)],
  ]);
  byId("customers-empty").hidden = batching.customers.length > 0;
  byId("customers").hidden = batching.customers.length === 0;
  const rows = batching.customers.map((customer) => [
    customer.name ?? "all others",
    count(customer.parts),
    count(customer.sequences),
    tenth.format(customer.work_seconds),
  ]);
  fill(byId("customers"), [["Customer", "Requests sent", "Sequences", "Work, s"]], rows);
}
