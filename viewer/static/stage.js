// Everything that shows a step of one walk, or of two beside each other.

import { chart } from "viewer/chart.js";
import { instruction } from "viewer/instruction.js";
import { FloorMap } from "viewer/map.js";
import { metrics } from "viewer/metrics.js";
import { expect } from "viewer/pictures.js";
import { html, refill, svg } from "viewer/svg.js";
import { View } from "viewer/view.js";

const get = (id) => document.getElementById(id);

export class Stage {
  #note;
  #views = [];
  #map = null;
  #scene = null;
  #walks = [];
  #options = {};

  // `note` says why there are no pictures, if there are none.
  constructor(note) {
    this.#note = note;
    new ResizeObserver(() => this.#walks.length && this.#drawCharts()).observe(get("charts"));
  }

  get heading() {
    return this.#views[0].look.heading;
  }

  face(place, heading) {
    this.#views[place].face(heading);
  }

  // So many walks in a building are to be shown.
  begin(count, scene) {
    if (scene !== this.#scene) {
      this.#scene = scene;
      this.#map = new FloorMap(scene);
    }
    if (count !== this.#views.length) {
      this.#views = Array.from({ length: count }, (_, place) => new View(place > 0, this.#note));
      for (const view of this.#views) {
        view.onlook = (heading, across) => this.#map.turn(view.second, heading, across);
      }
      get("views").replaceChildren(...this.#views.map((view) => view.element));
    }
    get("views").classList.toggle("double", count > 1);
    get("charts").classList.toggle("double", count > 1);
  }

  // `options`: showWay, attention, choose(place, number), go(viewpoint), jump(step).
  show(traces, step, options) {
    this.#options = options;
    this.#walks = traces.map((trace, place) => ({
      trace,
      step: Math.min(step, trace.steps.length - 1),
      second: place > 0,
    }));
    this.#walks.forEach((walk, place) => {
      this.#views[place].show(walk.trace, walk.step, {
        choose: (number) => options.choose(place, number),
        attention: options.attention,
        upcoming: place ? null : () => this.#expect(),
      });
    });
    this.#map.storey = this.#map.storeyOf(this.#walks[0].trace.steps[this.#walks[0].step].viewpoint);
    const attending = traces.some((trace) => trace.steps.some((one) => one.view_attention));
    get("overlay").hidden = !attending;
    this.#words();
    this.#drawMap();
    this.#drawCharts();
    get("metrics").replaceChildren(
      options.showWay
        ? metrics(this.#walks)
        : html("p", { class: "note" }, "They are shown when you stop."),
    );
  }

  // Pictures that are likely to be wanted next.
  #expect() {
    const { trace, step } = this.#walks[0];
    const ahead = trace.steps.slice(step + 1, step + 4).map((one) => one.viewpoint);
    const beside = trace.steps[step].candidates.map((candidate) => candidate.viewpoint);
    expect(trace.scan, trace.ending === "under way" ? beside : ahead);
  }

  #words() {
    const attending = this.#walks.filter(({ trace }) => trace.steps[0].word_attention);
    const shown = attending.length ? attending : this.#walks.slice(0, 1);
    const named = attending.length > 0 && this.#walks.length > 1;
    get("instructions").replaceChildren(
      ...shown.map(({ trace, step, second }) => instruction(trace, step, { second, named })),
    );
  }

  #drawMap() {
    const map = this.#map;
    const walks = this.#walks.map((walk, place) => ({ ...walk, look: this.#views[place].look }));
    const way = this.#options.showWay ? this.#walks[0].trace.path : null;
    get("map").replaceChildren(map.draw(walks, { way, go: this.#options.go }));
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
    const options = {
      width: get("charts").clientWidth,
      last: Math.max(...lengths),
      furthest: Math.max(1, ...distances),
      jump: this.#options.jump,
      showGoal: this.#options.showWay,
    };
    // Who gives no probabilities has little to show beside one who does.
    const telling = this.#walks.filter(({ trace }) => trace.steps[0].stop_probability != null);
    const drawn = telling.length ? telling : this.#walks;
    get("charts").replaceChildren(
      ...drawn.map(({ trace, step, second }) => chart(trace, step, { second, ...options })),
    );
  }

  #legend(way) {
    const line = (kind, height = 3) =>
      svg(
        "svg",
        { viewBox: "0 0 22 10", "aria-hidden": true },
        svg("rect", { y: 5 - height / 2, width: 22, height, fill: `var(--${kind})` }),
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
