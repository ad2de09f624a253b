// Shows what the server says, and only that: no number is moved between two events. Shares and the sales of the last minute, added up
// from its seconds, are all that is reckoned here.
import { drawBars, drawPrices, drawSeries } from "./charts.js";
import { addTo, goOn, labelControls, listenToControls, pausedAt, seconds, series } from "./controls.js";
import { fitLabels, writeLabel } from "./labels.js";
import { age, categoryName, change, kept, language, moment, money, number, span, text, title } from "./texts.js";

/** The server sends an event every 2 s at the least. */
const SILENCE_MS = 6000;
/** By when what was accepted in a second is counted: as the server takes it for the sales per second. */
const COUNTED_AFTER_MS = 500;
const CATEGORIES = ["Electronica", "Ropa", "Hogar", "Belleza"];
const byId = (id) => document.getElementById(id);
const FORMATS = { number, money, text: String };
const fold = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").trim().toLowerCase();

const asked = fold(new URLSearchParams(location.search).get("categoria") || "");
let category = CATEGORIES.find((name) => fold(name) === asked) || document.documentElement.dataset.opening;
let events = null;
/** What the server said last, and what is shown of it. */
let newest = null, latest = null;
/** When the last event came, by the page's clock and by the calendar. */
let heard = performance.now(), heardAt = null;
/** The server's clock less the page's. */
let ahead = null;
/** The server's time when it was known last. */
let known = null;
/** Why the numbers cannot be trusted, and since when; null while they can. */
let trouble = null;
/** The second of the server's time that the charts end with. */
let drawn = 0;
const TITLE = document.title;

const at = (object, path) => path.split(".").reduce((value, name) => value?.[name], object);

/** Writes only what changed: a text that is written again loses its selection, and is read out again. */
function write(element, words) {
  if (element.textContent !== words) element.textContent = words;
}

function put(element, value) {
  const missing = value === null || value === undefined;
  write(element, missing ? "–" : FORMATS[element.dataset.f ?? "text"](value));
  if (missing) delete element.dataset.value; else element.dataset.value = value;
}

function say(element, words) {
  write(element, words);
  element.hidden = words === "";
}

const SUMS = { ventas: 0, unidades: "0", ingresos: "0.00" };

/** The sums of what was read and holds no sale are zero. What could not be read stays unknown. */
function withZeros(data, isReadable) {
  const known = Object.entries(SUMS).filter(([name]) => (data[name] ?? null) === null && isReadable(name));
  return { ...data, ...Object.fromEntries(known) };
}

/** Whether nothing at or below a path of the answer is among what could not be read. */
const readable = (path) => !(latest?.ilegibles ?? []).some((of) => of === path || of.startsWith(`${path}.`));

function figuresOf(name) {
  const of = latest?.categorias?.find((figures) => figures.categoria === name);
  return of ? withZeros(of, (sum) => of.ventas === null && readable(`categorias.${name}.${sum}`)) : {};
}

function figuresOfAll() {
  if (!latest) return {};
  const held = latest.categorias.some((of) => of.ventas !== null);
  const { clima } = latest;
  const reports = (of, path) => (of.total === null && !of.motivo && readable(path) ? { ...of, total: 0 } : of);
  const weather = { ...reports(clima, "clima.total"), redis: clima.redis && reports(clima.redis, "clima.redis.total") };
  // Where nothing was ever sold, nothing was in the last second.
  const quiet = waits() ? { ultimo_segundo: { ventas: 0 } } : {};
  return { ...withZeros(latest, () => !held && readable("categorias")), ...quiet, clima: weather };
}

/** Of a tile in pixels: the least for a digit of .big and for a tile, the frame, and the gap to the next one. */
const DIGIT = 8, TILE = 130, FRAME = 34, GAP = 14;

/** Room for the longest number of a row of tiles, the same for all of them, in as many columns as have it. */
function fit() {
  for (const row of document.querySelectorAll(".tiles")) {
    const digits = Math.max(9, ...[...row.querySelectorAll(".big")].map((number) => number.textContent.length));
    const count = row.children.length, most = Math.min(count, Number(getComputedStyle(row).getPropertyValue("--most")));
    const least = Math.max(TILE, digits * DIGIT + FRAME);
    const beside = Math.max(1, Math.min(most, Math.floor((row.clientWidth + GAP) / (least + GAP))));
    // Rows of like length, where one has not enough.
    const columns = Math.ceil(count / Math.ceil(count / beside));
    row.dataset.columns = columns;
    row.style.setProperty("--columns", columns);
    row.style.setProperty("--digits", digits);
    row.style.setProperty("--room", `${(row.clientWidth - GAP * (columns - 1)) / columns - FRAME}px`);
  }
}

const MINUTE_MS = 60_000;

/** Sales of the last minute whose seconds are all counted, and how many more that is than in the one before. */
function minute() {
  known = serverNow() ?? known;
  if (!latest || known === null || kept * 1000 < 3 * MINUTE_MS) return "";
  const end = Math.floor((known - COUNTED_AFTER_MS) / 1000) * 1000;
  const between = (from, to) => series.points.reduce((sum, of) => (of.t_ms >= from && of.t_ms < to ? sum + of.ventas : sum), 0);
  const last = between(end - MINUTE_MS, end), before = between(end - 2 * MINUTE_MS, end - MINUTE_MS);
  const more = before ? `, ${change(before, last)} ${text("before")}` : "";
  return `${text("minute")}: ${number(last)}${more}`;
}

function show() {
  const data = figuresOfAll(), chosen = figuresOf(category);
  for (const element of document.querySelectorAll("main [data-key]:not(.row b, [data-of], [data-name])")) {
    put(element, at(data, element.dataset.key));
  }
  for (const element of document.querySelectorAll("[data-name]")) {
    const { name, part } = element.dataset;
    if (part === undefined) showProduct(element, data[name], name); else showProduct(element, chosen[name], `categorias.${category}.${name}`);
  }
  for (const element of document.querySelectorAll("[data-of]")) {
    element.dataset.key = `categorias.${category}.${element.dataset.of}`;
    put(element, at(chosen, element.dataset.of));
  }
  const report = (name) => ({ name: categoryName(name), figures: [{ key: `reportes.${name}`, value: figuresOf(name).ventas }] });
  const product = (prefix) => ({ producto_id: id, producto, unidades }) =>
    ({ name: producto ?? id, id, figures: [{ key: `${prefix}productos.${id}`, value: unidades }] });
  drawBars(byId("reports"), CATEGORIES.map(report), put, data.ventas ?? 0);
  drawBars(byId("top"), (data.productos ?? []).map(product("")), put);
  drawBars(byId("top-of"), (chosen.productos ?? []).map(product(`categorias.${category}.`)), put);
  write(byId("peak-at"), data.pico ? `(${moment(data.pico.t_ms)})` : "");
  for (const note of document.querySelectorAll(".waiting")) say(note, waits() ? text("waiting") : "");
  showWeather(data.clima ?? {});
  fit();
  // A column is as wide as its labels: the first were written before the last.
  fitLabels();
  const unreadable = data.ilegibles ?? [];
  say(byId("unreadable"), unreadable.length ? `${text("unreadable")} ${unreadable.map(title).join(", ")}` : "");
  draw();
  tick();
}

/** A product's name with its id below, or its id alone. */
function showProduct(element, of, key) {
  element.dataset.key = `${key}.producto_id`;
  if (of) element.dataset.value = of.producto_id; else delete element.dataset.value;
  writeLabel(element, of?.producto ?? of?.producto_id ?? "–");
  writeLabel(element.nextElementSibling, of?.producto ? of.producto_id : "");
}

/** The countries; where there is a second store, both stores' side by side, and whether they agree. */
function showWeather({ paises = [], redis }) {
  for (const element of document.querySelectorAll("[data-second]")) element.hidden = !redis;
  const mark = byId("agreement");
  mark.classList.toggle("differs", Boolean(redis && redis.difiere !== false));
  say(mark, redis ? text(redis.motivo ? `redis_${redis.motivo}` : redis.difiere ? "differ" : "agree") : "");
  drawBars(byId("countries"), paises.map((of) => {
    const figures = [{ key: `clima.${of.pais}`, value: of.reportes }];
    if (redis) figures.push({ key: `clima.redis.${of.pais}`, value: of.reportes_redis });
    return { name: of.pais, figures, differs: of.difiere };
  }), put);
}

/** Whether the store was read, and has no sale. */
const waits = () => Boolean(latest && latest.ventas === null && latest.ilegibles.length === 0);

/** The server's time, while it is heard; that of the pause while there is one. */
function serverNow() {
  if (trouble || ahead === null) return null;
  return ahead + (pausedAt === null ? performance.now() : pausedAt - performance.timeOrigin);
}

function draw() {
  write(byId("minute"), minute());
  const waiting = waits() ? text("waiting") : text("none");
  drawSeries(byId("series"), latest && series.points, seconds, serverNow(), waiting);
  drawPrices(byId("history"), latest?.categorias?.find((of) => of.categoria === category)?.precios, waiting);
}

function label() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = text(element.dataset.t);
  byId("peak").textContent = `${text("peak")} ${span(kept)}`;
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
  for (const button of byId("chooser").children) {
    button.textContent = categoryName(button.value);
    button.setAttribute("aria-pressed", button.value === category);
  }
  byId("part").textContent = `${text("category")}: ${categoryName(category)}`;
  labelControls();
}

/** How old the newest of the numbers is, or why nobody can say. */
function freshness(sold) {
  if (pausedAt !== null) return `${text("paused")} ${moment(pausedAt)}`;
  if (!latest) return trouble ? "" : text("connecting");
  if (waits()) return text("waiting");
  return sold === null || ahead === null ? "–" : age(performance.now() + ahead - sold);
}

/** What changes with time alone: ages, and the end of the time axis. */
function tick() {
  if (performance.now() - heard > SILENCE_MS) {
    fail("silent");
    listen();
  }
  const sold = latest?.ultima_venta_ms ?? null;
  byId("newest").hidden = pausedAt !== null || !latest || waits();
  write(byId("freshness"), freshness(sold));
  document.body.classList.toggle("stale", trouble !== null);
  document.title = trouble ? `⚠ ${TITLE}` : TITLE;
  const since = () => (trouble.at === null ? text("nothing") : `${text("asOf")} ${moment(trouble.at)}.`);
  write(byId("why"), trouble ? `${text(trouble.why)} ${since()}` : "");
  write(byId("old"), trouble?.at ? `(${age(Date.now() - trouble.at)})` : "");
  byId("banner").hidden = !trouble;
  const second = Math.floor((serverNow() ?? 0) / 1000);
  if (second !== drawn) {
    drawn = second;
    draw();
  }
}

function fail(why) {
  trouble = { why, at: trouble ? trouble.at : latest && heardAt };
}

function hear(event) {
  heard = performance.now();
  if (!trouble) heardAt = Date.now();
  return JSON.parse(event.data);
}

function listen() {
  events?.close();
  heard = performance.now();
  const stream = new EventSource(`/events?categoria=${category}`);
  events = stream;
  stream.addEventListener("latido", (event) => { ahead = hear(event).ahora_ms - performance.now(); });
  stream.addEventListener("estado", (event) => {
    fail(hear(event).motivo);
    tick();
  });
  stream.addEventListener("resumen", (event) => {
    // What was not heard meanwhile is asked for.
    if (trouble || !latest) series.fetch().then(draw);
    trouble = null;
    newest = hear(event);
    series.add(newest.serie);
    takeNewest();
  });
  stream.onerror = () => {
    fail("lost");
    tick();
    // A browser gives up after an answer that is no stream, and keeps it to itself; we ask, and try again.
    if (stream.readyState === EventSource.CLOSED) isRefused(stream.url).then((refused) => {
      if (events !== stream) return;
      if (refused) fail("full");
      tick();
      setTimeout(() => { if (events === stream) listen(); }, 1000);
    });
  };
}

/** Whether the server is there and takes no more streams. */
async function isRefused(url) {
  try {
    const answer = await fetch(url);
    await answer.body?.cancel();
    return answer.status === 503 || answer.status === 429;
  } catch {
    return false;
  }
}

/** Shows what the server said last, unless the page is paused. */
function takeNewest() {
  if (pausedAt !== null) return tick();
  latest = newest;
  show();
}

function remember() {
  const query = new URLSearchParams(location.search);
  query.set("categoria", category);
  addTo(query);
  history.replaceState(null, "", `?${query}`);
  label();
  takeNewest();
}

for (const name of CATEGORIES) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = name;
  button.addEventListener("click", () => {
    category = name;
    goOn();
    remember();
    listen();
  });
  byId("chooser").append(button);
}
listenToControls(remember, () => series.fetch().then(draw));
new ResizeObserver(() => {
  fit();
  draw();
  fitLabels();
}).observe(document.body);
setInterval(tick, 500);
label();
show();
listen();
