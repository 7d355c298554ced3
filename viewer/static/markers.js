// Candidate markers on the floor, with probability and distance, or number and distance.

import { drawingScale, metres, firstClick, percent, replaceKeepingFocus, svg } from "viewer/elements.js";

export const RADIUS = 25;
const MARGIN = 30, ARROW = 36, TOP = 60; // pixels

export class Markers {
  #layer;
  #panorama;
  #markers = [];

  constructor(layer, panorama) {
    this.#layer = layer;
    this.#panorama = panorama;
  }

  // Shows the candidates of a step; `choose(k)` is called when marker k (from 1) is clicked.
  show(step, choose) {
    this.#markers = step.candidates.map((candidate, index) => ({
      candidate,
      group: marker(step, index + 1, choose),
      chosen: step.action === index + 1,
    }));
    // Drawing order: near markers cover far ones, and the chosen one covers all others.
    const order = [...this.#markers].sort(
      (a, b) => a.chosen - b.chosen || b.candidate.distance - a.candidate.distance,
    );
    replaceKeepingFocus(this.#layer, order.map(({ group }) => group), sameMarker);
    this.place();
  }

  // Moves the markers to their places in the current picture.
  place() {
    const { clientWidth: width, clientHeight: height } = this.#layer;
    const size = drawingScale();
    const margin = MARGIN * size;
    for (const { candidate, group } of this.#markers) {
      const pixel = this.#panorama.project(candidate.heading, candidate.floor);
      const inside = pixel.ahead && pixel.x > 0 && pixel.x < width;
      const side = inside ? "" : pixel.turn < 0 ? "left" : "right";
      group.dataset.side = side;
      const arrow = group.querySelector(".arrow");
      arrow.textContent = { left: "◀", right: "▶" }[side] ?? "";
      arrow.setAttribute("x", side === "left" ? -ARROW : ARROW);
      if (!inside) continue;
      const x = clamp(pixel.x, margin, width - margin);
      const y = clamp(pixel.y, TOP, height - margin);
      place(group, x, y, size);
    }
    this.#column("left", margin + 20 * size, size);
    this.#column("right", width - margin - 20 * size, size);
  }

  // Markers outside the picture are listed in a column at its edge.
  #column(side, x, size) {
    const column = this.#markers.filter(({ group }) => group.dataset.side === side);
    column.forEach(({ group }, index) => {
      const y = this.#layer.clientHeight * 0.55 + (index - (column.length - 1) / 2) * 60 * size;
      place(group, x, y, size);
    });
  }
}

// Returns the marker of candidate `number`, centred at the origin.
export function marker(step, number, choose) {
  const candidate = step.candidates[number - 1];
  const chosen = step.action === number;
  const known = candidate.probability != null;
  const text = known ? percent(candidate.probability) : `${number}`;
  const label =
    `Candidate ${number}, ${metres(candidate.distance)} away` +
    (known ? `, probability ${text}` : "") +
    (chosen ? ", chosen" : "");
  const circumference = 2 * Math.PI * RADIUS;
  return svg(
    "g",
    {
      class: chosen ? "marker chosen" : "marker",
      role: "button",
      tabindex: 0,
      "aria-label": label,
      "data-candidate": number,
      onclick: firstClick(() => choose(number)),
      onkeydown: (event) => {
        if (event.repeat || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault();
        choose(number);
      },
    },
    svg("title", {}, label),
    // Shown at the focus: two rings, of which one contrasts with any picture.
    svg("circle", { class: "ring outer", r: RADIUS + 7 }),
    svg("circle", { class: "ring inner", r: RADIUS + 4 }),
    svg("circle", { class: known ? "disc" : "disc plain", r: RADIUS }),
    known
      ? svg("circle", {
          class: "probability",
          r: RADIUS,
          transform: "rotate(-90)",
          "stroke-dasharray": `${candidate.probability * circumference} ${circumference}`,
        })
      : null,
    svg("text", { y: -1 }, text),
    svg("text", { y: 12, class: "length" }, metres(candidate.distance)),
    svg("text", { y: 5, class: "arrow" }),
  );
}

// Which new marker gets the focus of an old one: the chosen one if the old one was chosen, otherwise
// the one with the same number.
export function sameMarker(element, old) {
  const chosen = ({ classList }) => classList.contains("chosen");
  return chosen(old) ? chosen(element) : element.dataset.candidate === old.dataset.candidate;
}

function place(group, x, y, size) {
  group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size})`);
}

const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
