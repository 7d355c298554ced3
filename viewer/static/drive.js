// Walking oneself: the server keeps and saves the walk, the page shows it.

import { latest } from "viewer/latest.js";
import { badge } from "viewer/list.js";
import { figure } from "viewer/metrics.js";
import { source } from "viewer/source.js";
import { html, once } from "viewer/svg.js";

const get = (id) => document.getElementById(id);

export class ManualWalk {
  active = false;
  key = ""; // of the episode
  trace = null;
  #file = null;
  #busy = false;
  #changed;

  // `changed()` is called when the walk has gone on. `act` of the buttons: stop(), next(), leave().
  constructor(changed, act) {
    this.#changed = changed;
    get("show-way").addEventListener("change", () => changed());
    get("stop").addEventListener("click", once(act.stop));
    get("next-episode").addEventListener("click", once(act.next));
    get("leave").addEventListener("click", once(act.leave));
    get("afresh").addEventListener("click", once(() => this.start({ episode: this.key, afresh: true })));
  }

  // Nobody should see the way before they have walked.
  get showWay() {
    return this.over || get("show-way").checked;
  }

  get over() {
    return this.trace?.ending === "stopped";
  }

  // Resumes the walk of an episode or begins one.
  start(body) {
    return latest(
      () => source.drive(body),
      ({ trace, file }) => {
        get("show-way").checked = false;
        Object.assign(this, { active: true, key: body.episode, trace });
        this.#file = file;
        return this.#gone();
      },
    );
  }

  async act(action) {
    if (!this.active || this.over || this.#busy) return;
    this.#busy = true;
    const order = { episode: this.key, action, step: this.trace.steps.length - 1 };
    try {
      await latest(
        async () => {
          // The server has gone on, whether or not this is still to be shown.
          const { trace, file } = await source.act(order);
          this.trace = trace;
          this.#file = file;
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

  // Tells how the walk ended, and how somebody else's did. Both are { outcome, metrics }.
  conclude(mine, theirs, name) {
    const told = ["NE", "SPL", "nDTW"].map((metric) => `${metric} ${figure(metric, mine.metrics)}`);
    const known = "NE" in mine.metrics;
    const parts = [
      ...[html("strong", {}, "You have stopped."), badge(mine.outcome)],
      html("span", {}, known ? told.join(" · ") : "The goal is secret, so nothing can be measured."),
    ];
    if (theirs) parts.push(html("span", { class: "rival" }, `${name}:`), badge(theirs.outcome));
    if (theirs && known) parts.push(html("span", {}, `NE ${figure("NE", theirs.metrics)}`));
    if (this.#file) parts.push(html("span", { class: "file" }, `Saved: ${this.#file}`));
    get("walking").replaceChildren(...parts);
  }

  #gone() {
    this.#buttons();
    return this.#changed();
  }

  #buttons() {
    get("driving").hidden = !this.active;
    document.body.classList.toggle("walking", this.active);
    for (const id of ["stop", "way-label"]) get(id).hidden = this.over;
    get("next-episode").hidden = !this.over;
    get("afresh").textContent = this.over ? "Walk again" : "Start over";
    get("afresh").hidden = !this.over && this.trace?.steps.length < 2;
    if (this.over) return;
    const told = "Click a marker, or press its number. Drag to look around. Your walk is saved as you go.";
    get("walking").replaceChildren(html("strong", {}, "You are walking."), html("span", {}, told));
  }
}
