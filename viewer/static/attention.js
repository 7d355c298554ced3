// Display strength of attention weights: 0 up to the uniform weight, 1 at the largest weight or at
// 2.5 times the uniform weight, whichever is more. Uniform attention therefore stays invisible.

import { percent, svg } from "viewer/elements.js";

const FULL = 2.5; // times the uniform weight
const VIEWS = 36, STEP = Math.PI / 6;
const LABELLED = 0.25; // strength from which a view is labelled with its weight
const MOST_LABELS = 5;

// `count` is the number of items that share the attention.
export function strengths(weights, count = weights.length) {
  const uniform = 1 / count;
  const top = Math.max(FULL * uniform, ...weights);
  return weights.map((weight) => Math.max(0, weight - uniform) / (top - uniform));
}

// Labels with the weights of the views that have the most attention, at their upper edges.
export class ViewWeights {
  #layer;
  #panorama;
  #labels = [];

  constructor(layer, panorama) {
    this.#layer = layer;
    this.#panorama = panorama;
  }

  // Shows the weights of the 36 views; null removes the labels.
  show(weights) {
    const byView = weights ? strengths(weights) : [];
    const order = byView.map((strength, view) => [strength, view]).sort(([a], [b]) => b - a);
    this.#labels = order
      .slice(0, MOST_LABELS)
      .filter(([strength]) => strength >= LABELLED)
      .map(([, view]) => ({ view, text: svg("text", { class: "weight" }, percent(weights[view])) }));
    this.#layer.replaceChildren(...this.#labels.map(({ text }) => text));
    this.place();
  }

  // Moves the labels to their places in the current picture.
  place() {
    for (const { view, text } of this.#labels) {
      const upperEdge = STEP * (Math.floor(view / 12) - 1 + 0.5);
      const pixel = this.#panorama.project(STEP * (view % 12), upperEdge);
      const visible = pixel.ahead && Number.isFinite(pixel.x); // a hidden page has no width
      text.setAttribute("visibility", visible ? "visible" : "hidden");
      if (!visible) continue;
      text.setAttribute("x", pixel.x.toFixed(1));
      text.setAttribute("y", (pixel.y + 22).toFixed(1));
    }
  }
}

// Legend of the outlines, from the uniform weight (no outline) to the largest weight.
export function attentionScale(weights) {
  const uniform = 1 / VIEWS;
  const top = Math.max(FULL * uniform, ...weights);
  const samples = [0.1, 0.4, 0.7, 1].map((strength, index) => {
    const width = 1 + 4 * strength;
    const colour = `color-mix(in srgb, #ffa80d ${100 * strength}%, #ffe69e)`;
    return svg("rect", {
      ...{ x: 28 * index + width / 2, y: width / 2, width: 24 - width, height: 18 - width },
      style: `fill: none; stroke: ${colour}; stroke-width: ${width}`,
    });
  });
  return [
    "attention per view",
    percent(uniform),
    svg("svg", { viewBox: "0 0 108 18", width: 108, height: 18, "aria-hidden": true }, ...samples),
    percent(top),
  ];
}
