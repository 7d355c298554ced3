// Slider, play and pause.

const PACE = 1400; // milliseconds a step

const get = (id) => document.getElementById(id);

export class Player {
  #jump;
  #timer = 0;
  #last = 0;
  #step = 0;

  // `jump(step)` shows a step.
  constructor(jump) {
    this.#jump = jump;
    get("step").addEventListener("input", (event) => {
      this.pause();
      jump(Number(event.target.value));
    });
    get("back").addEventListener("click", () => this.go(-1));
    get("next").addEventListener("click", () => this.go(1));
    get("play").addEventListener("click", () => this.toggle());
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
    if (step === last) this.pause();
  }

  go(by) {
    this.pause();
    this.#jump(Math.min(this.#last, Math.max(0, this.#step + by)));
  }

  toggle() {
    if (this.#timer) this.pause();
    else this.play();
  }

  play() {
    if (this.#step === this.#last) this.#jump(0);
    if (!this.#last) return;
    this.#timer = setInterval(() => this.#jump(this.#step + 1), PACE);
    this.#label("Pause");
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
    this.#label("Play");
  }

  #label(text) {
    get("play").textContent = text;
    get("play").setAttribute("aria-label", text);
  }
}
