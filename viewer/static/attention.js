// How strongly a weight of attention is marked: not at all up to an even share, fully at the
// largest weight, or at two and a half even shares if none is as large. Even attention so stays pale.

import { percent, svg } from "viewer/svg.js";

const FULL = 2.5;
const VIEWS = 36, STEP = Math.PI / 6;
const NAMED = 0.25; // strength from which a view carries its weight as text
const MOST_NAMED = 5;

export function strengths(weights, count = weights.length) {
  const even = 1 / count;
  const most = Math.max(FULL * even, ...weights);
  return weights.map((weight) => Math.max(0, weight - even) / (most - even));
}

// Weights written at the upper edge of the views that are attended to most.
export class ViewWeights {
  #layer;
  #panorama;
  #texts = [];

  constructor(layer, panorama) {
    this.#layer = layer;
    this.#panorama = panorama;
  }

  // Shows the weights of the 36 views, or none.
  show(weights) {
    const strong = weights ? strengths(weights) : [];
    const order = strong.map((strength, view) => [strength, view]).sort(([a], [b]) => b - a);
    this.#texts = order
      .slice(0, MOST_NAMED)
      .filter(([strength]) => strength >= NAMED)
      .map(([, view]) => ({ view, text: svg("text", { class: "weight" }, percent(weights[view])) }));
    this.#layer.replaceChildren(...this.#texts.map(({ text }) => text));
    this.place();
  }

  place() {
    for (const { view, text } of this.#texts) {
      const upper = STEP * (Math.floor(view / 12) - 1 + 0.5);
      const spot = this.#panorama.project(STEP * (view % 12), upper);
      const seen = spot.ahead && Number.isFinite(spot.x); // a hidden page has no width
      text.setAttribute("visibility", seen ? "visible" : "hidden");
      if (!seen) continue;
      text.setAttribute("x", spot.x.toFixed(1));
      text.setAttribute("y", (spot.y + 22).toFixed(1));
    }
  }
}

// What the outlines mean: from an even share, which has none, to the largest weight.
export function scale(weights) {
  const even = 1 / VIEWS;
  const most = Math.max(FULL * even, ...weights);
  const samples = [0.1, 0.4, 0.7, 1].map((strength, place) => {
    const width = 1 + 4 * strength;
    const light = `color-mix(in srgb, #ffa80d ${100 * strength}%, #ffe69e)`;
    return svg("rect", {
      ...{ x: 28 * place + width / 2, y: width / 2, width: 24 - width, height: 18 - width },
      style: `fill: none; stroke: ${light}; stroke-width: ${width}`,
    });
  });
  return [
    "attention per view",
    percent(even),
    svg("svg", { viewBox: "0 0 108 18", width: 108, height: 18, "aria-hidden": true }, ...samples),
    percent(most),
  ];
}
