// Everything that shows a step of one walk, or of two beside each other.

import { caption } from "viewer/caption.js";
import { chart } from "viewer/chart.js";
import { instruction } from "viewer/instruction.js";
import { FloorMap } from "viewer/map.js";
import { standsFor } from "viewer/marks.js";
import { metrics } from "viewer/metrics.js";
import { animate } from "viewer/motion.js";
import { facing, passage } from "viewer/passage.js";
import { expect } from "viewer/pictures.js";
import { stepList } from "viewer/steps.js";
import { html, refill, svg } from "viewer/svg.js";
import { View } from "viewer/view.js";

const get = (id) => document.getElementById(id);
const GLIDE = 700; // milliseconds on the map, where there are no pictures
const ACROSS = 1.2; // field of view there

export class Stage {
  #bare;
  #views = [];
  #map = null;
  #scene = null;
  #walks = [];
  #options = {};
  #journey = new AbortController();

  // Without pictures, or where they cannot be drawn, the map takes the stage.
  constructor(pictures) {
    this.#bare = !pictures;
    if (this.#bare) {
      document.body.classList.add("bare");
      get("views").replaceChildren(get("plan"), html("div", { id: "captions", class: "captions" }));
      new ResizeObserver(() => this.#walks.length && this.#drawMap()).observe(get("map"));
    }
    new ResizeObserver(() => this.#walks.length && this.#drawCharts()).observe(get("charts"));
  }

  get heading() {
    return this.#bare ? facing(this.#now) : this.#views[0].look.heading;
  }

  get #now() {
    const { trace, step } = this.#walks[0];
    return trace.steps[step];
  }

  face(place, heading) {
    this.#views[place]?.face(heading);
  }

  // So many walks in a building are to be shown.
  begin(count, scene) {
    if (scene !== this.#scene) {
      this.#scene = scene;
      this.#map = new FloorMap(scene);
    }
    get("views").classList.toggle("double", count > 1);
    if (this.#bare || count === this.#views.length) return;
    this.#views = Array.from({ length: count }, (_, place) => new View(place > 0));
    for (const view of this.#views) {
      view.onlook = (heading, across) => this.#map.turn(view.second, heading, across);
      view.onpass = (way, share) => this.#map.travel(view.second, way, share);
    }
    get("views").replaceChildren(...this.#views.map((view) => view.element));
  }

  // `options`: showWay, attention, choose(place, number), go(viewpoint), jump(step). Resolves once
  // the step is reached.
  show(traces, step, options) {
    const before = this.#walks;
    this.#options = options;
    this.#walks = traces.map((trace, place) => ({
      trace,
      step: Math.min(step, trace.steps.length - 1),
      second: place > 0,
    }));
    this.#map.storey = this.#map.storeyOf(this.#now.viewpoint);
    const attending = traces.some((trace) => trace.steps.some((one) => one.view_attention));
    get("overlay").hidden = !attending || this.#bare;
    this.#words();
    this.#drawMap();
    this.#drawCharts();
    this.#steps();
    get("metrics").replaceChildren(
      options.showWay
        ? metrics(this.#walks)
        : html("p", { class: "note" }, "They are shown when you stop."),
    );
    return this.#bare ? this.#glide(before) : this.#look();
  }

  #look() {
    const arrivals = this.#walks.map((walk, place) =>
      this.#views[place].show(walk.trace, walk.step, {
        choose: (number) => this.#options.choose(place, number),
        attention: this.#options.attention,
        upcoming: () => (place ? Promise.resolve() : this.#expect()),
      }),
    );
    return Promise.all(arrivals);
  }

  // Moves the agents on the map that has the stage.
  #glide(before) {
    this.#journey.abort();
    this.#journey = new AbortController();
    get("captions").replaceChildren(
      ...this.#walks.map(({ trace, step, second }) =>
        html("p", { class: second ? "caption two" : "caption" }, ...caption(trace, step)),
      ),
    );
    const ways = this.#walks.map(({ trace, step }, place) => {
      const old = before[place];
      if (!old || old.step === step) return null;
      const from = { scan: old.trace.scan, number: old.step, step: old.trace.steps[old.step] };
      return passage(from, trace, step);
    });
    const paint = (share) =>
      this.#walks.forEach(({ second }, place) => this.#map.travel(second, ways[place], share));
    return animate(ways.some(Boolean) ? GLIDE : 0, paint, this.#journey.signal);
  }

  // Pictures that are likely to be wanted next.
  #expect() {
    const { trace, step } = this.#walks[0];
    const ahead = trace.steps.slice(step + 1, step + 4).map((one) => one.viewpoint);
    const beside = trace.steps[step].candidates.map((candidate) => candidate.viewpoint);
    return expect(trace.scan, trace.ending === "under way" ? beside : ahead);
  }

  #words() {
    const attending = this.#walks.filter(({ trace }) => trace.steps[0].word_attention);
    const shown = attending.length ? attending : this.#walks.slice(0, 1);
    const named = attending.length > 0 && this.#walks.length > 1;
    get("instructions").replaceChildren(
      ...shown.map(({ trace, step, second }) => instruction(trace, step, { second, named })),
    );
  }

  #steps() {
    const named = this.#walks.length > 1;
    const { showWay: goal, jump } = this.#options;
    get("steps").replaceChildren(
      ...this.#walks.map(({ trace, step, second }) =>
        stepList(trace, step, { second, named, goal, jump }),
      ),
    );
  }

  #drawMap() {
    const map = this.#map;
    const look = (walk, place) =>
      this.#bare
        ? { heading: facing(walk.trace.steps[walk.step]), across: ACROSS }
        : this.#views[place].look;
    const walks = this.#walks.map((walk, place) => ({ ...walk, look: look(walk, place) }));
    const way = this.#options.showWay ? this.#walks[0].trace.path : null;
    const choose = this.#bare ? (number) => this.#options.choose(0, number) : null;
    const size = [get("map").clientWidth, get("map").clientHeight];
    const drawing = map.draw(walks, { way, go: this.#options.go, choose, size });
    const held = get("map").contains(document.activeElement) ? document.activeElement : null;
    get("map").replaceChildren(drawing);
    if (held) [...drawing.querySelectorAll(".mark")].find((one) => standsFor(one, held))?.focus();
    const several = map.storeys > 1 ? Array.from({ length: map.storeys }, (_, k) => k) : [];
    const buttons = several.map((storey) =>
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
    refill(get("storeys"), buttons, (one, old) => one.textContent === old.textContent);
    this.#legend(Boolean(way && way.length > 1));
  }

  #drawCharts() {
    const lengths = this.#walks.map(({ trace }) => trace.steps.length - 1);
    const distances = this.#walks.flatMap(({ trace }) =>
      trace.steps.map((one) => one.distance_to_goal ?? 0),
    );
    const walking = this.#walks[0].trace.ending === "under way";
    get("charts").hidden = walking;
    if (walking) return;
    // Who gives no probabilities has little to show beside one who does.
    const telling = this.#walks.filter(({ trace }) => trace.steps[0].stop_probability != null);
    const drawn = telling.length ? telling : this.#walks.slice(0, 1);
    const options = {
      width: get("charts").clientWidth / drawn.length,
      last: Math.max(...lengths),
      furthest: Math.max(1, ...distances),
      jump: this.#options.jump,
      showGoal: this.#options.showWay,
    };
    get("charts").replaceChildren(
      ...drawn.map(({ trace, step, second }) => chart(trace, step, { second, ...options })),
    );
  }

  #legend(way) {
    const line = (kind, height = 3) =>
      svg(
        "svg",
        { viewBox: "0 0 22 10", "aria-hidden": true },
        svg("rect", { y: 5 - height / 2, width: 22, height, style: `fill: var(--${kind})` }),
      );
    const entries = this.#walks.map(({ trace, second }) => [line(second ? "two" : "one"), trace.agent]);
    if (way) {
      const ring = svg("circle", {
        ...{ cx: 11, cy: 5, r: 4.2, fill: "none", "stroke-dasharray": "2 1.4" },
        style: "stroke: var(--way)",
      });
      entries.unshift([line("way", 6), "reference path"]);
      entries.push([svg("svg", { viewBox: "0 0 22 10", "aria-hidden": true }, ring), "3 m round the goal"]);
    }
    get("legend").replaceChildren(...entries.map((entry) => html("li", {}, ...entry)));
  }
}
