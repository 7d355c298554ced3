// Slider, play and pause, speed, and starting again at the end.

import { recall, store } from "viewer/memory.js";
import { motion, pause } from "viewer/motion.js";

const STAY = 1100; // milliseconds at a step once it is reached
const SPEEDS = [0.5, 1, 2, 4];

const get = (id) => document.getElementById(id);

export class Player {
  #jump;
  #playing = null;
  #last = 0;
  #step = 0;

  // `jump(step)` shows a step and resolves once it is reached.
  constructor(jump) {
    this.#jump = jump;
    get("step").addEventListener("input", (event) => {
      this.pause();
      jump(Number(event.target.value));
    });
    get("back").addEventListener("click", () => this.go(-1));
    get("next").addEventListener("click", () => this.go(1));
    get("play").addEventListener("click", () => this.toggle());
    get("speed").addEventListener("change", () => this.#pace(Number(get("speed").value)));
    get("loop").addEventListener("click", () => this.loop());
    this.#pace(Number(recall("speed") ?? 1));
    if (recall("loop") === "true") this.loop();
  }

  at(step, last) {
    [this.#step, this.#last] = [step, last];
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

  go(by) {
    this.pause();
    const step = Math.min(this.#last, Math.max(0, this.#step + by));
    if (step !== this.#step) this.#jump(step);
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
    if (this.#step === this.#last) await this.#jump(0);
    while (await pause(STAY, signal)) {
      await this.#jump(this.#step === this.#last ? 0 : this.#step + 1);
    }
  }

  pause() {
    this.#playing?.abort();
    this.#playing = null;
    this.#label("Play");
  }

  // Faster, or slower.
  change(by) {
    const place = SPEEDS.indexOf(motion.speed) + by;
    if (place in SPEEDS) this.#pace(SPEEDS[place]);
  }

  loop() {
    get("loop").setAttribute("aria-pressed", !this.#loops);
    store("loop", this.#loops);
  }

  get #loops() {
    return get("loop").getAttribute("aria-pressed") === "true";
  }

  #pace(speed) {
    motion.speed = SPEEDS.includes(speed) ? speed : 1;
    get("speed").value = String(motion.speed);
    store("speed", motion.speed);
  }

  #label(text) {
    get("play").textContent = text;
    get("play").setAttribute("aria-label", text);
  }
}
