// Elements of HTML and SVG in one line each, and putting them into the page.

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

export function html(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

function filled(element, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value == null) continue;
    else if (key.startsWith("aria-")) element.setAttribute(key, String(value));
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children.filter((child) => child != null));
  return element;
}

// Puts new children in the place of the old ones. The focus goes to the one that is the same(new, old)
// as the one that had it: whoever uses the keyboard would have to begin at the top again.
export function refill(parent, children, same) {
  const old = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...children);
  if (old) (children.find((one) => same(one, old)) ?? children.at(-1))?.focus({ preventScroll: true });
}

// By how much drawings of fixed size are enlarged; text grows at the same width in viewer.css.
export const magnified = () => (innerWidth >= 2200 ? 1.3 : 1);

// Calls `act` for a click, but not again for the second click of a double click.
export function once(act) {
  return (event) => {
    if (event.detail < 2) act(event);
  };
}

export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const degrees = (angle) => `${Math.round((angle * 180) / Math.PI + 360) % 360}°`;
export const metres = (length) => `${length.toFixed(1)} m`;
