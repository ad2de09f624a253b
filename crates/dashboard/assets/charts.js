// Charts and bars. Drawn as SVG by hand: uPlot and its like draw into a canvas, which no stylesheet, screen reader or test can read.
import { writeLabel } from "./labels.js";
import { clock, inCurrency, moment, money, number, share, text, timeAxis } from "./texts.js";

const RIGHT = 14, TOP = 26, BOTTOM = 40;
const SECOND = 1000;
/** Steps of a time axis, in seconds. */
const TIME_STEPS = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600];

function add(parent, tag, attributes, content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  if (content !== undefined) node.textContent = content;
  parent.append(node);
  return node;
}

/** Four or five round numbers from `low` to `high`, and what the scale begins and ends with. */
export function roundTicks(low, high, smallest) {
  const rough = Math.max((high - low) / 4, smallest);
  const power = 10 ** Math.floor(Math.log10(rough));
  // A quarter only of what is at least ten of the smallest.
  const factors = power > smallest * 1.001 ? [1, 2, 2.5, 5, 10] : [1, 2, 5, 10];
  const step = Math.max(smallest, factors.find((factor) => factor * power >= rough * 0.999) * power);
  const from = Math.floor(low / step + 1e-9), to = Math.max(Math.ceil(high / step - 1e-9), from + 1);
  const ticks = Array.from({ length: to - from + 1 }, (_, n) => (from + n) * step);
  return { ticks, low: from * step, high: to * step };
}

/** Instants at which a clock shows a round time, four to six of them. */
function timeTicks(from, to) {
  const step = SECOND * (TIME_STEPS.find((seconds) => (to - from) / SECOND / seconds <= 5.5) ?? (to - from) / SECOND / 5);
  const first = Math.ceil(from / step);
  return Array.from({ length: Math.max(0, Math.floor(to / step) - first + 1) }, (_, n) => (first + n) * step);
}

/** An empty chart: axes, round ticks with their lines, titles. Returns where a value and an instant are drawn. */
function axes(chart, y, x) {
  const width = chart.clientWidth, height = chart.clientHeight;
  chart.replaceChildren();
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const labels = y.ticks.map((value) => add(chart, "text", { "text-anchor": "end" }, y.label(value)));
  // As wide as the longest label: a number that is cut is another number.
  const left = Math.max(24, ...labels.map((label) => Math.ceil(label.getComputedTextLength()) + 12));
  const area = { left, right: width - RIGHT, top: TOP, bottom: height - BOTTOM };
  const toY = (value) => area.bottom - ((value - y.low) / (y.high - y.low || 1)) * (area.bottom - area.top);
  const toX = (ms) => area.left + ((ms - x.from) / (x.to - x.from || 1)) * (area.right - area.left);
  y.ticks.forEach((value, n) => {
    const at = toY(value);
    labels[n].setAttribute("x", left - 8);
    labels[n].setAttribute("y", at + 4);
    add(chart, "line", { class: "axis", x1: area.left, x2: area.right, y1: at, y2: at });
  });
  add(chart, "line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom });
  add(chart, "text", { x: 0, y: 0, dy: ".95em" }, y.title);
  const { title, label } = timeAxis(x.from, x.to);
  const below = add(chart, "text", { y: height - 3, "text-anchor": "middle" }, title);
  const room = below.getComputedTextLength() / 2;
  below.setAttribute("x", Math.max(room, Math.min((area.left + area.right) / 2, width - room)));
  let free = area.left - 8;
  for (const ms of x.to > x.from ? timeTicks(x.from, x.to) : []) {
    const at = toX(ms);
    const tick = add(chart, "text", { x: at, y: area.bottom + 17, "text-anchor": "middle" }, label(ms));
    const half = tick.getComputedTextLength() / 2;
    add(chart, "line", { class: "axis", x1: at, x2: at, y1: area.bottom, y2: area.bottom + 4 });
    if (at - half < free || at + half > width) tick.remove(); else free = at + half + 10;
  }
  return { area, toX, toY };
}

/** Makes an empty chart of a chart without data; `words` say why. */
function empty(chart, name, words) {
  chart.replaceChildren();
  chart.setAttribute("viewBox", `0 0 ${chart.clientWidth} ${chart.clientHeight}`);
  add(chart, "text", { x: chart.clientWidth / 2, y: chart.clientHeight / 2, "text-anchor": "middle" }, words);
  chart.setAttribute("aria-label", words ? `${name}: ${words}` : name);
  readable(chart, []);
}

/** Sales per second: a bar for each second of the last half minute to `most` seconds before `now`. Null: not known yet. */
export function drawSeries(chart, known, most, now, waiting) {
  if (!known?.length) return empty(chart, text("series"), known ? waiting : "");
  const last = known[known.length - 1].t_ms;
  const end = Math.ceil((now ?? last + SECOND) / SECOND) * SECOND;
  const span = Math.min(most * SECOND, Math.max(30 * SECOND, end - known[0].t_ms));
  const from = end - span;
  const shown = known.filter((point) => point.t_ms >= from && point.t_ms < end);
  const highest = shown.reduce((most, point) => Math.max(most, point.ventas), 0);
  const scale = roundTicks(0, Math.max(1, highest), 1);
  const { area, toX, toY } = axes(chart, { title: text("perSecond"), label: number, ...scale }, { from, to: end });
  const wide = toX(from + SECOND) - toX(from);
  for (const point of shown) {
    // The second that runs is not over: what there is of it is no rate yet.
    const running = now !== null && point.t_ms + SECOND > now;
    const at = toY(point.ventas);
    add(chart, "rect", { class: running ? "mark running" : "mark", x: toX(point.t_ms), y: at, width: Math.max(1, wide * 0.8), height: Math.max(0, area.bottom - at) });
  }
  if (!shown.length) add(chart, "text", { x: (area.left + area.right) / 2, y: (area.top + area.bottom) / 2, "text-anchor": "middle" }, text("quiet"));
  chart.setAttribute("aria-label", `${text("series")}: ${shown.length ? `${text("highest")} ${number(highest)}` : text("quiet")}`);
  readable(chart, shown.map((point) => ({ x: toX(point.t_ms) + wide * 0.4, y: toY(point.ventas), at: clock(point.t_ms), value: `${number(point.ventas)} ${text("perSecond")}` })));
}

/** Seconds without a sale over which a line is still drawn; beyond it nothing says what the price was. */
const JOINED = 5 * SECOND;
/** A shorter time axis has no instant to write below it. */
const SHORTEST = 10 * SECOND;

/** Prices over time: a band from the lowest to the highest, a line of their mean, a dot where there are no neighbours. Null: not known yet. */
export function drawPrices(chart, known, waiting) {
  if (!known?.length) return empty(chart, text("history"), known ? waiting : "");
  const least = known.reduce((a, b) => (Number(b.precio_minimo) < Number(a.precio_minimo) ? b : a)).precio_minimo;
  const most = known.reduce((a, b) => (Number(b.precio_maximo) > Number(a.precio_maximo) ? b : a)).precio_maximo;
  // One price alone lies in the middle, between two that are near.
  const around = least === most ? Math.max(0.02, Number(least) / 20) : 0;
  const scale = roundTicks(Math.max(0, Number(least) - around), Number(most) + around, 0.01);
  const step = known[0].segundos * SECOND;
  const to = known[known.length - 1].t_ms + step, from = Math.min(known[0].t_ms, to - SHORTEST);
  const y = { title: inCurrency(text("price")), label: (value) => number(value.toFixed(2)), ...scale };
  const { toX, toY } = axes(chart, y, { from, to });
  const points = known.map((of) => ({
    x: toX(of.t_ms + step / 2), y: toY(Number(of.precio_promedio)), low: toY(Number(of.precio_minimo)), high: toY(Number(of.precio_maximo)),
    at: moment(of.t_ms), value: priceWords(of), cells: [...[of.precio_promedio, of.precio_minimo, of.precio_maximo].map(money), number(of.ventas)],
  }));
  const isJoined = (n) => n > 0 && known[n].t_ms - known[n - 1].t_ms <= step + JOINED;
  const runs = points.reduce((all, point, n) => {
    if (isJoined(n)) all[all.length - 1].push(point); else all.push([point]);
    return all;
  }, []);
  for (const run of runs) drawRun(chart, run);
  chart.setAttribute("aria-label", `${text("history")}: ${money(least)} – ${money(most)}`);
  readable(chart, points);
}

/** One sale has its price; several have a mean, and where they lie. */
function priceWords(of) {
  if (of.ventas === 1) return money(of.precio_promedio);
  return `${money(of.precio_promedio)} (${money(of.precio_minimo)} – ${money(of.precio_maximo)}) · ${number(of.ventas)} ${text("sales")}`;
}

function drawRun(chart, run) {
  const path = (points) => points.map(([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`).join("L");
  if (run.length === 1) {
    const [{ x, y, low, high }] = run;
    add(chart, "path", { class: "spread", d: `M${path([[x, low], [x, high]])}` });
    return add(chart, "path", { class: "dots", d: `M${path([[x, y]])}h0` });
  }
  const edge = [...run.map(({ x, high }) => [x, high]), ...run.map(({ x, low }) => [x, low]).reverse()];
  add(chart, "path", { class: "band", d: `M${path(edge)}Z` });
  return add(chart, "path", { class: "mean", d: `M${path(run.map(({ x, y }) => [x, y]))}` });
}

const charts = new WeakMap();

/** Lets the points of a chart be read: under the pointer, by the arrow keys, and as a table where that is open. */
function readable(chart, points) {
  let state = charts.get(chart);
  if (!state) {
    state = { points, chosen: null, readout: document.getElementById(`${chart.id}-readout`), table: document.getElementById(`${chart.id}-table`) };
    charts.set(chart, state);
    listenTo(chart, state);
  }
  // The same instant stays chosen when there are newer ones.
  const kept = state.chosen === null ? -1 : points.findLastIndex((point) => point.at === state.points[state.chosen]?.at);
  state.points = points;
  state.chosen = kept < 0 ? null : kept;
  mark(chart, state);
  tabulate(state);
}

function listenTo(chart, state) {
  const choose = (n) => {
    state.chosen = n;
    mark(chart, state);
  };
  const under = (event) => {
    const x = event.clientX - chart.getBoundingClientRect().left, y = event.clientY - chart.getBoundingClientRect().top;
    const far = (point) => Math.abs(point.x - x) + Math.abs(point.y - y) / 50;
    const nearest = state.points.reduce((best, point, n) => (best < 0 || far(point) < far(state.points[best]) ? n : best), -1);
    choose(nearest < 0 ? null : nearest);
  };
  chart.addEventListener("pointermove", under);
  chart.addEventListener("pointerdown", under);
  chart.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") choose(null); });
  chart.addEventListener("blur", () => choose(null));
  chart.addEventListener("keydown", (event) => {
    const last = state.points.length - 1, now = state.chosen ?? last + 1;
    const to = { ArrowLeft: now - 1, ArrowRight: now + 1, Home: 0, End: last }[event.key];
    if (event.key === "Escape") choose(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    choose(Math.min(last, Math.max(0, to)));
  });
  state.table?.parentElement.addEventListener("toggle", () => tabulate(state));
}

function mark(chart, state) {
  chart.querySelector(".cursor")?.remove();
  const point = state.chosen === null ? undefined : state.points[state.chosen];
  const words = point ? `${point.at} · ${point.value}` : "";
  if (state.readout.textContent !== words) state.readout.textContent = words;
  if (!point) return;
  const cursor = add(chart, "g", { class: "cursor" });
  add(cursor, "line", { x1: point.x, x2: point.x, y1: TOP, y2: chart.clientHeight - BOTTOM });
  add(cursor, "circle", { cx: point.x, cy: point.y, r: 4 });
}

function tabulate({ points, table }) {
  if (!table?.parentElement.open) return;
  table.tBodies[0].replaceChildren(...points.map((point) => {
    const row = document.createElement("tr");
    for (const words of [point.at, ...(point.cells ?? [point.value])]) row.insertCell().textContent = words;
    return row;
  }).reverse());
}

/**
 * A bar for each of `rows`: a name, an id below it where that is another, figures (key and value of one store, or of two, the
 * second one's below the first), and where there is a `whole`, the share of it. Lines that stay are changed in place, so that
 * selected text stays selected.
 */
export function drawBars(list, rows, put, whole) {
  const highest = Math.max(1, ...rows.flatMap((row) => row.figures.map((of) => of.value ?? 0)));
  list.classList.toggle("two", rows[0]?.figures.length === 2);
  list.classList.toggle("shares", whole !== undefined);
  const lines = new Map([...list.children].map((line) => [line.dataset.line, line]));
  const wanted = rows.map((row) => {
    const id = row.figures.map((of) => of.key).join(" ");
    const line = lines.get(id) ?? newLine(id, row.figures, whole !== undefined);
    lines.delete(id);
    return line;
  });
  for (const line of lines.values()) line.remove();
  wanted.forEach((line, n) => { if (list.children[n] !== line) list.insertBefore(line, list.children[n] ?? null); });
  wanted.forEach((line, n) => fillLine(line, rows[n], highest, put, whole));
}

function newLine(id, figures, hasShare) {
  const line = document.createElement("li");
  line.dataset.line = id;
  const label = document.createElement("div");
  label.append(document.createElement("span"), Object.assign(document.createElement("small"), { className: "soft" }));
  line.append(label);
  const bar = add(line, "svg", { viewBox: `0 0 100 ${figures.length}`, preserveAspectRatio: "none", "aria-hidden": "true" });
  figures.forEach(({ key }, n) => {
    add(bar, "rect", { y: n, height: 1, class: n ? "second" : "first" });
    const shown = document.createElement("b");
    Object.assign(shown.dataset, { key, f: "number" });
    line.append(shown);
  });
  if (hasShare) line.append(Object.assign(document.createElement("small"), { className: "soft share" }));
  return line;
}

function fillLine(line, { name, id, figures, differs }, highest, put, whole) {
  line.className = differs ? "row differs" : "row";
  writeLabel(line.querySelector("span"), name);
  writeLabel(line.querySelector("small"), id && id !== name ? id : "");
  const bars = line.querySelectorAll("rect"), numbers = line.querySelectorAll("b");
  figures.forEach(({ value }, n) => {
    bars[n].setAttribute("width", ((value ?? 0) / highest) * 100);
    put(numbers[n], value);
  });
  const part = line.querySelector(".share"), known = figures[0].value ?? null;
  const words = whole && known !== null ? share(known / whole) : "";
  if (part && part.textContent !== words) part.textContent = words;
}
