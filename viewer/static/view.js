// The view of one agent: panorama, candidate markers and caption. A move to the next step first
// turns to the chosen candidate and then glides there.

import { ViewWeights, attentionScale, strengths } from "viewer/attention.js";
import { caption } from "viewer/caption.js";
import { enableLookAround } from "viewer/look_around.js";
import { Markers } from "viewer/markers.js";
import { animate, motion, pause, turnBetween } from "viewer/motion.js";
import { ObjectBoxes, answerDirection } from "viewer/objects.js";
import { Panorama } from "viewer/panorama.js";
import { headingAt, moveBetween } from "viewer/moves.js";
import { firstPicture, picture, widthsFor } from "viewer/pictures.js";
import { isFree, placeName } from "viewer/positions.js";
import { html, svg } from "viewer/elements.js";

// Radians. The camera looks slightly down, because the markers are on the floor.
const ELEVATION = -0.16, SAME_DIRECTION = 0.02;
const VISIBLE = 0.36; // share of the field of view around its centre that contains the chosen marker
// Milliseconds: delay before finer pictures and before the loading text, then animations.
const REFINE_DELAY = 160, SLOW = 500;
const GLIDE = 900, FADE = 300, HALF_TURN = 1100, SHORTEST_TURN = 240;
const QUICK = 130; // of a step of a continuous walk

export class View {
  onLook = () => {};
  onMove = () => {};
  #canvas = html("canvas", { tabindex: 0, role: "img" });
  #layer = svg("svg", { class: "markers", role: "group", "aria-label": "Candidates" });
  #weightLayer = svg("svg", { class: "weights", "aria-hidden": true });
  #objectLayer = svg("svg", { class: "objects", role: "img" });
  #caption = html("figcaption");
  #scale = html("p", { class: "scale" });
  #status = html("p", { class: "state" });
  #panorama = new Panorama(this.#canvas);
  #markers = new Markers(this.#layer, this.#panorama);
  #weights = new ViewWeights(this.#weightLayer, this.#panorama);
  #objects = new ObjectBoxes(this.#objectLayer, this.#panorama);
  #current = null; // { scan, number, step }
  #move = new AbortController();
  #turn = new AbortController();
  #width = 0; // columns of the picture shown
  #attention = null; // weights of the step's views, null if they are hidden
  #refining = null; // signal of the move after which finer pictures are loaded

  constructor(second) {
    this.second = second;
    this.element = html("figure", { class: second ? "view two" : "view" });
    // In a low window the scale lies below markers, which the user reads and clicks.
    this.element.append(
      ...[this.#canvas, this.#objectLayer, this.#weightLayer, this.#status],
      ...[this.#scale, this.#layer, this.#caption],
    );
    enableLookAround(this.#canvas, this.#panorama, () => this.#turn.abort());
    this.#canvas.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "0" && this.#current) this.face(headingAt(this.#current.step));
    });
    this.#panorama.onLook = () => {
      this.#markers.place();
      this.#weights.place();
      this.#objects.place();
      const { heading, elevation } = this.#panorama.camera;
      const degrees = [heading, elevation].map((angle) => ((angle * 180) / Math.PI).toFixed(1));
      [this.#canvas.dataset.heading, this.#canvas.dataset.elevation] = degrees;
      this.onLook(heading, this.#panorama.horizontalField);
      this.#refine();
    };
  }

  // Heading and horizontal field of view of the camera.
  get camera() {
    return {
      heading: this.#panorama.camera.heading,
      across: this.#panorama.horizontalField,
    };
  }

  // Picture columns that the view resolves.
  get columns() {
    return this.#panorama.columns;
  }

  face(heading) {
    this.#turn.abort();
    this.#panorama.turn(heading, this.#elevation());
  }

  // Ends movements before the view is removed, which would otherwise go on to move the agent on the
  // map.
  close() {
    this.#move.abort();
    this.#turn.abort();
    this.onLook = this.onMove = () => {};
  }

  // Shows a step. Resolves to true once the view is there, to false if a later call replaced it.
  async show(trace, number, { choose, attention, objects, prefetchNext }) {
    const step = trace.steps[number];
    const previous = this.#current;
    this.#describe(trace, number);
    this.#attention = attention ? step.view_attention : null;
    this.#markers.show(step, choose);
    this.#objectLayer.toggleAttribute("hidden", !objects || !step.objects.length);
    this.#objects.show(objects ? step.objects : []);
    if (previous?.step === step) {
      // During a move the picture may be that of another step.
      const still = this.element.dataset.state === "still";
      if (still || !this.#attention) this.#showAttention(this.#attention);
      return true;
    }
    this.#move.abort();
    this.#move = new AbortController();
    const { signal } = this.#move;
    this.#current = { scan: trace.scan, number, step };
    this.#panorama.finishMove();
    this.element.dataset.state = "moving";
    if (motion.reduced || !previous) {
      this.face(headingAt(step));
      this.#showAttention(this.#attention);
    } else {
      this.#showAttention(null);
    }
    if (!(await this.#moveTo(previous, trace, number, signal))) return false;
    this.#showAttention(this.#attention); // as the user wants it by now
    this.element.dataset.state = "still";
    prefetchNext?.().then(() => this.#refine());
    return true;
  }

  async #moveTo(previous, trace, number, signal) {
    const move = moveBetween(previous, trace, number);
    const loading = this.#load(trace.scan, trace.steps[number].viewpoint, signal);
    if (!motion.reduced) this.onMove(move, 0);
    // An agent that slides along a wall does not face the direction of its movement.
    if (previous && move && !move.back && !move.quick) await this.#turnTo(move.heading, signal);
    const bitmap = await loading;
    if (signal.aborted) return false;
    if (bitmap) {
      if (previous) {
        this.#panorama.startMove(bitmap, move);
        const paint = (progress) => {
          this.#panorama.continueMove(progress);
          this.onMove(move, progress);
        };
        const time = isFree(trace.steps[number].viewpoint) ? (move ? QUICK : 0) : move ? GLIDE : FADE;
        if (!(await animate(time, paint, signal))) return false;
        this.#panorama.finishMove();
      } else this.#panorama.show(bitmap);
    }
    this.onMove(move, 1);
    const { step } = this.#current;
    this.#canvas.dataset.picture = `${trace.scan}/${step.viewpoint}`;
    await this.#turnTo(headingAt(step), signal);
    return !signal.aborted;
  }

  // Turns in the shorter direction; the turn ends if the user starts to drag.
  #turnTo(heading, signal) {
    const from = { ...this.#panorama.camera };
    const right = turnBetween(from.heading, heading);
    const up = this.#elevation() - from.elevation;
    if (Math.abs(right) < SAME_DIRECTION && Math.abs(up) < SAME_DIRECTION) return true;
    this.#turn = new AbortController();
    const either = AbortSignal.any([signal, this.#turn.signal]);
    const time = Math.max(SHORTEST_TURN, (HALF_TURN * Math.abs(right)) / Math.PI);
    const paint = (progress) =>
      this.#panorama.turn(from.heading + progress * right, from.elevation + progress * up);
    return animate(time, paint, either);
  }

  // Camera elevation at which the chosen marker or object is in the picture.
  #elevation() {
    const { step } = this.#current;
    const answer = answerDirection(step)?.elevation ?? ELEVATION;
    const chosen = step.action ? step.candidates[step.action - 1].floor : answer;
    const margin = VISIBLE * this.#panorama.camera.field;
    return Math.min(chosen + margin, Math.max(chosen - margin, ELEVATION));
  }

  // Returns the first picture of a viewpoint to show, or null if there is none.
  async #load(scan, viewpoint, signal) {
    const slow = setTimeout(() => {
      if (signal.aborted) return;
      this.#status.textContent =
        "Rendering the panorama … (a house is built on its first visit, which takes several seconds)";
    }, SLOW);
    try {
      const bitmap = await firstPicture(scan, viewpoint, widthsFor(this.columns));
      if (signal.aborted) return null;
      this.#status.textContent = "";
      this.#setWidth(bitmap.width);
      return bitmap;
    } catch (error) {
      if (!signal.aborted) this.#status.textContent = `No picture: ${error.message}`;
      return null;
    } finally {
      clearTimeout(slow);
    }
  }

  // Loads finer pictures while the view stays, up to the resolution of the screen.
  async #refine() {
    const { scan, step } = this.#current;
    const { signal } = this.#move;
    if (this.element.dataset.state !== "still" || this.#refining === signal) return;
    const finer = widthsFor(this.#panorama.columns).filter((width) => width > this.#width);
    if (!finer.length) return;
    this.#refining = signal;
    if (!(await pause(REFINE_DELAY, signal))) return;
    for (const width of finer) {
      const bitmap = await picture(scan, step.viewpoint, width).catch(() => null);
      if (signal.aborted || !bitmap) return; // the coarser picture stays
      this.#panorama.show(bitmap);
      this.#setWidth(width);
    }
    this.#refining = null;
  }

  #setWidth(width) {
    this.#width = width;
    this.#canvas.dataset.columns = width;
  }

  #showAttention(weights) {
    this.#panorama.showAttention(weights ? strengths(weights) : null);
    this.#weights.show(weights);
    this.#scale.hidden = !weights;
    if (!weights) return;
    this.#scale.replaceChildren(...attentionScale(weights).map((part) => html("span", {}, part)));
  }

  #describe(trace, number) {
    this.#caption.replaceChildren(...caption(trace, number));
    this.#canvas.setAttribute(
      "aria-label",
      `Panorama of ${placeName(trace.steps[number].viewpoint)} in ${trace.scan}: ` +
        `${trace.agent}, step ${number}. Use the arrow keys to look around.`,
    );
  }
}
