// Everything that shows a step of one walk, or of two walks side by side.

import { caption } from "viewer/caption.js";
import { chart } from "viewer/chart.js";
import { instruction } from "viewer/instruction.js";
import { knownMapPanel } from "viewer/known_map.js";
import { modelPanel } from "viewer/language_model.js";
import { FloorMap, goalName } from "viewer/map.js";
import { sameMarker } from "viewer/markers.js";
import { metrics } from "viewer/metrics.js";
import { animate } from "viewer/motion.js";
import { headingAt, moveBetween } from "viewer/moves.js";
import { prefetch } from "viewer/pictures.js";
import { stepTable } from "viewer/step_table.js";
import { drawingScale, html, replaceKeepingFocus, replaceKeepingPlace, svg } from "viewer/elements.js";
import { View } from "viewer/view.js";

const get = (id) => document.getElementById(id);
// Without pictures: milliseconds of a move on the map, and the field of view of its cones.
const GLIDE = 700;
const ACROSS = 1.2;
const LEGEND = 330; // pixels below which the legend of a chart is cut off

export class Stage {
  #mapOnly;
  #views = [];
  #map = null;
  #scene = null;
  #walks = [];
  #options = {};
  #move = new AbortController();

  // If there are no pictures, or the browser cannot draw them, the map replaces the panorama.
  constructor(pictures) {
    this.#mapOnly = !pictures;
    if (this.#mapOnly) {
      document.body.classList.add("map-only");
      get("views").replaceChildren(get("plan"), html("div", { id: "captions", class: "captions" }));
      new ResizeObserver(() => this.#walks.length && this.#drawMap()).observe(get("map"));
    }
    new ResizeObserver(() => this.#walks.length && this.#drawCharts()).observe(get("charts"));
  }

  get heading() {
    return this.#mapOnly ? headingAt(this.#step) : this.#views[0].camera.heading;
  }

  get #step() {
    const { trace, step } = this.#walks[0];
    return trace.steps[step];
  }

  // Turns a view to a heading.
  face(index, heading) {
    this.#views[index]?.face(heading);
  }

  // Prepares the views and the map for a number of walks in a building.
  prepare(count, scene) {
    if (scene !== this.#scene) {
      this.#scene = scene;
      this.#map = new FloorMap(scene);
    }
    get("views").classList.toggle("double", count > 1);
    if (this.#mapOnly || count === this.#views.length) return;
    for (const view of this.#views) view.close();
    this.#views = Array.from({ length: count }, (_, index) => new View(index > 0));
    for (const view of this.#views) {
      view.onLook = (heading, across) => this.#map.turn(view.second, heading, across);
      view.onMove = (move, progress) => this.#map.travel(view.second, move, progress);
    }
    get("views").replaceChildren(...this.#views.map((view) => view.element));
  }

  // Shows a step and resolves when the move to it is complete. Options: showPath, attention,
  // objects, choose(index, number),
  // go(viewpoint), showStep(step).
  show(traces, step, options) {
    const previous = this.#walks;
    this.#options = options;
    this.#walks = traces.map((trace, index) => ({
      trace,
      step: Math.min(step, trace.steps.length - 1),
      second: index > 0,
    }));
    this.#map.storey = this.#map.storeyOf(this.#step.viewpoint);
    const hasAttention = traces.some(({ steps }) => steps.some((one) => one.view_attention));
    get("overlay").hidden = !hasAttention || this.#mapOnly;
    const hasObjects = traces.some(({ steps }) => steps.some((one) => one.objects.length));
    get("overlay-objects").hidden = !hasObjects || this.#mapOnly;
    this.#drawInstructions();
    this.#drawMap();
    this.#drawCharts();
    this.#drawStepTables();
    this.#drawKnownMaps();
    this.#drawModels();
    get("metrics").replaceChildren(
      options.showPath
        ? metrics(this.#walks)
        : html("p", { class: "note" }, "Metrics are shown after you stop."),
    );
    return this.#mapOnly ? this.#moveOnMap(previous) : this.#moveViews();
  }

  #moveViews() {
    const moves = this.#walks.map((walk, index) =>
      this.#views[index].show(walk.trace, walk.step, {
        choose: (number) => this.#options.choose(index, number),
        attention: this.#options.attention,
        objects: this.#options.objects,
        prefetchNext: () => (index ? Promise.resolve() : this.#prefetch()),
      }),
    );
    return Promise.all(moves);
  }

  // Moves the agents on a map that replaces the panorama.
  #moveOnMap(previous) {
    this.#move.abort();
    this.#move = new AbortController();
    get("captions").replaceChildren(
      ...this.#walks.map(({ trace, step, second }) =>
        html("p", { class: second ? "caption two" : "caption" }, ...caption(trace, step)),
      ),
    );
    const moves = this.#walks.map(({ trace, step }, index) => {
      const old = previous[index];
      if (!old || old.step === step) return null;
      const from = { scan: old.trace.scan, number: old.step, step: old.trace.steps[old.step] };
      return moveBetween(from, trace, step);
    });
    const paint = (progress) =>
      this.#walks.forEach(({ second }, index) => this.#map.travel(second, moves[index], progress));
    return animate(moves.some(Boolean) ? GLIDE : 0, paint, this.#move.signal);
  }

  // Loads the pictures that are likely to be shown next.
  #prefetch() {
    const { trace, step } = this.#walks[0];
    const next = trace.steps.slice(step + 1, step + 4);
    const likely = trace.ending === "under way" ? trace.steps[step].candidates : next;
    const viewpoints = likely.map(({ viewpoint }) => viewpoint);
    return prefetch(trace.scan, viewpoints, this.#views[0].columns);
  }

  #drawInstructions() {
    const withAttention = this.#walks.filter(({ trace }) => trace.steps[0].word_attention);
    const shown = withAttention.length ? withAttention : this.#walks.slice(0, 1);
    const named = withAttention.length > 0 && this.#walks.length > 1;
    get("instructions").replaceChildren(
      ...shown.map(({ trace, step, second }) => instruction(trace, step, { second, named })),
    );
  }

  #drawStepTables() {
    const named = this.#walks.length > 1;
    const { showPath: showGoal, showStep } = this.#options;
    const tables = this.#walks.map(({ trace, step, second }) =>
      stepTable(trace, step, { second, named, showGoal, showStep }),
    );
    replaceKeepingPlace(get("steps"), tables);
  }

  #drawKnownMaps() {
    const open = get("known").querySelector("details[open]") !== null;
    const named = this.#walks.length > 1;
    const panels = this.#walks.map(({ trace, step, second }) =>
      knownMapPanel(trace, step, { second, named }),
    );
    replaceKeepingPlace(get("known"), panels.filter(Boolean));
    for (const details of get("known").querySelectorAll("details")) details.open = open;
  }

  #drawModels() {
    const open = get("model").querySelector("details[open]") !== null;
    const options = { named: this.#walks.length > 1, pictures: !this.#mapOnly, open };
    const panels = this.#walks.map(({ trace, step, second }) =>
      modelPanel(trace, step, { second, ...options }),
    );
    replaceKeepingPlace(get("model"), panels.filter(Boolean));
    get("model-card").hidden = !panels.some(Boolean);
  }

  #drawMap() {
    const map = this.#map;
    const camera = ({ trace, step }, index) =>
      this.#mapOnly
        ? { heading: headingAt(trace.steps[step]), across: ACROSS }
        : this.#views[index].camera;
    const walks = this.#walks.map((walk, index) => ({ ...walk, camera: camera(walk, index) }));
    const { path: route, goal } = this.#walks[0].trace;
    const path = this.#options.showPath ? route : null;
    const choose = this.#mapOnly ? (number) => this.#options.choose(0, number) : null;
    const size = [get("map").clientWidth, get("map").clientHeight];
    const drawing = map.draw(walks, { path, goal, go: this.#options.go, choose, size });
    const focused = get("map").contains(document.activeElement) ? document.activeElement : null;
    get("map").replaceChildren(drawing);
    if (focused) {
      const markers = [...drawing.querySelectorAll(".marker")];
      markers.find((marker) => sameMarker(marker, focused))?.focus();
    }
    const storeys = map.storeys > 1 ? Array.from({ length: map.storeys }, (_, storey) => storey) : [];
    const buttons = storeys.map((storey) =>
      html(
        "button",
        {
          type: "button",
          "aria-pressed": storey === map.storey,
          onclick: () => {
            map.storey = storey;
            this.#drawMap();
          },
        },
        `${storey}`,
      ),
    );
    const sameStorey = (button, old) => button.textContent === old.textContent;
    replaceKeepingFocus(get("storeys"), buttons, sameStorey);
    this.#legend(Boolean(path && path.length > 1), goal);
  }

  #drawCharts() {
    const lengths = this.#walks.map(({ trace }) => trace.steps.length - 1);
    const distances = this.#walks.flatMap(({ trace }) =>
      trace.steps.map((step) => step.distance_to_goal ?? 0),
    );
    const unfinished = this.#walks[0].trace.ending === "under way";
    get("charts").hidden = unfinished;
    if (unfinished) return;
    // If only one of two walks has probabilities, its chart gets the whole width.
    const known = this.#walks.filter(({ trace }) => trace.steps[0].stop_probability != null);
    const drawn = known.length ? known : this.#walks.slice(0, 1);
    const width = get("charts").clientWidth;
    const stacked = width / drawn.length < LEGEND * drawingScale();
    get("charts").classList.toggle("stacked", stacked);
    const options = {
      width: stacked ? width : width / drawn.length,
      last: Math.max(...lengths),
      maxDistance: Math.max(1, ...distances),
      showStep: this.#options.showStep,
      showGoal: this.#options.showPath,
    };
    get("charts").replaceChildren(
      ...drawn.map(({ trace, step, second }) => chart(trace, step, { second, ...options })),
    );
  }

  #legend(hasPath, goal) {
    const line = (colour, height = 3) =>
      svg(
        "svg",
        { viewBox: "0 0 22 10", "aria-hidden": true },
        svg("rect", { y: 5 - height / 2, width: 22, height, style: `fill: var(--${colour})` }),
      );
    const entries = this.#walks.map(({ trace, second }) => [line(second ? "two" : "one"), trace.agent]);
    if (hasPath) {
      const ring = svg("circle", {
        ...{ cx: 11, cy: 5, r: 4.2, fill: "none", "stroke-dasharray": "2 1.4" },
        style: "stroke: var(--reference)",
      });
      const sign = svg("svg", { viewBox: "0 0 22 10", "aria-hidden": true }, ring);
      entries.unshift([line("reference", 6), "reference path"]);
      entries.push([sign, goalName(goal)]);
    }
    get("legend").replaceChildren(...entries.map((entry) => html("li", {}, ...entry)));
  }
}
