// The building from above, north up, lengths in metres: floor plan, navigation graph, where the
// agents should have gone, where they went, and what they look at.

import { metres, svg } from "viewer/svg.js";

const MARGIN = 1.4, GOAL_RADIUS = 3;

export class FloorMap {
  #scene;
  #points;
  #cones = [];
  storey = 0;

  constructor(scene) {
    this.#scene = scene;
    this.#points = new Map(Object.entries(scene.viewpoints));
  }

  get storeys() {
    return this.#scene.storeys;
  }

  storeyOf(viewpoint) {
    return this.#points.get(viewpoint)[3];
  }

  // `walks`: [{trace, step, second, look}]; `go(viewpoint)` is called for a clicked viewpoint.
  draw(walks, { way, go }) {
    const drawing = svg("svg", {
      class: "map",
      viewBox: this.#box(way),
      role: "img",
      "aria-label": this.#description(walks, way),
    });
    const here = (viewpoint) => this.storeyOf(viewpoint) === this.storey;
    const { rooms, names } = this.#plan();
    drawing.append(...rooms);
    for (const [one, other] of this.#scene.edges) {
      if (here(one) || here(other)) drawing.append(this.#line([one, other], "edge"));
    }
    if (way && way.length > 1) drawing.append(...this.#way(way, here));
    for (const walk of walks) drawing.append(...this.#walked(walk, here));
    for (const [viewpoint, [x, y, , storey]] of this.#points) {
      if (Math.abs(storey - this.storey) > 0) continue;
      const node = svg("circle", {
        class: go ? "node clickable" : "node",
        cx: x,
        cy: -y,
        r: 0.17,
        "data-viewpoint": viewpoint,
      });
      if (go) node.addEventListener("click", () => go(viewpoint));
      drawing.append(node);
    }
    drawing.append(...names);
    this.#cones = [];
    for (const walk of walks) drawing.append(...this.#body(walk, here));
    return drawing;
  }

  // Turns the cone of an agent to where its panorama looks.
  turn(second, heading, across) {
    for (const cone of this.#cones) {
      if (cone.second === second) cone.path.setAttribute("d", wedge(cone.x, cone.y, heading, across));
    }
  }

  #box(way) {
    const shapes = [...this.#points.values()].map(([x, y]) => [x, -y]);
    if (way?.length > 1) {
      const [x, y] = this.#points.get(way.at(-1));
      shapes.push([x - GOAL_RADIUS, -y - GOAL_RADIUS], [x + GOAL_RADIUS, -y + GOAL_RADIUS]);
    }
    for (const room of this.#scene.plan?.rooms ?? []) {
      shapes.push([room.x0, -room.y0], [room.x1, -room.y1]);
    }
    const [xs, ys] = [0, 1].map((axis) => shapes.map((shape) => shape[axis]));
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const margin = this.#scene.plan ? 0.3 : MARGIN;
    const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
    return [left - margin, top - margin, width + 2 * margin, height + 2 * margin].join(" ");
  }

  #plan() {
    const plan = this.#scene.plan;
    if (!plan) return { rooms: [], names: [] };
    const own = (part) => part.storey === this.storey;
    const rooms = plan.rooms.filter(own).map((room) =>
      svg("rect", {
        class: "room",
        x: room.x0,
        y: -room.y1,
        width: room.x1 - room.x0,
        height: room.y1 - room.y0,
      }),
    );
    const names = plan.rooms.filter(own).map((room) =>
      svg(
        "text",
        {
          class: "kind",
          x: (room.x0 + room.x1) / 2,
          y: 0.62 - room.y1,
          "font-size": Math.min(0.5, (1.6 * (room.x1 - room.x0)) / room.kind.length),
        },
        room.kind,
      ),
    );
    const holes = plan.openings.filter(own).map((opening) => {
      const glass = opening.kind === "window";
      const ends =
        opening.axis === "x"
          ? { x1: opening.start, x2: opening.end, y1: -opening.position, y2: -opening.position }
          : { x1: opening.position, x2: opening.position, y1: -opening.start, y2: -opening.end };
      const shut = ["entrance", "closed door"].includes(opening.kind);
      return shut ? null : svg("line", { class: glass ? "window" : "gap", ...ends });
    });
    return { rooms: [...rooms, ...holes.filter(Boolean)], names };
  }

  #way(way, here) {
    const [startX, startY] = this.#points.get(way[0]);
    const [goalX, goalY] = this.#points.get(way.at(-1));
    return [
      svg("circle", { class: "goal", cx: goalX, cy: -goalY, r: GOAL_RADIUS }),
      this.#line(way, "reference"),
      here(way[0])
        ? svg("rect", { class: "start", x: startX - 0.28, y: -startY - 0.28, width: 0.56, height: 0.56 })
        : null,
      svg("path", { class: "flag", d: `M${goalX} ${-goalY} v-1.3 l.95 .35 l-.82 .35 v.6 z` }),
    ].filter(Boolean);
  }

  #walked({ trace, step, second }) {
    const viewpoints = trace.steps.map((one) => one.viewpoint);
    const kind = second ? "two" : "one";
    return [
      this.#line(viewpoints.slice(step), `walked ahead ${kind}`),
      this.#line(viewpoints.slice(0, step + 1), `walked ${kind}`),
    ];
  }

  #body({ trace, step, second, look }, here) {
    const viewpoint = trace.steps[step].viewpoint;
    if (!here(viewpoint)) return [];
    const [x, y] = this.#points.get(viewpoint);
    const kind = second ? "two" : "one";
    const path = svg("path", { class: `cone ${kind}`, d: wedge(x, -y, look.heading, look.across) });
    this.#cones.push({ second, path, x, y: -y });
    const body = second
      ? svg("rect", { x: x - 0.22, y: -y - 0.22, width: 0.44, height: 0.44, class: `body ${kind}` })
      : svg("circle", { cx: x, cy: -y, r: 0.38, class: `body ${kind}` });
    return [path, body];
  }

  #line(viewpoints, kind) {
    const points = viewpoints.map((viewpoint) => this.#points.get(viewpoint));
    return svg("polyline", { class: kind, points: points.map(([x, y]) => `${x},${-y}`).join(" ") });
  }

  #description(walks, way) {
    const parts = walks.map(({ trace, step }) => {
      const far = trace.steps[step].distance_to_goal;
      const goal = far == null || !way ? "" : `, ${metres(far)} from the goal`;
      return `${trace.agent} has gone ${step} steps${goal}`;
    });
    return `Map of ${this.#scene.scan}: ${parts.join("; ")}.`;
  }
}

function wedge(x, y, heading, across) {
  const end = (angle) => `${x + 2.4 * Math.sin(angle)} ${y - 2.4 * Math.cos(angle)}`;
  const half = Math.min(across, 2.6) / 2;
  return `M${x} ${y} L${end(heading - half)} A2.4 2.4 0 0 1 ${end(heading + half)} Z`;
}
