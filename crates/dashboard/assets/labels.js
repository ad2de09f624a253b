// Labels of two lines at the most. A longer one loses its middle, for where ids differ is at their ends; its title has all of it,
// and so has a click or a tap.

const LINES = 2;
/** Of each label: the whole text, and the width it was cut for. */
const labels = new WeakMap();

function cut(letters, kept) {
  const head = Math.ceil(kept * 0.6);
  return `${letters.slice(0, head).join("")}…${letters.slice(letters.length - (kept - head)).join("")}`;
}

/** As many letters as two lines have room for. */
function fit(element, whole) {
  const most = parseFloat(getComputedStyle(element).lineHeight) * LINES + 1;
  const fits = (text) => {
    element.textContent = text;
    return element.scrollHeight <= most;
  };
  if (fits(whole)) return element.removeAttribute("title");
  element.title = whole;
  const letters = [...whole];
  let low = 2, high = letters.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (fits(cut(letters, middle))) low = middle; else high = middle - 1;
  }
  element.textContent = cut(letters, low);
}

/** Writes a label, if it is another text or has another room than before. */
export function writeLabel(element, whole) {
  const last = labels.get(element), width = element.clientWidth;
  if (last?.whole === whole && last.width === width) return;
  if (!last) {
    element.classList.add("label");
    element.addEventListener("click", () => toggle(element));
  }
  fit(element, whole);
  labels.set(element, { whole, width: element.clientWidth });
}

function toggle(element) {
  const { whole } = labels.get(element);
  if (!element.title) return;
  if (element.textContent === whole) fit(element, whole); else element.textContent = whole;
}

/** Cuts all labels for the room that they have now. */
export function fitLabels() {
  for (const element of document.querySelectorAll(".label")) writeLabel(element, labels.get(element).whole);
}
