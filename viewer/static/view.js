// What one agent sees at one step: panorama, marks, and a line of figures.

import { strengths } from "viewer/attention.js";
import { lookAround } from "viewer/looking.js";
import { Marks } from "viewer/marks.js";
import { Panorama } from "viewer/panorama.js";
import { LARGE, SMALL, bare, picture } from "viewer/pictures.js";
import { html, percent, svg } from "viewer/svg.js";

const DOWN = -0.16; // marks lie on the floor
const SHARPEN = 120; // milliseconds at a step before the larger picture is fetched

export class View {
  onlook = () => {};
  #canvas = html("canvas", { tabindex: 0, role: "img" });
  #layer = svg("svg", { class: "marks", role: "group", "aria-label": "Where to go" });
  #caption = html("figcaption");
  #state = html("p", { class: "state" });
  #panorama = new Panorama(this.#canvas);
  #marks = new Marks(this.#layer, this.#panorama);
  #shown = "";
  #sharpen = 0;
  #step = null;

  constructor(second, note) {
    this.second = second;
    this.note = note;
    this.element = html("figure", { class: second ? "view two" : "view" });
    this.element.append(this.#canvas, this.#state, this.#layer, this.#caption);
    lookAround(this.#canvas, this.#panorama);
    this.#canvas.addEventListener("keydown", (event) => {
      if (event.key === "0" && this.#step) this.#ahead();
    });
    this.#panorama.onlook = () => {
      this.#marks.place();
      this.onlook(this.#panorama.look.heading, this.#panorama.fieldAcross);
    };
  }

  get look() {
    return { heading: this.#panorama.look.heading, across: this.#panorama.fieldAcross };
  }

  show(trace, number, { choose, attention, upcoming }) {
    const step = trace.steps[number];
    const before = this.#step;
    this.#step = step;
    this.#describe(trace, number);
    this.#panorama.attend(attention && step.view_attention ? strengths(step.view_attention) : null);
    this.#marks.show(step, choose);
    if (before !== step) this.#ahead();
    return this.#picture(trace.scan, step.viewpoint, upcoming);
  }

  face(heading) {
    this.#panorama.turn(heading, DOWN);
  }

  #ahead() {
    this.#panorama.turn(this.#step.heading, DOWN);
  }

  async #picture(scan, viewpoint, upcoming) {
    const key = `${scan}/${viewpoint}`;
    if (!this.#panorama.works) {
      this.#state.textContent = "This browser has no WebGL2: panoramas are not shown.";
      return;
    }
    if (this.note) return this.#panorama.show(bare());
    if (key === this.#shown) return;
    this.#shown = key;
    clearTimeout(this.#sharpen);
    const slow = setTimeout(() => {
      this.#state.textContent =
        "Drawing the panorama … (a house is built when it is first visited, about 15 s)";
    }, 500);
    const show = (bitmap) => {
      if (this.#shown !== key) return;
      this.#panorama.show(bitmap);
      this.#canvas.dataset.picture = key;
      this.#state.textContent = "";
    };
    try {
      show(await picture(scan, viewpoint, SMALL));
      this.#canvas.classList.remove("fresh");
      requestAnimationFrame(() => this.#canvas.classList.add("fresh"));
      upcoming?.();
      this.#sharpen = setTimeout(() => {
        if (this.#shown === key) picture(scan, viewpoint, LARGE).then(show, () => {});
      }, SHARPEN);
    } catch (error) {
      if (this.#shown !== key) return;
      this.#shown = "";
      this.#state.textContent = `No picture: ${error.message}`;
    } finally {
      clearTimeout(slow);
    }
  }

  #describe(trace, number) {
    const step = trace.steps[number];
    const last = trace.steps.length - 1;
    const walking = trace.ending === "under way";
    const place = walking ? `after ${number} step${number === 1 ? "" : "s"}` : `step ${number} of ${last}`;
    const facts = [html("b", {}, trace.agent), place];
    if (step.stop_probability != null) facts.push(`P(stop) ${percent(step.stop_probability)}`);
    if (step.value != null) facts.push(`value ${step.value.toFixed(2)}`);
    if (step.action === 0) facts.push("stops here");
    else if (number === last && trace.ending === "cut off") facts.push("cut off");
    this.#caption.replaceChildren(...facts.map((fact) => html("span", {}, fact)));
    this.#canvas.setAttribute(
      "aria-label",
      `Panorama of viewpoint ${step.viewpoint.slice(0, 6)} in ${trace.scan}, as ${trace.agent} ` +
        `sees it at step ${number}. Arrow keys look around.`,
    );
  }
}
