// The feed, what one may change, and who is told what. Tables are in tables.js, charts in charts.js.

import { showCharts } from "./charts.js";
import { byId, count, milliseconds, say, showTables } from "./tables.js";

const POLL_MS = 2000;
// An event comes every half second.
const SILENCE_MS = 5000;
const SPOKEN_EVERY_MS = 10000;

const feed = { source: null, heard: performance.now(), heardAt: new Date(), lost: false, polling: false };
let shown = null;
let paused = false;
let spokenAt = -SPOKEN_EVERY_MS;

// The feed.

function listen() {
  feed.source?.close();
  feed.source = new EventSource("/api/v1/events");
  feed.source.onmessage = (event) => hear(JSON.parse(event.data), "live");
  feed.source.onerror = () => {
    lose();
    poll();
  };
}

function hear(live, state) {
  feed.heard = performance.now();
  feed.heardAt = new Date();
  feed.lost = false;
  byId("lost").hidden = true;
  byId("feed").dataset.state = state;
  const how = state === "live" ? "live" : "asking every 2 s, for want of a feed";
  say(byId("feed"), paused ? `paused; ${how}` : how);
  shown = paused && shown ? shown : live;
  show();
}

function lose() {
  feed.lost = true;
  byId("feed").dataset.state = "lost";
  say(byId("feed"), "feed lost");
  const since = feed.heardAt.toLocaleTimeString([], { hour12: false });
  say(byId("lost"), `Feed lost since ${since}: the proxy is not heard any more, and what is shown is old. Trying again.`);
  byId("lost").hidden = false;
}

async function poll() {
  if (feed.polling) return;
  feed.polling = true;
  try {
    const response = await fetch("/api/v1/live", { cache: "no-store", signal: AbortSignal.timeout(POLL_MS) });
    if (!response.ok) throw new Error(response.status);
    hear(await response.json(), feed.source.readyState === EventSource.OPEN ? "live" : "polled");
  } catch {
    lose();
  } finally {
    feed.polling = false;
  }
}

// A browser connects again by itself, but not when it was answered an error, and it may wait long.
function watch() {
  const open = feed.source.readyState === EventSource.OPEN;
  const silent = performance.now() - feed.heard > SILENCE_MS;
  if (open && silent) lose();
  if (!open || silent) {
    poll();
    if (feed.source.readyState === EventSource.CLOSED || silent) listen();
  }
}

// What is shown.

function show() {
  if (!shown || document.hidden) return;
  const { status, batching } = shown;
  say(byId("explanation"), status.explanation);
  if (performance.now() - spokenAt >= SPOKEN_EVERY_MS) {
    spokenAt = performance.now();
    say(byId("spoken"), status.explanation);
  }
  say(byId("routing"), status.routing);
  say(byId("connections"), status.connections);
  say(byId("average"), status.avg_recent_latency_ms === null ? "N/A" : `${milliseconds(status.avg_recent_latency_ms)} ms`);
  say(byId("requests"), count(status.requests));
  say(byId("failed"), count(status.failed));
  say(byId("in-flight"), count(status.in_flight));
  say(byId("about"), `Tidegate ${status.version}, on ${status.listen} since ${new Date(status.started).toLocaleString()}.`);
  byId("draining").hidden = !status.draining;
  showDropped(status);
  showChoices("routing-choices", shown.choices.routing, status.routing, changeRouting);
  byId("strategy-choices").hidden = !batching;
  if (batching) showChoices("strategy-choices", shown.choices.strategy, batching.strategy, changeStrategy);
  showTables(shown, changeState);
  showCharts(shown);
}

function showDropped(status) {
  const parts = [];
  if (status.csv.rows_dropped > 0) {
    parts.push(`${count(status.csv.rows_dropped)} rows are missing in ${status.csv.path}: the disk did not keep up.`);
  }
  if (status.records_dropped > 0) {
    parts.push(`${count(status.records_dropped)} requests are missing in all figures: telemetry did not keep up.`);
  }
  byId("dropped").hidden = parts.length === 0;
  say(byId("dropped"), parts.join(" "));
}

// What may be changed.

function showChoices(id, names, current, change) {
  const group = byId(id);
  const buttons = group.querySelectorAll("button");
  if (buttons.length === 0) {
    for (const name of names) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      button.onclick = () => change(button, name);
      group.append(button);
    }
  }
  for (const button of group.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.textContent === current));
  }
}

const changeRouting = (button, mode) =>
  ask(button, "PUT", "/api/v1/routing", { mode }, `The routing mode is ${mode} now.`);

const changeStrategy = (button, strategy) =>
  ask(button, "PUT", "/api/v1/strategy", { strategy }, `The batching strategy is ${strategy} now.`);

const changeState = (button, name, verb) => {
  const done = verb === "drain" ? `${name} is draining: it gets no new requests.` : `${name} gets requests again.`;
  return ask(button, "POST", `/api/v1/backends/${encodeURIComponent(name)}/${verb}`, null, done);
};

// The button keeps the focus meanwhile, which `disabled` would take away.
async function ask(button, method, path, body, done) {
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  const told = byId("told");
  try {
    const headers = body ? { "Content-Type": "application/json" } : {};
    const response = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    const problem = response.ok ? null : await response.json().catch(() => ({}));
    told.classList.toggle("wrong", !response.ok);
    say(told, response.ok ? done : `Not changed: ${problem.detail ?? `the proxy answered ${response.status}`}.`);
  } catch (error) {
    told.classList.add("wrong");
    say(told, `Not changed: the proxy was not reached (${error.message}).`);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

byId("pause").onclick = () => {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
};
document.addEventListener("visibilitychange", show);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
for (const details of document.querySelectorAll("details")) details.addEventListener("toggle", show);

listen();
setInterval(watch, POLL_MS);
