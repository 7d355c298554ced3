// The building from above, north up, lengths in metres: floor plan, navigation graph, where the
// agents should have gone, where they went, and what they look at.

import { RADIUS, mark } from "viewer/marks.js";
import { magnified, metres, once, svg } from "viewer/svg.js";

const MARGIN = 1.4, GOAL_RADIUS = 3;
const SMALLEST = 0.6; // size of marks that stand close together
const COARSE = 34; // pixels a metre up to which lines and bodies grow with the map

export class FloorMap {
  #scene;
  #points;
  #bodies = [];
  #thin = 1; // by which lines and bodies are thinner than in a small map
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

  // `walks`: [{trace, step, second, look}]. Of the options `go(viewpoint)` is called for a clicked
  // viewpoint. With `choose(number)` the map has marks of the first walk's candidates, and shows what
  // lies round the walks, in `size` [width, height] pixels.
  draw(walks, { way, go, choose, size }) {
    const box = choose ? this.#around(walks, way) : this.#whole(way);
    const scale = Math.max(box[2] / Math.max(1, size[0]), box[3] / Math.max(1, size[1]));
    this.#thin = Math.min(1, COARSE * magnified() * scale);
    const drawing = svg("svg", {
      class: "map",
      viewBox: box.join(" "),
      style: `--thin: ${this.#thin.toFixed(3)}`,
      role: choose ? "group" : "img",
      "aria-label": this.#description(walks, way),
    });
    const here = (viewpoint) => this.storeyOf(viewpoint) === this.storey;
    const { rooms, names } = this.#plan();
    drawing.append(...rooms);
    for (const [one, other] of this.#scene.edges) {
      if (here(one) || here(other)) drawing.append(this.#line([one, other], "edge"));
    }
    if (way && way.length > 1) drawing.append(...this.#way(way, here));
    for (const walk of walks) drawing.append(...this.#walked(walk));
    for (const [viewpoint, [x, y]] of this.#points) {
      if (here(viewpoint)) drawing.append(node(viewpoint, x, y, 0.17 * this.#thin, go));
    }
    drawing.append(...names);
    this.#bodies = walks.map((walk) => this.#body(walk));
    if (choose) {
      drawing.append(...this.#choices(walks[0], choose, scale * magnified()));
    }
    drawing.append(
      ...this.#bodies.filter(({ walk }) => here(this.#standing(walk))).map(({ group }) => group),
    );
    return drawing;
  }

  // Turns the cone of an agent to where its panorama looks.
  turn(second, heading, across) {
    for (const { walk, cone } of this.#bodies) {
      if (walk.second === second) cone.setAttribute("d", wedge(heading, across));
    }
  }

  // Shows an agent at a share of the way, as of viewer/passage.js, to where it stands.
  travel(second, way, share) {
    for (const { walk, group } of this.#bodies) {
      if (walk.second !== second) continue;
      const [x, y] = this.#points.get(this.#standing(walk));
      const length = way ? (share - 1) * way.distance * Math.cos(way.elevation) : 0;
      const left = way?.back ? -length : length;
      const [right, up] = way ? [left * Math.sin(way.heading), left * Math.cos(way.heading)] : [0, 0];
      group.setAttribute("transform", `translate(${x + right} ${-y - up})`);
    }
  }

  #standing({ trace, step }) {
    return trace.steps[step].viewpoint;
  }

  #whole(way) {
    const shapes = [...this.#points.values()].map(([x, y]) => [x, -y]);
    shapes.push(...this.#goal(way));
    for (const room of this.#scene.plan?.rooms ?? []) {
      shapes.push([room.x0, -room.y0], [room.x1, -room.y1]);
    }
    return box(shapes, this.#scene.plan ? 0.3 : MARGIN);
  }

  #around(walks, way) {
    const steps = walks.flatMap(({ trace }) => trace.steps);
    const seen = steps.flatMap((step) => [step, ...step.candidates]).map((one) => one.viewpoint);
    const shapes = [...seen, ...(way ?? [])].map((viewpoint) => this.#points.get(viewpoint));
    return box([...shapes.map(([x, y]) => [x, -y]), ...this.#goal(way)], MARGIN);
  }

  #goal(way) {
    if (!(way?.length > 1)) return [];
    const [x, y] = this.#points.get(way.at(-1));
    return [[x - GOAL_RADIUS, -y - GOAL_RADIUS], [x + GOAL_RADIUS, -y + GOAL_RADIUS]];
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
        ? svg("rect", { class: "start", ...square(startX, -startY, 0.28 * this.#thin) })
        : null,
      svg("path", {
        class: "flag",
        d: "M0 0 v-1.3 l.95 .35 l-.82 .35 v.6 z",
        transform: `translate(${goalX} ${-goalY}) scale(${this.#thin})`,
      }),
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

  // The agent and its cone, drawn round the origin and moved to where it stands.
  #body(walk) {
    const [x, y] = this.#points.get(this.#standing(walk));
    const kind = walk.second ? "two" : "one";
    const { heading, across } = walk.look;
    const cone = svg("path", { class: `cone ${kind}`, d: wedge(heading, across) });
    const body = walk.second
      ? svg("rect", { class: `body ${kind}`, ...square(0, 0, 0.22 * this.#thin) })
      : svg("circle", { class: `body ${kind}`, r: 0.38 * this.#thin });
    const group = svg("g", { class: "agent", transform: `translate(${x} ${-y})` }, cone, body);
    return { walk, cone, group };
  }

  // Where the agent can go, of `scale` metres a pixel.
  #choices({ trace, step }, choose, scale) {
    const now = trace.steps[step];
    const choices = now.candidates.map((candidate, place) => {
      const chosen = now.action === place + 1;
      const [x, y] = this.#points.get(candidate.viewpoint);
      const line = this.#line([now.viewpoint, candidate.viewpoint], chosen ? "choice chosen" : "choice");
      return { line, group: mark(now, place + 1, choose), x, y, chosen };
    });
    const size = scale * Math.min(1, Math.max(SMALLEST, gap(choices) / (2 * RADIUS * scale)));
    for (const { group, x, y } of choices) {
      group.setAttribute("transform", `translate(${x} ${-y}) scale(${size})`);
    }
    choices.sort((a, b) => a.chosen - b.chosen);
    return [...choices.map(({ line }) => line), ...choices.map(({ group }) => group)];
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

// The least distance between two of some places.
function gap(places) {
  const lengths = places.flatMap((one, k) =>
    places.slice(k + 1).map((other) => Math.hypot(one.x - other.x, one.y - other.y)),
  );
  return Math.min(Infinity, ...lengths);
}

function square(x, y, half) {
  return { x: x - half, y: y - half, width: 2 * half, height: 2 * half };
}

function node(viewpoint, x, y, r, go) {
  return svg("circle", {
    class: go ? "node clickable" : "node",
    ...{ cx: x, cy: -y, r },
    "data-viewpoint": viewpoint,
    ...(go ? { onclick: once(() => go(viewpoint)) } : {}),
  });
}

// Left, top, width and height of what holds all points.
function box(points, margin) {
  const [xs, ys] = [0, 1].map((axis) => points.map((point) => point[axis]));
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  const [width, height] = [Math.max(...xs) - left, Math.max(...ys) - top];
  return [left - margin, top - margin, width + 2 * margin, height + 2 * margin];
}

function wedge(heading, across) {
  const end = (angle) => `${2.4 * Math.sin(angle)} ${-2.4 * Math.cos(angle)}`;
  const half = Math.min(across, 2.6) / 2;
  return `M0 0 L${end(heading - half)} A2.4 2.4 0 0 1 ${end(heading + half)} Z`;
}
