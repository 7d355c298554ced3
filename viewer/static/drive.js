// Walking oneself: the server keeps the walk, the page shows it.

import { latest, notice } from "viewer/latest.js";
import { source } from "viewer/source.js";

const get = (id) => document.getElementById(id);

export class Drive {
  active = false;
  key = ""; // of the episode
  trace = null;
  #number = 0;
  #busy = false;
  #changed;
  #saved;

  // `changed()` is called when the walk has gone on, `saved()` when it is among the episodes.
  constructor(changed, saved) {
    this.#changed = changed;
    this.#saved = saved;
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

  start(body) {
    return latest(
      () => source.drive(body),
      ({ drive, trace }) => {
        get("show-way").checked = false;
        Object.assign(this, { active: true, key: body.episode, trace });
        this.#number = drive;
        return this.#gone();
      },
    );
  }

  async act(action) {
    if (!this.active || this.over || this.#busy) return;
    this.#busy = true;
    try {
      await latest(
        async () => {
          // The server has gone on, whether or not this is still to be shown.
          this.trace = (await source.act({ drive: this.#number, action })).trace;
        },
        () => this.#gone(),
      );
    } finally {
      this.#busy = false;
    }
  }

  leave() {
    this.active = false;
    this.#buttons();
  }

  #gone() {
    this.#buttons();
    return this.#changed();
  }

  async #save() {
    try {
      const { file } = await source.save({ drive: this.#number });
      get("save").disabled = true;
      await this.#saved();
      notice(`Saved: ${file}`);
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
