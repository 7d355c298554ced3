// Marks on the floor where one can go: probability and distance, or number and distance.

import { metres, percent, refill, svg } from "viewer/svg.js";

const RADIUS = 25, MARGIN = 30, ARROW = 36;

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
    this.#marks = step.candidates.map((candidate, place) => {
      const chosen = step.action === place + 1;
      return { candidate, group: this.#mark(candidate, place + 1, chosen, choose), chosen };
    });
    // Far ones first, so that near ones lie on top.
    const order = [...this.#marks].sort((a, b) => b.candidate.distance - a.candidate.distance);
    refill(this.#layer, order.map((mark) => mark.group), standsFor);
    this.place();
  }

  place() {
    const { clientWidth: width, clientHeight: height } = this.#layer;
    for (const { candidate, group } of this.#marks) {
      const spot = this.#panorama.project(candidate.heading, candidate.floor);
      const inside = spot.ahead && spot.x > 0 && spot.x < width;
      const side = inside ? "" : spot.turn < 0 ? "left" : "right";
      group.dataset.side = side;
      const arrow = group.querySelector(".arrow");
      arrow.textContent = { left: "◀", right: "▶" }[side] ?? "";
      arrow.setAttribute("x", side === "left" ? -ARROW : ARROW);
      if (!inside) continue;
      const x = within(spot.x, MARGIN, width - MARGIN);
      const y = within(spot.y, MARGIN + 30, height - MARGIN);
      group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
    }
    this.#line("left", MARGIN + 20);
    this.#line("right", width - MARGIN - 20);
  }

  // What lies outside the picture stands in a column at its edge.
  #line(side, x) {
    const column = this.#marks.filter(({ group }) => group.dataset.side === side);
    column.forEach(({ group }, place) => {
      const y = this.#layer.clientHeight * 0.55 + (place - (column.length - 1) / 2) * 60;
      group.setAttribute("transform", `translate(${x} ${y.toFixed(1)})`);
    });
  }

  #mark(candidate, number, chosen, choose) {
    const known = candidate.probability != null;
    const share = known ? percent(candidate.probability) : `${number}`;
    const label =
      `Candidate ${number}, ${metres(candidate.distance)} away` +
      (known ? `, probability ${share}` : "") +
      (chosen ? ", chosen" : "");
    const act = () => choose(number);
    const round = 2 * Math.PI * RADIUS;
    return svg(
      "g",
      {
        class: chosen ? "mark chosen" : "mark",
        role: "button",
        tabindex: 0,
        "aria-label": label,
        "data-candidate": number,
        onclick: act,
        onkeydown: (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          act();
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
}

// Who takes the chosen ways one by one stays on them; others stay with the number.
function standsFor(mark, old) {
  const chosen = (one) => one.classList.contains("chosen");
  return chosen(old) ? chosen(mark) : mark.dataset.candidate === old.dataset.candidate;
}

const within = (value, low, high) => Math.min(high, Math.max(low, value));
