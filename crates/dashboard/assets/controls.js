// What a visitor sets: language, light or dark, pause, full screen, and of how long the sales per second are shown. The address keeps
// what another visitor should find, too. And where Grafana is, if that is configured.
import { kept, language, span, switchLanguage, text } from "./texts.js";

const byId = (id) => document.getElementById(id);
const THEMES = ["auto", "light", "dark"];
/** Seconds of the series that a stream has; the rest is asked for. */
const STREAMED = 180;

let theme = THEMES.find((name) => name === new URLSearchParams(location.search).get("tema")) ?? "auto";

/** Seconds of the series that are shown. */
export let seconds = Math.min(STREAMED, kept);
/** Since when the numbers are held still, by the page's clock; null while they are not. */
export let pausedAt = null;

/** Ends the pause: what was chosen now is not in what is held. */
export function goOn() {
  pausedAt = null;
}

/** What the address has to say of it. */
export function addTo(query) {
  query.set("lang", language);
  if (theme === "auto") query.delete("tema"); else query.set("tema", theme);
}

/** Writes the buttons. */
export function labelControls() {
  if (theme === "auto") delete document.documentElement.dataset.theme; else document.documentElement.dataset.theme = theme;
  byId("language").textContent = text("other");
  byId("language").lang = language === "es" ? "en" : "es";
  byId("theme").textContent = text(`theme_${theme}`);
  byId("pause").setAttribute("aria-pressed", pausedAt !== null);
  for (const button of byId("ranges").children) {
    button.textContent = span(button.value);
    button.setAttribute("aria-pressed", Number(button.value) === seconds);
  }
}

/** Makes the buttons work: `changed` is called after any of them, `ranged` when another range was chosen. */
export function listenToControls(changed, ranged) {
  const on = (id, act) => byId(id).addEventListener("click", () => {
    act();
    changed();
  });
  on("language", switchLanguage);
  on("theme", () => { theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]; });
  on("pause", () => { pausedAt = pausedAt === null ? Date.now() : null; });
  byId("screen").hidden = !document.fullscreenEnabled;
  byId("screen").addEventListener("click", () => {
    const done = document.fullscreenElement ? document.exitFullscreen() : document.documentElement.requestFullscreen();
    // A browser may refuse; then the page stays as it is.
    done.catch(() => {});
  });
  const { grafana } = document.documentElement.dataset;
  if (grafana) Object.assign(byId("grafana"), { href: grafana, hidden: false });
  byId("ranges").hidden = kept <= STREAMED;
  for (const range of [STREAMED, kept]) {
    const button = Object.assign(document.createElement("button"), { type: "button", value: range });
    button.addEventListener("click", () => {
      seconds = range;
      ranged();
      changed();
    });
    byId("ranges").append(button);
  }
}

/** The series as it is shown: what the stream has, and before it what was asked for. */
export const series = {
  points: [],
  /** Asks for what the stream does not have, if it is wanted. */
  async fetch() {
    if (seconds <= STREAMED) return;
    try {
      const answer = await fetch(`/api/serie?n=${Math.min(1000, kept)}`);
      if (answer.ok) this.points = await answer.json();
    } catch {
      // The stream says that the server is away.
    }
  },
  /** Follows the stream: what it will not have later is kept, as long as it is wanted. */
  add(streamed) {
    const first = streamed[0]?.t_ms ?? 0, floor = (streamed.at(-1)?.t_ms ?? 0) - seconds * 1000;
    const earlier = this.points.filter((point) => point.t_ms < first && point.t_ms > floor);
    this.points = [...earlier, ...streamed];
  },
};
