// What one agent sees at one step: panorama, marks, and a line of figures. It turns to where the
// agent goes before it follows, and glides there.

import { ViewWeights, scale, strengths } from "viewer/attention.js";
import { caption } from "viewer/caption.js";
import { lookAround } from "viewer/looking.js";
import { Marks } from "viewer/marks.js";
import { animate, motion, pause, turnBetween } from "viewer/motion.js";
import { Panorama } from "viewer/panorama.js";
import { facing, passage } from "viewer/passage.js";
import { nearest, picture, sizes } from "viewer/pictures.js";
import { html, svg } from "viewer/svg.js";

const DOWN = -0.16; // marks lie on the floor
const SEEN = 0.36; // of the field of view, above and below its middle, in which the chosen mark lies
const SHARPEN = 160, SLOW = 500; // milliseconds
const GLIDE = 900, FADE = 300, HALF_TURN = 1100, QUICK = 240;
const UNTURNED = 0.02;

export class View {
  onlook = () => {};
  onpass = () => {};
  #canvas = html("canvas", { tabindex: 0, role: "img" });
  #layer = svg("svg", { class: "marks", role: "group", "aria-label": "Where to go" });
  #numbers = svg("svg", { class: "weights", "aria-hidden": true });
  #caption = html("figcaption");
  #scale = html("p", { class: "scale" });
  #state = html("p", { class: "state" });
  #panorama = new Panorama(this.#canvas);
  #marks = new Marks(this.#layer, this.#panorama);
  #weights = new ViewWeights(this.#numbers, this.#panorama);
  #at = null; // { scan, number, step }
  #journey = new AbortController();
  #turning = new AbortController();
  #sharp = 0; // columns of the picture that is shown
  #refining = null; // signal of the journey at whose end finer pictures are fetched

  constructor(second) {
    this.second = second;
    this.element = html("figure", { class: second ? "view two" : "view" });
    this.element.append(
      ...[this.#canvas, this.#numbers, this.#state, this.#layer, this.#caption, this.#scale],
    );
    lookAround(this.#canvas, this.#panorama, () => this.#turning.abort());
    this.#canvas.addEventListener("keydown", (event) => {
      if (event.key === "0" && this.#at) this.face(facing(this.#at.step));
    });
    this.#panorama.onlook = () => {
      this.#marks.place();
      this.#weights.place();
      const { heading, elevation } = this.#panorama.look;
      const degrees = [heading, elevation].map((angle) => ((angle * 180) / Math.PI).toFixed(1));
      [this.#canvas.dataset.heading, this.#canvas.dataset.elevation] = degrees;
      this.onlook(heading, this.#panorama.fieldAcross);
      this.#refine();
    };
  }

  get look() {
    return { heading: this.#panorama.look.heading, across: this.#panorama.fieldAcross };
  }

  face(heading) {
    this.#turning.abort();
    this.#panorama.turn(heading, this.#tilt());
  }

  // Shows a step. Resolves to true once the view has arrived there, to false if it was sent on.
  async show(trace, number, { choose, attention, upcoming }) {
    const step = trace.steps[number];
    const before = this.#at;
    this.#describe(trace, number);
    const weights = attention ? step.view_attention : null;
    this.#marks.show(step, choose);
    if (before?.step === step) {
      this.#attend(weights);
      return true;
    }
    this.#journey.abort();
    this.#journey = new AbortController();
    const { signal } = this.#journey;
    this.#at = { scan: trace.scan, number, step };
    this.#panorama.arrive();
    this.element.dataset.state = "moving";
    if (motion.reduced || !before) {
      this.face(facing(step));
      this.#attend(weights);
    } else {
      this.#attend(null);
    }
    if (!(await this.#go(before, trace, number, signal))) return false;
    this.#attend(weights);
    this.element.dataset.state = "still";
    upcoming?.().then(() => this.#refine());
    return true;
  }

  async #go(before, trace, number, signal) {
    const way = passage(before, trace, number);
    const coming = this.#picture(trace.scan, trace.steps[number].viewpoint, signal);
    if (!motion.reduced) this.onpass(way, 0);
    if (before && way && !way.back) await this.#turn(way.heading, signal);
    const found = await coming;
    if (signal.aborted) return false;
    if (found) {
      if (before) {
        this.#panorama.pass(found, way);
        const share = (part) => {
          this.#panorama.along(part);
          this.onpass(way, part);
        };
        if (!(await animate(way ? GLIDE : FADE, share, signal))) return false;
        this.#panorama.arrive();
      } else this.#panorama.show(found);
    }
    this.onpass(way, 1);
    const { step } = this.#at;
    this.#canvas.dataset.picture = `${trace.scan}/${step.viewpoint}`;
    await this.#turn(facing(step), signal);
    return !signal.aborted;
  }

  // Turns by the shorter way; whoever drags the picture meanwhile keeps it.
  #turn(heading, signal) {
    const { look } = this.#panorama;
    const from = { ...look };
    const [right, up] = [turnBetween(from.heading, heading), this.#tilt() - from.elevation];
    if (Math.abs(right) < UNTURNED && Math.abs(up) < UNTURNED) return true;
    this.#turning = new AbortController();
    const either = AbortSignal.any([signal, this.#turning.signal]);
    const time = Math.max(QUICK, (HALF_TURN * Math.abs(right)) / Math.PI);
    const paint = (share) =>
      this.#panorama.turn(from.heading + share * right, from.elevation + share * up);
    return animate(time, paint, either);
  }

  // Elevation of a look that has the chosen mark in it.
  #tilt() {
    const { step } = this.#at;
    const floor = step.action ? step.candidates[step.action - 1].floor : DOWN;
    const room = SEEN * this.#panorama.look.field;
    return Math.min(floor + room, Math.max(floor - room, DOWN));
  }

  // The picture of a viewpoint to begin with, or null where there is none.
  async #picture(scan, viewpoint, signal) {
    const width = nearest(scan, viewpoint, sizes(this.#panorama.columns));
    const slow = setTimeout(() => {
      if (signal.aborted) return;
      this.#state.textContent =
        "Drawing the panorama … (a house is built when it is first visited, about 15 s)";
    }, SLOW);
    try {
      const found = await picture(scan, viewpoint, width);
      if (signal.aborted) return null;
      this.#state.textContent = "";
      this.#columns(width);
      return found;
    } catch (error) {
      if (!signal.aborted) this.#state.textContent = `No picture: ${error.message}`;
      return null;
    } finally {
      clearTimeout(slow);
    }
  }

  // Fetches finer pictures for a view that stays, as fine as the screen shows them.
  async #refine() {
    const { scan, step } = this.#at;
    const { signal } = this.#journey;
    if (this.element.dataset.state !== "still" || this.#refining === signal) return;
    const finer = sizes(this.#panorama.columns).filter((width) => width > this.#sharp);
    if (!finer.length) return;
    this.#refining = signal;
    if (!(await pause(SHARPEN, signal))) return;
    for (const width of finer) {
      const found = await picture(scan, step.viewpoint, width).catch(() => null);
      if (signal.aborted || !found) return; // what stands there is good enough
      this.#panorama.show(found);
      this.#columns(width);
    }
    this.#refining = null;
  }

  #columns(width) {
    this.#sharp = width;
    this.#canvas.dataset.columns = width;
  }

  #attend(weights) {
    this.#panorama.attend(weights ? strengths(weights) : null);
    this.#weights.show(weights);
    this.#scale.hidden = !weights;
    if (weights) this.#scale.replaceChildren(...scale(weights).map((part) => html("span", {}, part)));
  }

  #describe(trace, number) {
    this.#caption.replaceChildren(...caption(trace, number));
    this.#canvas.setAttribute(
      "aria-label",
      `Panorama of viewpoint ${trace.steps[number].viewpoint.slice(0, 6)} in ${trace.scan}, as ` +
        `${trace.agent} sees it at step ${number}. Arrow keys look around.`,
    );
  }
}
