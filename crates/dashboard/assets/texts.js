// Words and formats, in Spanish and English. Words for values have the values' own names in the API.

const TEXTS = {
  es: {
    other: "English", state: "Estado", pause: "Pausa", paused: "En pausa desde las", screen: "Pantalla completa", range: "Tiempo que se muestra",
    theme_auto: "Tema: automático", theme_light: "Tema: claro", theme_dark: "Tema: oscuro", freshness: "Última venta contada:", connecting: "Conectando…", waiting: "Esperando la primera venta…", all: "Todas las categorías", category: "Categoría",
    ventas: "Ventas", unidades: "Unidades", ingresos: "Ingresos", precio_maximo: "Precio más alto", precio_minimo: "Precio más bajo",
    rate: "Ventas por segundo", minute: "último minuto", before: "vs. anterior", peak: "máximo en", highest: "máximo", quiet: "sin ventas en este tiempo", table: "Tabla", value: "valor", series: "Ventas por segundo", mas_vendido: "Más vendido", menos_vendido: "Menos vendido",
    reports: "Reportes por categoría", top: "Productos más vendidos (unidades)", topOf: "Más vendidos de la categoría (unidades)", now: "ahora",
    precio_promedio: "Precio promedio", cantidad_promedio: "Cantidad promedio", history: "Historial de precios", clima: "Reportes del clima",
    time: "hora de aceptación", price: "precio", sales: "ventas", band: "Línea: promedio. Banda: del más bajo al más alto.", precios: "Historial de precios", perSecond: "ventas/s", none: "sin ventas en esta categoría",
    lost: "Sin conexión con el servidor.", full: "El servidor no admite más páginas por ahora.", silent: "El servidor no da señales.", ausente: "Valkey no responde.", ilegible: "Valkey tiene datos que no se pueden leer.",
    agree: "Valkey y Redis coinciden", differ: "≠ Valkey y Redis no coinciden", redis: "Redis", redis_ausente: "Redis no responde.", redis_ilegible: "Redis tiene datos que no se pueden leer.",
    asOf: "Los números son de las", nothing: "Todavía no hay números.", unreadable: "No se pudo leer, y se muestra «–» (también en los totales):",
    categories: { Electronica: "Electrónica", Ropa: "Ropa", Hogar: "Hogar", Belleza: "Belleza" },
  },
  en: {
    other: "Español", state: "State", pause: "Pause", paused: "Paused at", screen: "Full screen", range: "Time shown",
    theme_auto: "Theme: automatic", theme_light: "Theme: light", theme_dark: "Theme: dark", freshness: "Last counted sale:", connecting: "Connecting…", waiting: "Waiting for the first sale…", all: "All categories", category: "Category",
    ventas: "Sales", unidades: "Units", ingresos: "Revenue", precio_maximo: "Highest price", precio_minimo: "Lowest price",
    rate: "Sales per second", minute: "last minute", before: "vs. previous", peak: "peak in", highest: "highest", quiet: "no sales in this time", table: "Table", value: "value", series: "Sales per second", mas_vendido: "Most sold", menos_vendido: "Least sold",
    reports: "Reports by category", top: "Most sold products (units)", topOf: "Best sellers of the category (units)", now: "now",
    precio_promedio: "Average price", cantidad_promedio: "Average quantity", history: "Price history", clima: "Weather reports",
    time: "time of acceptance", price: "price", sales: "sales", band: "Line: mean. Band: from lowest to highest.", precios: "Price history", perSecond: "sales/s", none: "no sales in this category",
    lost: "No connection to the server.", full: "The server takes no more pages for now.", silent: "The server is silent.", ausente: "Valkey does not answer.", ilegible: "Valkey holds data that cannot be read.",
    agree: "Valkey and Redis agree", differ: "≠ Valkey and Redis differ", redis: "Redis", redis_ausente: "Redis does not answer.", redis_ilegible: "Redis holds data that cannot be read.",
    asOf: "The numbers are from", nothing: "There are no numbers yet.", unreadable: "Could not be read, and shown as “–” (in totals, too):",
    categories: { Electronica: "Electronics", Ropa: "Clothing", Hogar: "Home", Belleza: "Beauty" },
  },
};
const LOCALES = { es: "es-GT", en: "en-US" };
/** An ISO code, or nothing; and for how many seconds the store keeps the sales of each second. */
const { currency } = document.documentElement.dataset;
export const kept = Number(document.documentElement.dataset.kept);

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

/** An exact amount, with the sign of its currency where that is configured. */
export function money(value) {
  if (!currency) return number(value);
  const [whole, fraction = ""] = String(value).split(".");
  const places = { minimumFractionDigits: fraction.length, maximumFractionDigits: fraction.length };
  const format = new Intl.NumberFormat(LOCALES[language], { style: "currency", currency, ...places });
  return format.formatToParts(BigInt(whole)).map((part) => (part.type === "fraction" ? fraction : part.value)).join("");
}

const percent = (value, options) =>
  new Intl.NumberFormat(LOCALES[language], { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1, ...options }).format(value);

/** A part of a whole, in percent. */
export const share = (part) => percent(part);

/** By how much a number is more than another, in percent with its sign. */
export const change = (from, to) => percent((to - from) / from, { signDisplay: "exceptZero" });

/** What amounts are in, behind the name of an axis that has them. */
export const inCurrency = (name) => (currency ? `${name} (${currency})` : name);

/** A length of time. */
export const span = (seconds) => (seconds % 60 ? `${seconds} s` : `${seconds / 60} min`);

/** How long ago; with a minus if the clock of who accepted it is ahead of the server's. */
export function age(ms) {
  const sign = Math.round(ms) < 0 ? "−" : "";
  const seconds = Math.floor(Math.abs(ms) / 1000);
  if (seconds < 1) return text("now");
  const long = seconds < 60 ? `${seconds} s` : seconds < 3600 ? `${Math.floor(seconds / 60)} min`
    : seconds < 172800 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
  return language === "es" ? `hace ${sign}${long}` : `${sign}${long} ago`;
}

const format = (ms, options) => new Date(ms).toLocaleString(LOCALES[language], { hourCycle: "h23", ...options });
const isSameDay = (a, b) => new Date(a).toDateString() === new Date(b).toDateString();

export const clock = (ms) => format(ms, { timeStyle: "medium" });

/** Time of day; with the date if that is not today. */
export const moment = (ms) => (isSameDay(ms, Date.now()) ? clock(ms) : format(ms, { dateStyle: "medium", timeStyle: "medium" }));

/** What is written below a time axis from one instant to another: its title, and an instant. */
export function timeAxis(from, to) {
  if (!isSameDay(from, to)) return { title: text("time"), label: (ms) => format(ms, { dateStyle: "short", timeStyle: "short" }) };
  const day = isSameDay(to, Date.now()) ? "" : `, ${format(to, { dateStyle: "medium" })}`;
  const label = to - from < 5000 ? (ms) => `${clock(ms)}.${Math.floor((ms % 1000) / 100)}` : clock;
  return { title: text("time") + day, label };
}

/** What a name in `ilegibles` means. */
export function title(path) {
  const parts = path.split(".");
  const known = parts.map((part) => categoryName(part) || text(part) || part);
  return known.filter((_, n) => !["categorias", "paises", "total"].includes(parts[n])).join(" · ");
}
