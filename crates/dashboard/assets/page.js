// Shows what the server says, and only that: no number is added up or moved between two events.
import { drawBars, drawHistory, drawSeries } from "./charts.js";
import { age, categoryName, language, moment, number, switchLanguage, text, title } from "./texts.js";

/** The server sends an event every 2 s at the least. */
const SILENCE_MS = 6000;
const CATEGORIES = ["Electronica", "Ropa", "Hogar", "Belleza"];
const byId = (id) => document.getElementById(id);
const fold = (name) => name.normalize("NFD").replace(/\p{M}/gu, "").trim().toLowerCase();

const asked = fold(new URLSearchParams(location.search).get("categoria") || "");
let category = CATEGORIES.find((name) => fold(name) === asked) || document.documentElement.dataset.opening;
let events = null;
let latest = null;
/** When the last event came, by the page's clock and by the calendar. */
let heard = performance.now(), heardAt = null;
/** The server's clock less the page's. */
let ahead = null;
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
  write(element, missing ? "–" : element.dataset.f === "number" ? number(value) : value);
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
  return { ...withZeros(latest, () => !held && readable("categorias")), clima: weather };
}

/** Room for the longest number of a row of tiles, the same for all of them. */
function fit() {
  for (const row of document.querySelectorAll(".tiles")) {
    const longest = Math.max(...[...row.querySelectorAll(".big")].map((number) => number.textContent.length));
    row.style.setProperty("--digits", Math.max(9, longest));
  }
}

function show() {
  const data = figuresOfAll(), chosen = figuresOf(category);
  for (const element of document.querySelectorAll("main [data-key]:not(.row b)")) {
    if (!element.dataset.of) put(element, at(data, element.dataset.key));
  }
  for (const element of document.querySelectorAll("[data-of]")) {
    element.dataset.key = `categorias.${category}.${element.dataset.of}`;
    put(element, at(chosen, element.dataset.of));
  }
  const row = (name, key, value) => ({ name, figures: [{ key, value }] });
  const report = (name) => row(categoryName(name), `reportes.${name}`, figuresOf(name).ventas);
  const product = (prefix) => (of) => row(of.producto_id, `${prefix}productos.${of.producto_id}`, of.unidades);
  drawBars(byId("reports"), CATEGORIES.map(report), put);
  drawBars(byId("top"), (data.productos ?? []).map(product("")), put);
  drawBars(byId("top-of"), (chosen.productos ?? []).map(product(`categorias.${category}.`)), put);
  for (const note of document.querySelectorAll(".waiting")) say(note, waits() ? text("waiting") : "");
  showWeather(data.clima ?? {});
  fit();
  const unreadable = data.ilegibles ?? [];
  say(byId("unreadable"), unreadable.length ? `${text("unreadable")} ${unreadable.map(title).join(", ")}` : "");
  draw();
  tick();
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

/** The server's time, while it is heard. */
const serverNow = () => (trouble || ahead === null ? null : performance.now() + ahead);

function draw() {
  const waiting = waits() ? text("waiting") : text("none");
  drawSeries(byId("series"), latest?.serie, serverNow(), waiting);
  drawHistory(byId("history"), latest?.categorias?.find((of) => of.categoria === category)?.historial, waiting);
}

function label() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = text(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
  for (const button of byId("chooser").children) {
    button.textContent = categoryName(button.value);
    button.setAttribute("aria-pressed", button.value === category);
  }
  byId("part").textContent = `${text("category")}: ${categoryName(category)}`;
  byId("language").textContent = text("other");
  byId("language").lang = language === "es" ? "en" : "es";
}

/** What changes with time alone: ages, and the end of the time axis. */
function tick() {
  if (performance.now() - heard > SILENCE_MS) {
    fail("silent");
    listen();
  }
  const newest = latest?.ultima_venta_ms ?? null;
  const freshness = !latest && !trouble ? text("connecting") : waits() ? text("waiting")
    : newest === null || ahead === null ? "–" : age(performance.now() + ahead - newest);
  write(byId("freshness"), freshness);
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
    trouble = null;
    latest = hear(event);
    show();
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

function remember() {
  const query = new URLSearchParams(location.search);
  query.set("categoria", category);
  query.set("lang", language);
  history.replaceState(null, "", `?${query}`);
  label();
  show();
}

for (const name of CATEGORIES) {
  const button = document.createElement("button");
  button.type = "button";
  button.value = name;
  button.addEventListener("click", () => {
    category = name;
    remember();
    listen();
  });
  byId("chooser").append(button);
}
byId("language").addEventListener("click", () => {
  switchLanguage();
  remember();
});
new ResizeObserver(draw).observe(document.body);
setInterval(tick, 500);
label();
show();
listen();
