// Helpers that create HTML and SVG elements, and formatting of numbers.

export function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

export function html(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function fill(element, attributes, children) {
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

// Replaces the children of an element. If one of them had the focus, the new child for which
// `same(child, focused)` holds gets it; otherwise keyboard users would be sent back to the top.
export function replaceKeepingFocus(parent, children, same) {
  const focused = parent.contains(document.activeElement) ? document.activeElement : null;
  parent.replaceChildren(...children);
  if (!focused) return;
  const next = children.find((child) => same(child, focused)) ?? children.at(-1);
  next?.focus({ preventScroll: true });
}

// Replaces the children of an element by new ones with the same controls. If one of them had the
// focus, the control in its place gets it.
export function replaceKeepingPlace(parent, children) {
  const controls = () => [...parent.querySelectorAll("button, summary")];
  const place = controls().indexOf(document.activeElement);
  parent.replaceChildren(...children);
  controls()[place]?.focus({ preventScroll: true });
}

// Scale factor of drawings with a fixed size. viewer.css enlarges text from the same window width.
export const drawingScale = () => (innerWidth >= 2200 ? 1.3 : 1);

// Returns a listener that ignores the second click of a double click.
export function firstClick(listener) {
  return (event) => {
    if (event.detail < 2) listener(event);
  };
}

export const counted = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
export const percent = (share, digits = 0) => `${(100 * share).toFixed(digits)} %`;
export const degrees = (angle) => `${Math.round((angle * 180) / Math.PI + 360) % 360}°`;
export const metres = (length) => `${length.toFixed(1)} m`;
