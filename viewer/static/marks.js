// Marks on the floor where one can go: probability and distance, or number and distance.

import { magnified, metres, once, percent, refill, svg } from "viewer/svg.js";

export const RADIUS = 25;
const MARGIN = 30, ARROW = 36, TOP = 60;

export class Marks {
  #layer;
  #panorama;
  #marks = [];

  constructor(layer, panorama) {
    this.#layer = layer;
    this.#panorama = panorama;
  }

  // `choose(k)` is called for a mark that is clicked, k from 1.
  show(step, choose) {
    this.#marks = step.candidates.map((candidate, place) => ({
      candidate,
      group: mark(step, place + 1, choose),
      chosen: step.action === place + 1,
    }));
    // Far ones first, so that near ones lie on top, and the chosen one on top of all.
    const order = [...this.#marks].sort(
      (a, b) => a.chosen - b.chosen || b.candidate.distance - a.candidate.distance,
    );
    refill(this.#layer, order.map((one) => one.group), standsFor);
    this.place();
  }

  place() {
    const { clientWidth: width, clientHeight: height } = this.#layer;
    const size = magnified();
    const margin = MARGIN * size;
    for (const { candidate, group } of this.#marks) {
      const spot = this.#panorama.project(candidate.heading, candidate.floor);
      const inside = spot.ahead && spot.x > 0 && spot.x < width;
      const side = inside ? "" : spot.turn < 0 ? "left" : "right";
      group.dataset.side = side;
      const arrow = group.querySelector(".arrow");
      arrow.textContent = { left: "◀", right: "▶" }[side] ?? "";
      arrow.setAttribute("x", side === "left" ? -ARROW : ARROW);
      if (!inside) continue;
      const x = within(spot.x, margin, width - margin);
      const y = within(spot.y, TOP, height - margin);
      move(group, x, y, size);
    }
    this.#line("left", margin + 20 * size, size);
    this.#line("right", width - margin - 20 * size, size);
  }

  // What lies outside the picture stands in a column at its edge.
  #line(side, x, size) {
    const column = this.#marks.filter(({ group }) => group.dataset.side === side);
    column.forEach(({ group }, place) => {
      const y = this.#layer.clientHeight * 0.55 + (place - (column.length - 1) / 2) * 60 * size;
      move(group, x, y, size);
    });
  }
}

// The mark of candidate `number`, with its middle at the origin.
export function mark(step, number, choose) {
  const candidate = step.candidates[number - 1];
  const chosen = step.action === number;
  const known = candidate.probability != null;
  const share = known ? percent(candidate.probability) : `${number}`;
  const label =
    `Candidate ${number}, ${metres(candidate.distance)} away` +
    (known ? `, probability ${share}` : "") +
    (chosen ? ", chosen" : "");
  const round = 2 * Math.PI * RADIUS;
  return svg(
    "g",
    {
      class: chosen ? "mark chosen" : "mark",
      role: "button",
      tabindex: 0,
      "aria-label": label,
      "data-candidate": number,
      onclick: once(() => choose(number)),
      onkeydown: (event) => {
        if (event.repeat || (event.key !== "Enter" && event.key !== " ")) return;
        event.preventDefault();
        choose(number);
      },
    },
    svg("title", {}, label),
    svg("circle", { class: known ? "disc" : "disc plain", r: RADIUS }),
    known
      ? svg("circle", {
          class: "share",
          r: RADIUS,
          transform: "rotate(-90)",
          "stroke-dasharray": `${candidate.probability * round} ${round}`,
        })
      : null,
    svg("text", { y: -1 }, share),
    svg("text", { y: 12, class: "far" }, metres(candidate.distance)),
    svg("text", { y: 5, class: "arrow" }),
  );
}

// Who takes the chosen ways one by one stays on them; others stay with the number.
export function standsFor(mark, old) {
  const chosen = (one) => one.classList.contains("chosen");
  return chosen(old) ? chosen(mark) : mark.dataset.candidate === old.dataset.candidate;
}

function move(group, x, y, size) {
  group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)}) scale(${size})`);
}

const within = (value, low, high) => Math.min(high, Math.max(low, value));
