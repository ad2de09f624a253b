// Charts and bars. Every number written at an axis is one of the data, or the zero of the scale.
import { number, text, timeAxis } from "./texts.js";

const MARGIN = { left: 70, right: 14, top: 22, bottom: 40 };

function add(parent, tag, attributes, content) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const name in attributes) node.setAttribute(name, attributes[name]);
  if (content !== undefined) node.textContent = content;
  parent.append(node);
  return node;
}

/** An empty chart: axes, their titles and the texts at their ends. Returns the place for marks. */
function axes(chart, title, isEmpty, y, x) {
  const width = chart.clientWidth, height = chart.clientHeight;
  chart.replaceChildren();
  chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const area = { left: MARGIN.left, right: width - MARGIN.right, top: MARGIN.top, bottom: height - MARGIN.bottom };
  add(chart, "line", { class: "axis", x1: area.left, x2: area.right, y1: area.bottom, y2: area.bottom });
  add(chart, "line", { class: "axis", x1: area.left, x2: area.left, y1: area.top, y2: area.bottom });
  add(chart, "text", { x: 0, y: 11 }, y.title);
  add(chart, "text", { x: (area.left + area.right) / 2, y: height - 3, "text-anchor": "middle" }, x.title);
  y.ticks.forEach(([share, label]) => {
    const at = area.bottom - share * (area.bottom - area.top);
    add(chart, "line", { class: "axis", x1: area.left, x2: area.right, y1: at, y2: at });
    add(chart, "text", { x: area.left - 8, y: at + 4, "text-anchor": "end" }, label);
  });
  x.ends.forEach((label, n) => add(chart, "text", { x: n ? area.right : area.left, y: area.bottom + 17, "text-anchor": n ? "end" : "start" }, label));
  chart.setAttribute("aria-label", `${title}: ${[...y.ticks.map(([, label]) => label), ...x.ends].join(", ") || (isEmpty ? text("none") : "")}`);
  if (isEmpty) add(chart, "text", { x: (area.left + area.right) / 2, y: height / 2, "text-anchor": "middle" }, text("none"));
  return area;
}

const times = (points, from, to) => (points.length ? timeAxis(from, to) : { title: text("time"), ends: [] });

/** Sales per second: a bar for each second, over the last half to three minutes. Null: not known yet. */
export function drawSeries(chart, known) {
  const points = known ?? [];
  const last = points.length ? points[points.length - 1].t_ms : 0;
  const span = Math.min(180000, Math.max(30000, points.length ? last - points[0].t_ms + 1000 : 0));
  const first = last + 1000 - span;
  const shown = points.filter((point) => point.t_ms >= first);
  const highest = shown.reduce((most, point) => Math.max(most, point.ventas), 0);
  const ticks = shown.length ? [[0, number(0)], [1, number(highest)]] : [];
  const area = axes(chart, text("series"), known?.length === 0, { title: text("perSecond"), ticks }, times(shown, first, last));
  const second = ((area.right - area.left) * 1000) / span;
  for (const point of shown) {
    const height = (point.ventas / highest) * (area.bottom - area.top);
    const x = area.left + ((point.t_ms - first) / 1000) * second;
    add(chart, "rect", { class: "mark", x, y: area.bottom - height, width: Math.max(1, second * 0.8), height });
  }
}

/** Prices over time: a dot for each sale. Null: not known yet. */
export function drawHistory(chart, known) {
  const points = known ?? [];
  const byPrice = [...points].sort((a, b) => Number(a.precio) - Number(b.precio));
  const low = byPrice[0], high = byPrice[byPrice.length - 1];
  const spread = points.length ? Number(high.precio) - Number(low.precio) : 0;
  const share = (price) => (spread ? (Number(price) - Number(low.precio)) / spread : 0.5);
  const ticks = points.length ? (spread ? [low, high] : [low]).map((point) => [share(point.precio), number(point.precio)]) : [];
  const from = points.length ? points[0].t_ms : 0;
  const span = points.length ? points[points.length - 1].t_ms - from : 0;
  const area = axes(chart, text("history"), known?.length === 0, { title: text("price"), ticks }, times(points, from, from + span));
  const dot = (point) => {
    const x = area.left + (span ? (point.t_ms - from) / span : 0) * (area.right - area.left);
    return `M${x.toFixed(1)} ${(area.bottom - share(point.precio) * (area.bottom - area.top)).toFixed(1)}h0`;
  };
  add(chart, "path", { class: "dots", d: points.map(dot).join("") });
}

/** A bar for each of `rows` of name, key and value. */
export function drawBars(element, rows, put) {
  const highest = Math.max(1, ...rows.map((row) => row.value ?? 0));
  element.replaceChildren(...rows.map((row) => {
    const line = document.createElement("div"), name = document.createElement("span"), value = document.createElement("b");
    line.className = "row";
    name.textContent = name.title = row.name;
    const bar = add(line, "svg", { viewBox: "0 0 100 1", preserveAspectRatio: "none", "aria-hidden": "true" });
    add(bar, "rect", { width: ((row.value ?? 0) / highest) * 100, height: 1 });
    Object.assign(value.dataset, { key: row.key, f: "number" });
    put(value, row.value);
    line.prepend(name);
    line.append(value);
    return line;
  }));
}
