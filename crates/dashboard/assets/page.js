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

const at = (object, path) => path.split(".").reduce((value, name) => value?.[name], object);

function put(element, value) {
  const missing = value === null || value === undefined;
  element.textContent = missing ? "–" : element.dataset.f === "number" ? number(value) : value;
  const length = element.classList.contains("big") ? element.textContent.length : 0;
  element.classList.toggle("long", length > 10 && length <= 14);
  element.classList.toggle("longer", length > 14);
  if (missing) delete element.dataset.value; else element.dataset.value = value;
}

function say(element, words) {
  // A text that is written again would be read out again.
  if (element.textContent !== words) element.textContent = words;
  element.hidden = words === "";
}

function show() {
  const data = latest ?? {};
  const chosen = data.categorias?.find((of) => of.categoria === category) ?? {};
  for (const element of document.querySelectorAll("main [data-key]:not(.row b)")) {
    if (!element.dataset.of) put(element, at(data, element.dataset.key));
  }
  for (const element of document.querySelectorAll("[data-of]")) {
    element.dataset.key = `categorias.${category}.${element.dataset.of}`;
    put(element, at(chosen, element.dataset.of));
  }
  const report = (name) => ({ name: categoryName(name), key: `reportes.${name}`, value: data.categorias?.find((of) => of.categoria === name)?.ventas });
  const product = (prefix) => (of) => ({ name: of.producto_id, key: `${prefix}productos.${of.producto_id}`, value: of.unidades });
  drawBars(byId("reports"), CATEGORIES.map(report), put);
  drawBars(byId("top"), (data.productos ?? []).map(product("")), put);
  drawBars(byId("top-of"), (chosen.productos ?? []).map(product(`categorias.${category}.`)), put);
  drawBars(byId("countries"), (data.clima?.paises ?? []).map((of) => ({ name: of.pais, key: `clima.${of.pais}`, value: of.reportes })), put);
  const unreadable = data.ilegibles ?? [];
  say(byId("unreadable"), unreadable.length ? `${text("unreadable")} ${unreadable.map(title).join(", ")}` : "");
  draw();
  tick();
}

function draw() {
  drawSeries(byId("series"), latest?.serie);
  drawHistory(byId("history"), latest?.categorias?.find((of) => of.categoria === category)?.historial);
}

function label() {
  document.documentElement.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = text(element.dataset.t);
  for (const element of document.querySelectorAll("[data-label]")) element.setAttribute("aria-label", text(element.dataset.label));
  for (const button of byId("chooser").children) {
    button.textContent = categoryName(button.value);
    button.setAttribute("aria-pressed", button.value === category);
  }
  byId("language").textContent = text("other");
}

/** What changes with time alone: the age of the newest sale, and how long nothing was heard. */
function tick() {
  if (performance.now() - heard > SILENCE_MS) {
    fail("silent");
    listen();
  }
  const newest = latest?.ultima_venta_ms;
  const known = !trouble && ahead !== null && newest !== null && newest !== undefined;
  byId("freshness").textContent = known ? age(performance.now() + ahead - newest) : "–";
  document.body.classList.toggle("stale", trouble !== null);
  const since = () => (trouble.at === null ? text("nothing") : `${text("asOf")} ${moment(trouble.at)}.`);
  say(byId("banner"), trouble ? `${text(trouble.why)} ${since()}` : "");
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
    // A browser gives up after an answer that is no stream; we do not.
    if (stream.readyState === EventSource.CLOSED) setTimeout(() => { if (events === stream) listen(); }, 1000);
  };
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
