// Outlines of the objects of a step, with the one that the agent points out and the target.

import { svg } from "viewer/elements.js";
import { turnBetween } from "viewer/motion.js";

// How an object is marked, or "" for one that is only visible.
export const role = ({ pointed, target }) =>
  [pointed && "pointed out", target && "target"].filter(Boolean).join(", ");

// Returns the direction of the object that the agent points out at a step, or undefined.
export function answerDirection(step) {
  const answer = step.objects.find(({ pointed }) => pointed);
  if (!answer) return undefined;
  const [[first]] = answer.corners;
  const turns = answer.corners.map(([heading]) => turnBetween(first, heading));
  const mean = (values) => values.reduce((a, b) => a + b) / values.length;
  return { heading: first + mean(turns), elevation: mean(answer.corners.map(([, up]) => up)) };
}

export class ObjectBoxes {
  #layer;
  #panorama;
  #boxes = [];

  constructor(layer, panorama) {
    this.#layer = layer;
    this.#panorama = panorama;
  }

  // Shows objects; marked ones are drawn last, with their names.
  show(objects) {
    const order = [...objects].sort((a, b) => role(a).length - role(b).length);
    this.#boxes = order.map((object) => {
      const shape = svg("path");
      const name = role(object) ? svg("text", {}, `${object.name}: ${role(object)}`) : null;
      const kind = `object ${object.pointed ? "pointed" : ""} ${object.target ? "target" : ""}`;
      const group = svg("g", { class: kind.trim() }, svg("title", {}, object.name), shape, name);
      return { object, shape, name, group };
    });
    this.#layer.replaceChildren(...this.#boxes.map(({ group }) => group));
    const marked = order.filter(role).map((object) => `${object.name} (${role(object)})`);
    const others = order.filter((object) => !role(object)).map(({ name }) => name);
    this.#layer.setAttribute("aria-label", `Objects: ${[...marked, ...others].join(", ")}`);
    this.place();
  }

  // Moves the outlines to their places in the current picture.
  place() {
    for (const { object, shape, name, group } of this.#boxes) {
      const corners = object.corners.map((corner) => this.#panorama.project(...corner));
      const visible = corners.every(({ ahead, x }) => ahead && Number.isFinite(x));
      group.setAttribute("visibility", visible ? "visible" : "hidden");
      if (!visible) continue;
      const points = corners.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`);
      shape.setAttribute("d", `M${points.join("L")}Z`);
      if (!name) continue;
      const [xs, ys] = [corners.map(({ x }) => x), corners.map(({ y }) => y)];
      const { clientWidth: width, clientHeight: height } = this.#layer;
      const [left, right] = [Math.min(...xs), Math.max(...xs)];
      if (right > 0 && left < width) {
        const half = name.getComputedTextLength() / 2 + 8;
        const x = Math.min(width - half, Math.max(half, (left + right) / 2));
        name.setAttribute("x", x.toFixed(1));
      }
      // Above the box, or inside it where the caption of the view is.
      const y = Math.min(...ys) - 8;
      name.setAttribute("y", (y < 56 ? Math.min(height - 12, Math.max(72, y + 26)) : y).toFixed(1));
    }
  }
}
