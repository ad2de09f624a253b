// Words and formats, in Spanish and English. Words for values have the values' own names in the API.

const TEXTS = {
  es: {
    other: "English", freshness: "Última venta contada hace", all: "Todas las categorías", category: "Categoría",
    ventas: "Ventas", unidades: "Unidades", ingresos: "Ingresos", precio_maximo: "Precio más alto", precio_minimo: "Precio más bajo",
    rate: "Ventas por segundo", peak: "máximo", series: "Ventas por segundo", mas_vendido: "Más vendido", menos_vendido: "Menos vendido",
    reports: "Ventas por categoría", top: "Productos más vendidos (unidades)", topOf: "Más vendidos de la categoría (unidades)",
    precio_promedio: "Precio promedio", cantidad_promedio: "Cantidad promedio", history: "Historial de precios", clima: "Reportes del clima",
    time: "hora de aceptación", price: "precio", perSecond: "ventas/s", none: "sin datos",
    lost: "Sin conexión con el servidor.", silent: "El servidor no da señales.", ausente: "Valkey no responde.", ilegible: "Valkey tiene datos que no se pueden leer.",
    asOf: "Los números son de las", nothing: "Todavía no hay números.", unreadable: "No se pudo leer, y se muestra «–» (también en los totales):",
    categories: { Electronica: "Electrónica", Ropa: "Ropa", Hogar: "Hogar", Belleza: "Belleza" },
  },
  en: {
    other: "Español", freshness: "Last counted sale", all: "All categories", category: "Category",
    ventas: "Sales", unidades: "Units", ingresos: "Revenue", precio_maximo: "Highest price", precio_minimo: "Lowest price",
    rate: "Sales per second", peak: "peak", series: "Sales per second", mas_vendido: "Most sold", menos_vendido: "Least sold",
    reports: "Sales by category", top: "Most sold products (units)", topOf: "Most sold of the category (units)",
    precio_promedio: "Average price", cantidad_promedio: "Average quantity", history: "Price history", clima: "Weather reports",
    time: "time of acceptance", price: "price", perSecond: "sales/s", none: "no data",
    lost: "No connection to the server.", silent: "The server gives no sign of life.", ausente: "Valkey does not answer.", ilegible: "Valkey holds data that cannot be read.",
    asOf: "The numbers are from", nothing: "There are no numbers yet.", unreadable: "Could not be read, and shown as “–” (in totals, too):",
    categories: { Electronica: "Electronics", Ropa: "Clothing", Hogar: "Home", Belleza: "Beauty" },
  },
};
const LOCALES = { es: "es-GT", en: "en-US" };

const asked = new URLSearchParams(location.search).get("lang") || navigator.language;
export let language = asked.toLowerCase().startsWith("es") ? "es" : "en";
export const switchLanguage = () => (language = language === "es" ? "en" : "es");
export const text = (name) => TEXTS[language][name];
export const categoryName = (name) => TEXTS[language].categories[name];

/** Groups the digits of exact decimal text, without a detour over floating point. */
export function number(value) {
  const [whole, fraction] = String(value).split(".");
  const digits = new Intl.NumberFormat(LOCALES[language]);
  const point = digits.formatToParts(1.5).find((part) => part.type === "decimal").value;
  return digits.format(BigInt(whole)) + (fraction === undefined ? "" : point + fraction);
}

/** How long ago; negative if the clock of who accepted it is ahead of the server's. */
export function age(ms) {
  if (Math.round(ms) < 0) return "−" + age(-ms);
  const ago = language === "en" ? " ago" : "";
  if (ms < 1000) return Math.round(ms) + " ms" + ago;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return seconds + " s" + ago;
  if (seconds < 3600) return Math.floor(seconds / 60) + " min" + ago;
  return (seconds < 172800 ? Math.floor(seconds / 3600) + " h" : Math.floor(seconds / 86400) + " d") + ago;
}

const format = (ms, options) => new Date(ms).toLocaleString(LOCALES[language], { hourCycle: "h23", ...options });
const isSameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

const clock = (ms) => format(ms, { timeStyle: "medium" });

/** Time of day; with the date if that is not today. */
export const moment = (ms) => (isSameDay(ms, Date.now()) ? clock(ms) : format(ms, { dateStyle: "medium", timeStyle: "medium" }));

/** What is written below a time axis from one instant to another: its title, and the two ends. */
export function timeAxis(from, to) {
  if (!isSameDay(from, to)) return { title: text("time"), ends: [from, to].map((ms) => format(ms, { dateStyle: "short", timeStyle: "short" })) };
  const day = isSameDay(to, Date.now()) ? "" : `, ${format(to, { dateStyle: "medium" })}`;
  return { title: text("time") + day, ends: (from === to ? [from] : [from, to]).map(clock) };
}

/** What a name in `ilegibles` means. */
export function title(path) {
  const parts = path.split(".");
  const known = parts.map((part) => categoryName(part) || text(part) || part);
  return known.filter((_, n) => !["categorias", "paises", "total"].includes(parts[n])).join(" · ");
}
