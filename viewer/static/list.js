// The list of episodes: search, filters, order.

import { figure } from "viewer/metrics.js";
import { html } from "viewer/svg.js";

const SHOWN = 150;
export const SIGNS = { success: "✓", "wrong stop": "!", lost: "✕", unknown: "?" };
const OUTCOMES = ["success", "wrong stop", "lost", "unknown"];
const METRICS = ["NE", "SPL", "nDTW", "sDTW", "CLS", "TL", "SR", "OSR"];

export class EpisodeList {
  #rows;
  #agent = () => null;
  #open;
  #current = "";
  #more = SHOWN;
  #get = (id) => document.getElementById(id);

  // `agent()` names the agent whose outcome counts; `open(key)` shows an episode.
  constructor(rows, agent, open) {
    this.#rows = rows;
    this.#agent = agent;
    this.#open = open;
    this.#options("filter-outcome", ["any", ...OUTCOMES]);
    this.#options("filter-split", ["any", ...new Set(rows.map((row) => row.split))]);
    this.#options("filter-language", ["any", ...new Set(rows.map((row) => row.language))]);
    this.#options("sort", ["file order", ...METRICS, "steps", "scan"]);
    for (const id of ["search", "filter-outcome", "filter-split", "filter-language", "sort"]) {
      this.#get(id).addEventListener("input", () => this.#fresh());
    }
    this.#get("sort-order").addEventListener("click", (event) => {
      const falling = event.target.getAttribute("aria-pressed") !== "true";
      event.target.setAttribute("aria-pressed", falling);
      event.target.textContent = falling ? "↓ falling" : "↑ rising";
      this.#fresh();
    });
    this.draw();
  }

  set rows(rows) {
    this.#rows = rows;
    this.draw();
  }

  set current(key) {
    this.#current = key;
    this.draw();
  }

  found() {
    const value = (id) => this.#get(id).value;
    const words = value("search").toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.#rows.filter(
      (row) =>
        fits(value("filter-split"), row.split) &&
        fits(value("filter-language"), row.language) &&
        fits(value("filter-outcome"), this.#walk(row)?.outcome) &&
        words.every((word) => text(row).includes(word)),
    );
    const by = value("sort");
    if (by === "file order") return rows;
    const sign = this.#get("sort-order").getAttribute("aria-pressed") === "true" ? -1 : 1;
    const measure = (row) =>
      by === "scan" ? row.scan : by === "steps" ? this.#walk(row)?.steps : this.#walk(row)?.metrics[by];
    return [...rows].sort((one, other) => order(measure(one), measure(other), sign));
  }

  // The episode after one in the order of the list; the first one after the last.
  after(key) {
    const found = this.found();
    const next = found[found.findIndex((row) => row.key === key) + 1] ?? found[0];
    return next?.key ?? key;
  }

  draw() {
    const found = this.found();
    this.#get("count").textContent = `${found.length} of ${this.#rows.length}`;
    const shown = found.slice(0, this.#more).map((row) => html("li", {}, this.#button(row)));
    if (!found.length) shown.push(html("li", { class: "none" }, "No episode fits."));
    if (found.length > this.#more) {
      const more = () => {
        this.#more += SHOWN;
        this.draw();
      };
      shown.push(html("li", {}, html("button", { type: "button", onclick: more }, "Show more")));
    }
    this.#get("rows").replaceChildren(...shown);
  }

  #fresh() {
    this.#more = SHOWN;
    this.draw();
  }

  #walk(row) {
    return row.walks[this.#agent()] ?? Object.values(row.walks)[0];
  }

  #button(row) {
    const walk = this.#walk(row);
    const facts = [html("span", {}, `${row.instr_id} · ${row.scan.slice(0, 11)} · ${row.language}`)];
    if (walk) {
      facts.push(badge(walk.outcome));
      const told = ["NE", "nDTW"].map((name) => `${name} ${figure(name, walk.metrics)}`);
      if ("NE" in walk.metrics) facts.push(html("span", {}, told.join(" · ")));
    }
    if (row.under_way) facts.push(html("span", { class: "badge" }, "your walk is under way"));
    return html(
      "button",
      {
        type: "button",
        "aria-current": row.key === this.#current,
        "data-key": row.key,
        onclick: () => this.#open(row.key),
      },
      html("span", { class: "text", lang: row.language }, row.instruction),
      html("span", { class: "facts" }, ...facts),
    );
  }

  #options(id, values) {
    this.#get(id).replaceChildren(...values.map((value) => html("option", { value }, value || "none")));
  }
}

export function badge(outcome) {
  const kind = `badge ${outcome.replace(" ", "-")}`;
  return html("span", { class: kind, "data-sign": SIGNS[outcome] }, outcome);
}

const fits = (wanted, value) => wanted === "any" || wanted === value;
const text = (row) => `${row.instr_id} ${row.scan} ${row.instruction}`.toLowerCase();

function order(one, other, sign) {
  // What has no figure comes last.
  if (one == null || other == null) return (one == null) - (other == null);
  return sign * (one < other ? -1 : one > other ? 1 : 0);
}
