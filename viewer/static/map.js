// Map of a building, north up, in metres: floor plan, navigation graph, reference path, trajectories
// and viewing directions of the agents.

import { RADIUS, marker } from "viewer/markers.js";
import { knownMapAt, knownMapShapes } from "viewer/known_map.js";
import { drawingScale, metres, firstClick, svg } from "viewer/elements.js";
import { positionOf } from "viewer/positions.js";

const MARGIN = 1.4, GOAL_RADIUS = 3, AT_GOAL = 0.6;
const SMALLEST = 0.6; // scale factor of markers that are close together
const COARSE = 34; // pixels per metre up to which lines and agents grow with the map

export class FloorMap {
  #scene;
  #points;
  #free = new Map(); // points of the free positions of continuous walks
  #agents = []; // { walk, cone, group }
  #goals = []; // viewpoints of the goal
  #goalRadius = GOAL_RADIUS; // metres
  #thin = 1; // factor on the widths of lines and agents, smaller on a large map
  storey = 0;

  constructor(scene) {
    this.#scene = scene;
    this.#points = new Map(Object.entries(scene.viewpoints));
  }

  get storeys() {
    return this.#scene.storeys;
  }

  storeyOf(viewpoint) {
    return this.#pointOf(viewpoint)[3];
  }

  // Returns [x, y, z of the floor, storey] of a viewpoint, or of a free position in a continuous walk,
  // which is on the storey of the nearest viewpoint.
  #pointOf(viewpoint) {
    const known = this.#points.get(viewpoint) ?? this.#free.get(viewpoint);
    if (known) return known;
    const [x, y, z] = positionOf(viewpoint);
    const far = (point) => Math.hypot(point[0] - x, point[1] - y, point[2] - z);
    const nearest = [...this.#points.values()].reduce((a, b) => (far(b) < far(a) ? b : a));
    const point = [x, y, nearest[2], nearest[3]];
    this.#free.set(viewpoint, point);
    return point;
  }

  // Returns the drawing. `walks` is [{ trace, step, second, camera }], `path` the reference path or
  // null, `goal` the trace's, `size` [width, height] in pixels; `go(viewpoint)` is called for a clicked viewpoint. With
  // `choose(number)` the map shows markers for the first walk's candidates and only the area around
  // the trajectories.
  draw(walks, { path, goal, go, choose, size }) {
    this.#goals = path?.length > 1 ? (goal?.viewpoints ?? path.slice(-1)) : [];
    this.#goalRadius = goalRadius(goal);
    const box = choose ? this.#areaOf(walks, path) : this.#wholeArea();
    const scale = Math.max(box[2] / Math.max(1, size[0]), box[3] / Math.max(1, size[1]));
    this.#thin = Math.min(1, COARSE * drawingScale() * scale);
    const drawing = svg("svg", {
      class: "map",
      viewBox: box.join(" "),
      style: `--thin: ${this.#thin.toFixed(3)}`,
      role: choose ? "group" : "img",
      "aria-label": this.#description(walks, path),
    });
    const onStorey = (viewpoint) => this.storeyOf(viewpoint) === this.storey;
    const { rooms, names } = this.#plan();
    drawing.append(...rooms);
    for (const [start, end] of this.#scene.edges) {
      if (onStorey(start) || onStorey(end)) drawing.append(this.#line([start, end], "edge"));
    }
    if (path && path.length > 1) drawing.append(...this.#referencePath(path, onStorey));
    for (const walk of walks) drawing.append(...this.#trajectory(walk));
    for (const [viewpoint, [x, y]] of this.#points) {
      if (onStorey(viewpoint)) drawing.append(node(viewpoint, x, y, 0.17 * this.#thin, go));
    }
    const at = (viewpoint) => {
      const [x, y] = this.#points.get(viewpoint);
      return onStorey(viewpoint) ? [x, -y] : null;
    };
    for (const { trace, step, second } of walks) {
      const known = knownMapAt(trace, step);
      if (!known) continue;
      const shapes = knownMapShapes(known, trace.steps[step].viewpoint, at, this.#thin);
      drawing.append(svg("g", { class: `known-nodes ${second ? "two" : "one"}` }, ...shapes));
    }
    drawing.append(...names);
    this.#agents = walks.map((walk) => this.#agent(walk));
    if (choose) {
      drawing.append(...this.#candidates(walks[0], choose, scale * drawingScale()));
    }
    const visible = this.#agents.filter(({ walk }) => onStorey(this.#viewpointOf(walk)));
    drawing.append(...visible.map(({ group }) => group));
    return drawing;
  }

  // Turns the cone of an agent to its viewing direction.
  turn(second, heading, across) {
    for (const { walk, cone } of this.#agents) {
      if (walk.second === second) cone.setAttribute("d", wedge(heading, across));
    }
  }

  // Draws an agent during a move (see viewer/moves.js) to its viewpoint, at progress 0 to 1.
  travel(second, move, progress) {
    for (const { walk, group } of this.#agents) {
      if (walk.second !== second) continue;
      const [x, y] = this.#pointOf(this.#viewpointOf(walk));
      const length = move ? (progress - 1) * move.distance * Math.cos(move.elevation) : 0;
      const ahead = move?.back ? -length : length;
      const [right, up] = move
        ? [ahead * Math.sin(move.heading), ahead * Math.cos(move.heading)]
        : [0, 0];
      group.setAttribute("transform", `translate(${x + right} ${-y - up})`);
    }
  }

  #viewpointOf({ trace, step }) {
    return trace.steps[step].viewpoint;
  }

  #wholeArea() {
    const corners = [...this.#points.values()].map(([x, y]) => [x, -y]);
    corners.push(...this.#goalArea());
    for (const room of this.#scene.plan?.rooms ?? []) {
      corners.push([room.x0, -room.y0], [room.x1, -room.y1]);
    }
    return boundingBox(corners, this.#scene.plan ? 0.3 : MARGIN);
  }

  #areaOf(walks, path) {
    const steps = walks.flatMap(({ trace }) => trace.steps);
    const viewpoints = steps
      .flatMap((step) => [step, ...step.candidates])
      .map(({ viewpoint }) => viewpoint);
    const points = [...viewpoints, ...(path ?? [])].map((viewpoint) => this.#pointOf(viewpoint));
    return boundingBox([...points.map(([x, y]) => [x, -y]), ...this.#goalArea()], MARGIN);
  }

  #goalArea() {
    const r = this.#goalRadius;
    return this.#goals.flatMap((viewpoint) => {
      const [x, y] = this.#points.get(viewpoint);
      return [[x - r, -y - r], [x + r, -y + r]];
    });
  }

  #plan() {
    const plan = this.#scene.plan;
    if (!plan) return { rooms: [], names: [] };
    const onStorey = ({ storey }) => storey === this.storey;
    const rooms = plan.rooms.filter(onStorey).map((room) =>
      svg("rect", {
        class: "room",
        x: room.x0,
        y: -room.y1,
        width: room.x1 - room.x0,
        height: room.y1 - room.y0,
      }),
    );
    const names = plan.rooms.filter(onStorey).map((room) =>
      svg(
        "text",
        {
          class: "room-name",
          x: (room.x0 + room.x1) / 2,
          y: 0.62 - room.y1,
          "font-size": Math.min(0.5, (1.6 * (room.x1 - room.x0)) / room.kind.length),
        },
        room.kind,
      ),
    );
    const openings = plan.openings.filter(onStorey).map((opening) => {
      const ends =
        opening.axis === "x"
          ? { x1: opening.start, x2: opening.end, y1: -opening.position, y2: -opening.position }
          : { x1: opening.position, x2: opening.position, y1: -opening.start, y2: -opening.end };
      if (["entrance", "closed door"].includes(opening.kind)) return null;
      return svg("line", { class: opening.kind === "window" ? "window" : "gap", ...ends });
    });
    return { rooms: [...rooms, ...openings.filter(Boolean)], names };
  }

  #referencePath(path, onStorey) {
    const [startX, startY] = this.#points.get(path[0]);
    const [goalX, goalY] = this.#points.get(path.at(-1));
    return [
      ...this.#goals.map((viewpoint) => {
        const [x, y] = this.#points.get(viewpoint);
        const kind = onStorey(viewpoint) ? "goal" : "goal elsewhere";
        return svg("circle", { class: kind, cx: x, cy: -y, r: this.#goalRadius });
      }),
      this.#line(path, "reference"),
      onStorey(path[0])
        ? svg("rect", { class: "start", ...square(startX, -startY, 0.28 * this.#thin) })
        : null,
      svg("path", {
        class: "flag",
        d: "M0 0 v-1.3 l.95 .35 l-.82 .35 v.6 z",
        transform: `translate(${goalX} ${-goalY}) scale(${this.#thin})`,
      }),
    ].filter(Boolean);
  }

  #trajectory({ trace, step, second }) {
    const viewpoints = trace.steps.map(({ viewpoint }) => viewpoint);
    const kind = second ? "two" : "one";
    const collisions = trace.steps.slice(0, step).filter(({ collided }) => collided);
    return [
      this.#line(viewpoints.slice(step), `walked ahead ${kind}`),
      this.#line(viewpoints.slice(0, step + 1), `walked ${kind}`),
      ...collisions.map(({ viewpoint }) => this.#collision(viewpoint)),
    ];
  }

  // A cross where the agent has walked into an obstacle.
  #collision(viewpoint) {
    const [x, y] = this.#pointOf(viewpoint);
    const cross = svg(
      "path",
      {
        class: "collision",
        d: "M-.16 -.16 L.16 .16 M-.16 .16 L.16 -.16",
        transform: `translate(${x} ${-y}) scale(${this.#thin})`,
      },
      svg("title", {}, "collision"),
    );
    return cross;
  }

  // The agent and its cone, drawn at the origin and translated to its viewpoint.
  #agent(walk) {
    const [x, y] = this.#pointOf(this.#viewpointOf(walk));
    const kind = walk.second ? "two" : "one";
    const { heading, across } = walk.camera;
    const cone = svg("path", { class: `cone ${kind}`, d: wedge(heading, across) });
    const body = walk.second
      ? svg("rect", { class: `body ${kind}`, ...square(0, 0, 0.22 * this.#thin) })
      : svg("circle", { class: `body ${kind}`, r: 0.38 * this.#thin });
    const group = svg("g", { class: "agent", transform: `translate(${x} ${-y})` }, cone, body);
    return { walk, cone, group };
  }

  // Edges and markers of the candidates, at `scale` metres per pixel.
  #candidates({ trace, step: number }, choose, scale) {
    const step = trace.steps[number];
    const drawn = step.candidates.map(({ viewpoint }, index) => {
      const chosen = step.action === index + 1;
      const [x, y] = this.#points.get(viewpoint);
      const line = this.#line([step.viewpoint, viewpoint], chosen ? "choice chosen" : "choice");
      return { line, group: marker(step, index + 1, choose), x, y, chosen };
    });
    const fit = smallestDistance(drawn) / (2 * RADIUS * scale);
    const size = scale * Math.min(1, Math.max(SMALLEST, fit));
    for (const { group, x, y } of drawn) {
      group.setAttribute("transform", `translate(${x} ${-y}) scale(${size})`);
    }
    drawn.sort((a, b) => a.chosen - b.chosen);
    return [...drawn.map(({ line }) => line), ...drawn.map(({ group }) => group)];
  }

  #line(viewpoints, kind) {
    const points = viewpoints.map((viewpoint) => this.#pointOf(viewpoint));
    return svg("polyline", { class: kind, points: points.map(([x, y]) => `${x},${-y}`).join(" ") });
  }

  #description(walks, path) {
    const parts = walks.map(({ trace, step }) => {
      const distance = trace.steps[step].distance_to_goal;
      const goal = distance == null || !path ? "" : `, ${metres(distance)} from the goal`;
      return `${trace.agent} at step ${step}${goal}`;
    });
    return `Map of ${this.#scene.scan}: ${parts.join("; ")}.`;
  }
}

// Metres around each viewpoint of a goal at which a stop is a success; without a radius of its own,
// only the viewpoints count, which are drawn as small circles.
function goalRadius(goal) {
  return goal?.radius === 0 ? AT_GOAL : (goal?.radius ?? GOAL_RADIUS);
}

export function goalName(goal) {
  if (goal?.radius === 0) return "viewpoints of the goal";
  const places = goal?.viewpoints.length > 1 ? "the viewpoints of the goal" : "the goal";
  return `${goalRadius(goal)} m around ${places}`;
}

// Returns the smallest distance between two points of a list.
function smallestDistance(points) {
  const distances = points.flatMap((a, index) =>
    points.slice(index + 1).map((b) => Math.hypot(a.x - b.x, a.y - b.y)),
  );
  return Math.min(Infinity, ...distances);
}

function square(x, y, half) {
  return { x: x - half, y: y - half, width: 2 * half, height: 2 * half };
}

function node(viewpoint, x, y, r, go) {
  return svg("circle", {
    class: go ? "node clickable" : "node",
    ...{ cx: x, cy: -y, r },
    "data-viewpoint": viewpoint,
    ...(go ? { onclick: firstClick(() => go(viewpoint)) } : {}),
  });
}

// Returns left, top, width and height of a box that contains all points.
function boundingBox(points, margin) {
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
