// Walking oneself: the server keeps the walk, the page shows it.

import { source } from "viewer/source.js";

const get = (id) => document.getElementById(id);

export class Drive {
  active = false;
  trace = null;
  #number = 0;
  #busy = false;
  #changed;

  // `changed()` is called when the walk has gone on, or was left.
  constructor(changed) {
    this.#changed = changed;
    get("leave").addEventListener("click", () => this.leave());
    get("save").addEventListener("click", () => this.#save());
    get("show-way").addEventListener("change", () => changed());
  }

  // Nobody should see the way before they have walked.
  get showWay() {
    return this.over || get("show-way").checked;
  }

  get over() {
    return this.trace?.ending === "stopped";
  }

  async start(body) {
    get("show-way").checked = false;
    this.#take(await source.drive(body));
  }

  async act(action) {
    if (!this.active || this.over || this.#busy) return;
    this.#busy = true;
    try {
      this.#take(await source.act({ drive: this.#number, action }));
    } catch (error) {
      notice(error.message);
    } finally {
      this.#busy = false;
    }
  }

  leave() {
    this.active = false;
    this.#buttons();
    this.#changed();
  }

  #take({ drive, trace }) {
    this.#number = drive;
    this.trace = trace;
    this.active = true;
    this.#buttons();
    this.#changed();
  }

  async #save() {
    try {
      const { file } = await source.save({ drive: this.#number });
      notice(`Saved: ${file}`);
      get("save").disabled = true;
    } catch (error) {
      notice(error.message);
    }
  }

  #buttons() {
    get("driving").hidden = !this.active;
    get("stop").disabled = this.over;
    get("save").disabled = !this.over;
    get("driving").querySelector("p").innerHTML = this.over
      ? "<strong>You have stopped.</strong> The metrics are on the right."
      : "<strong>You are walking.</strong> Click a marker, or press its number. Drag to look around.";
  }
}

export function notice(text) {
  get("notice").textContent = text;
  get("notice").hidden = !text;
}
