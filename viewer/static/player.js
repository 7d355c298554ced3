// Playback controls: slider, play and pause, speed, loop.

import { recall, store } from "viewer/preferences.js";
import { motion, pause } from "viewer/motion.js";

const PAUSE = 1100; // milliseconds at each step
const QUICK = 40; // at each step of a continuous walk
const SPEEDS = [0.5, 1, 2, 4];

const get = (id) => document.getElementById(id);

export class Player {
  #showStep;
  #playing = null;
  #last = 0;
  #step = 0;
  #pause = PAUSE;

  // `showStep(step)` shows a step and resolves when the move to it is complete.
  constructor(showStep) {
    this.#showStep = showStep;
    get("step").addEventListener("input", (event) => {
      this.pause();
      showStep(Number(event.target.value));
    });
    get("back").addEventListener("click", () => this.go(-1));
    get("next").addEventListener("click", () => this.go(1));
    get("play").addEventListener("click", () => this.toggle());
    get("speed").addEventListener("change", () => this.#setSpeed(Number(get("speed").value)));
    get("loop").addEventListener("click", () => this.toggleLoop());
    this.#setSpeed(Number(recall("speed") ?? 1));
    if (recall("loop") === "true") this.toggleLoop();
  }

  // Displays the current step and the number of the last one; `quick` plays without pauses.
  update(step, last, quick = false) {
    [this.#step, this.#last] = [step, last];
    this.#pause = quick ? QUICK : PAUSE;
    const slider = get("step");
    slider.max = last;
    slider.value = step;
    slider.setAttribute("aria-valuetext", `step ${step} of ${last}`);
    get("step-text").textContent = last ? `step ${step} of ${last}` : "at the start";
    get("back").disabled = step === 0;
    get("next").disabled = step === last;
    get("play").disabled = last === 0;
    if (step === last && !this.#loops) this.pause();
  }

  // Moves by a number of steps, forward or back.
  go(by) {
    this.pause();
    const step = Math.min(this.#last, Math.max(0, this.#step + by));
    if (step !== this.#step) this.#showStep(step);
  }

  toggle() {
    if (this.#playing) this.pause();
    else this.play();
  }

  async play() {
    if (!this.#last) return;
    this.pause();
    this.#playing = new AbortController();
    this.#label("Pause");
    const { signal } = this.#playing;
    if (this.#step === this.#last) await this.#showStep(0);
    while (await pause(this.#pause, signal)) {
      await this.#showStep(this.#step === this.#last ? 0 : this.#step + 1);
    }
  }

  pause() {
    this.#playing?.abort();
    this.#playing = null;
    this.#label("Play");
  }

  // Selects the next faster (1) or slower (-1) speed.
  changeSpeed(by) {
    const index = SPEEDS.indexOf(motion.speed) + by;
    if (index in SPEEDS) this.#setSpeed(SPEEDS[index]);
  }

  toggleLoop() {
    get("loop").setAttribute("aria-pressed", !this.#loops);
    store("loop", this.#loops);
  }

  get #loops() {
    return get("loop").getAttribute("aria-pressed") === "true";
  }

  #setSpeed(speed) {
    motion.speed = SPEEDS.includes(speed) ? speed : 1;
    get("speed").value = String(motion.speed);
    store("speed", motion.speed);
  }

  #label(text) {
    get("play").textContent = text;
    get("play").setAttribute("aria-label", text);
  }
}
