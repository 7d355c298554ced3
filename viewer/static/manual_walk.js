// Walk by hand: the server records and saves it, the page displays it.

import { latest } from "viewer/requests.js";
import { badge } from "viewer/episode_list.js";
import { briefMetrics, formatMetric } from "viewer/metrics.js";
import { source } from "viewer/data_source.js";
import { html, firstClick } from "viewer/elements.js";

const get = (id) => document.getElementById(id);

export class ManualWalk {
  active = false;
  key = ""; // of the episode
  trace = null;
  #file = null;
  #acting = null; // the action under way: a new one waits for it, but not a new walk
  #onChange;
  #continuous;

  // `onChange()` is called after each change of the walk; `buttons` is { stop, next, leave }, the
  // functions that the buttons call; `continuous` walks are driven with the arrow keys.
  constructor(onChange, buttons, continuous) {
    this.#onChange = onChange;
    this.#continuous = continuous;
    const restart = () => this.start({ episode: this.key, restart: true });
    get("stop").addEventListener("click", firstClick(buttons.stop));
    get("next-episode").addEventListener("click", firstClick(buttons.next));
    get("leave").addEventListener("click", firstClick(buttons.leave));
    get("restart").addEventListener("click", firstClick(restart));
  }

  // The reference path is hidden during the walk unless the user asks for it.
  get showPath() {
    return this.over || get("show-path").checked;
  }

  get over() {
    return this.trace?.ending === "stopped";
  }

  // Resumes the unfinished walk of an episode, or starts a new one.
  start(body) {
    return latest(
      () => source.walk(body),
      ({ trace, file }) => {
        get("show-path").checked = false;
        Object.assign(this, { active: true, key: body.episode, trace });
        this.#file = file;
        this.#acting = null;
        return this.#update();
      },
    );
  }

  async act(action) {
    if (!this.active || this.over || this.#acting) return;
    const before = this.trace;
    const body = { episode: this.key, action, step: before.steps.length - 1 };
    this.#acting = body;
    try {
      await latest(
        async () => {
          // The walk has changed on the server even if the page shows something else by now.
          const { trace, file } = await source.act(body);
          if (this.trace !== before) return; // the user has started another walk
          this.trace = trace;
          this.#file = file;
        },
        () => this.#update(),
      );
    } finally {
      if (this.#acting === body) this.#acting = null;
    }
  }

  leave() {
    this.active = false;
    this.#updateBar();
  }

  // Displays the outcome of the walk and of an agent's walk, both { outcome, metrics }.
  conclude(user, agent, agentName) {
    const known = "NE" in user.metrics;
    const parts = [
      html("strong", {}, "You have stopped."),
      badge(user.outcome),
      html("span", {}, known ? briefMetrics(user.metrics) : "The goal is not known, so there are no metrics."),
    ];
    if (agent) parts.push(html("span", { class: "agent-name" }, `${agentName}:`), badge(agent.outcome));
    if (agent && known) parts.push(html("span", {}, `NE ${formatMetric("NE", agent.metrics)}`));
    if (this.#file) parts.push(html("span", { class: "file" }, `Saved: ${this.#file}`));
    get("walk-status").replaceChildren(...parts);
  }

  #update() {
    this.#updateBar();
    return this.#onChange();
  }

  #updateBar() {
    get("walk-bar").hidden = !this.active;
    document.body.classList.toggle("walking", this.active);
    for (const id of ["stop", "show-path-label"]) get(id).hidden = this.over;
    get("next-episode").hidden = !this.over;
    get("restart").textContent = this.over ? "Walk again" : "Start over";
    get("restart").hidden = !this.over && this.trace?.steps.length < 2;
    if (this.over) return;
    const help = this.#continuous
      ? "Arrow keys: step forward, turn left, turn right. Drag to look around. Your walk is saved after every step."
      : "Click a marker or press its number. Drag to look around. Your walk is saved after every step.";
    get("walk-status").replaceChildren(
      html("strong", {}, "You are walking."),
      html("span", {}, help),
    );
  }
}
