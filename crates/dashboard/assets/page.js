"use strict";
// Shows what the server says, and only that: no number is computed, added up or moved between two messages.

const TEXTS = {
  es: { fresh: "última venta contada hace", sales: "Ventas", perSecond: "ventas por segundo", highest: "Precio más alto", lowest: "Precio más bajo", most: "Más vendido", least: "Menos vendido", units: "unidades", byCategory: "Reportes por categoría", top: "Productos más vendidos", meanPrice: "Precio promedio", meanUnits: "Cantidad promedio", revenue: "Ingresos", history: "Historial de precios", weather: "Reportes del clima", lost: "Sin conexión: los números son de hace", away: "Valkey no responde: los números son de hace", other: "EN" },
  en: { fresh: "last counted sale", sales: "Sales", perSecond: "sales per second", highest: "Highest price", lowest: "Lowest price", most: "Most sold", least: "Least sold", units: "units", byCategory: "Reports by category", top: "Top products", meanPrice: "Average price", meanUnits: "Average quantity", revenue: "Revenue", history: "Price history", weather: "Weather reports", lost: "Connection lost: the numbers are from", away: "Valkey does not answer: the numbers are from", other: "ES" },
};
const CATEGORIES = ["Electronica", "Ropa", "Hogar", "Belleza"];
const root = document.documentElement;
const byId = (id) => document.getElementById(id);

let language = (localStorage.getItem("language") || navigator.language).startsWith("en") ? "en" : "es";
let category = CATEGORIES.find((c) => c === new URLSearchParams(location.search).get("categoria")) || root.dataset.opening;
let latest = null;
let received = 0;
let trouble = "lost";

const locale = () => (language === "es" ? "es-GT" : "en-US");

/** Formats exact decimal text without a detour over floating point. */
function grouped(text) {
  const [whole, fraction] = String(text).split(".");
  const digits = new Intl.NumberFormat(locale(), { useGrouping: true }).format(BigInt(whole));
  const point = new Intl.NumberFormat(locale()).format(1.5).charAt(1);
  return fraction === undefined ? digits : digits + point + fraction;
}

function age(ms) {
  if (ms < 1000) return ms + " ms";
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return Math.floor(seconds / 60) + " min";
  return seconds < 172800 ? Math.floor(seconds / 3600) + " h" : Math.floor(seconds / 86400) + " d";
}

const FORMATS = { int: grouped, decimal: grouped, money: (text) => "Q\u00a0" + grouped(text), age, text: String };

function at(object, path) {
  return path.split(".").reduce((value, name) => (value === null || value === undefined ? null : value[name]), object);
}

function put(element, value) {
  const missing = value === null || value === undefined;
  element.textContent = missing ? "–" : FORMATS[element.dataset.f || "text"](value);
  element.classList.toggle("long", element.textContent.length > 9);
  if (missing) delete element.dataset.value; else element.dataset.value = value;
}

function svg(element, tag, attributes) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  element.append(node);
}

function bars(element, rows) {
  const highest = Math.max(1, ...rows.map((row) => row.value || 0));
  element.replaceChildren(...rows.map((row) => {
    const line = document.createElement("div");
    line.className = "row";
    const name = document.createElement("span");
    name.textContent = row.name;
    name.title = row.name;
    const meter = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    meter.setAttribute("viewBox", "0 0 100 1");
    meter.setAttribute("preserveAspectRatio", "none");
    meter.setAttribute("aria-hidden", "true");
    svg(meter, "rect", { width: ((row.value || 0) / highest) * 100, height: 1 });
    const number = document.createElement("b");
    number.dataset.f = "int";
    number.dataset.key = row.key;
    put(number, row.value);
    line.append(name, meter, number);
    return line;
  }));
}

function drawSeries(points) {
  const chart = byId("serie");
  chart.replaceChildren();
  if (points.length === 0) return;
  const last = points[points.length - 1].t_ms;
  const shown = points.filter((point) => last - point.t_ms < 120000);
  const highest = Math.max(...shown.map((point) => point.ventas));
  chart.setAttribute("viewBox", "0 0 120 100");
  chart.setAttribute("preserveAspectRatio", "none");
  for (const point of shown) {
    const height = (point.ventas / highest) * 100;
    svg(chart, "rect", { x: 119 - (last - point.t_ms) / 1000, y: 100 - height, width: 0.8, height });
  }
}

function drawHistory(points) {
  const chart = byId("history");
  chart.replaceChildren();
  const time = (ms) => new Date(ms).toLocaleTimeString(locale());
  byId("history-from").textContent = points.length ? time(points[0].t_ms) : "";
  byId("history-to").textContent = points.length ? time(points[points.length - 1].t_ms) : "";
  if (points.length < 2) return;
  const prices = points.map((point) => Number(point.precio));
  const low = Math.min(...prices), high = Math.max(...prices);
  const y = (price) => 96 - ((price - low) / (high - low || 1)) * 92;
  chart.setAttribute("viewBox", "0 0 1000 100");
  chart.setAttribute("preserveAspectRatio", "none");
  const step = 1000 / (points.length - 1);
  svg(chart, "path", { d: prices.map((price, n) => (n ? "L" : "M") + (n * step).toFixed(1) + " " + y(price).toFixed(1)).join("") });
}

function show() {
  root.lang = language;
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = TEXTS[language][element.dataset.t];
  byId("language").textContent = TEXTS[language].other;
  const data = latest || {};
  const chosen = (data.categorias || []).find((c) => c.categoria === category) || {};
  for (const element of document.querySelectorAll("main [data-f][data-key], .bar [data-key], main [data-key]:not([data-f])")) {
    if (!element.closest(".bars")) put(element, at(data, element.dataset.key));
  }
  for (const element of document.querySelectorAll("[data-ckey]")) {
    element.dataset.key = "categorias." + category + "." + element.dataset.ckey;
    put(element, at(chosen, element.dataset.ckey));
  }
  bars(byId("bars"), CATEGORIES.map((name) => {
    const found = (data.categorias || []).find((c) => c.categoria === name);
    return { name, key: "reportes." + name, value: found ? found.ventas : null };
  }));
  bars(byId("top"), (data.productos || []).map((p) => ({ name: p.producto_id, key: "productos." + p.producto_id, value: p.unidades })));
  bars(byId("countries"), (at(data, "clima.paises") || []).map((c) => ({ name: c.pais, key: "clima." + c.pais, value: c.reportes })));
  drawSeries(data.serie || []);
  drawHistory(chosen.historial || []);
  for (const button of byId("chooser").children) button.setAttribute("aria-pressed", button.dataset.category === category);
  warn();
}

function warn() {
  const banner = byId("banner");
  const stale = trouble !== null && (latest !== null || performance.now() > 3000);
  document.body.classList.toggle("stale", stale);
  banner.hidden = !stale;
  if (stale) banner.textContent = TEXTS[language][trouble] + " " + (received ? age(Math.round(performance.now() - received)) : "–");
}

function listen() {
  const events = new EventSource("/events");
  events.addEventListener("resumen", (event) => {
    latest = JSON.parse(event.data);
    received = performance.now();
    trouble = null;
    show();
  });
  events.addEventListener("estado", () => { trouble = "away"; warn(); });
  events.onerror = () => {
    trouble = "lost";
    warn();
    // A browser gives up after an answer that is no stream; we do not.
    if (events.readyState === EventSource.CLOSED) setTimeout(listen, 1000);
  };
}

for (const name of CATEGORIES) {
  const button = document.createElement("button");
  button.type = "button";
  button.dataset.category = name;
  button.textContent = name;
  button.addEventListener("click", () => {
    category = name;
    history.replaceState(null, "", "?categoria=" + name);
    show();
  });
  byId("chooser").append(button);
}
byId("language").addEventListener("click", () => {
  language = language === "es" ? "en" : "es";
  localStorage.setItem("language", language);
  show();
});
byId("theme").textContent = "◐";
byId("theme").addEventListener("click", () => {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});
if (localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme");
setInterval(warn, 1000);
show();
listen();
