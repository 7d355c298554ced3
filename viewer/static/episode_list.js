// The list of episodes, with search, filters and sorting.

import { briefMetrics, metricNames } from "viewer/metrics.js";
import { html } from "viewer/elements.js";

const PAGE_SIZE = 150; // rows that are shown at first, and added by "Show more"
export const SIGNS = { success: "✓", "wrong stop": "!", lost: "✕", unknown: "?" };
const OUTCOMES = ["success", "wrong stop", "lost", "unknown"];

export class EpisodeList {
  #rows;
  #agent = () => null;
  #open;
  #current = "";
  #limit = PAGE_SIZE;
  #get = (id) => document.getElementById(id);

  // `agent()` returns the agent whose outcomes are shown; `open(key)` shows an episode.
  constructor(rows, agent, open) {
    this.#rows = rows;
    this.#agent = agent;
    this.#open = open;
    this.#options("filter-outcome", ["any", ...OUTCOMES]);
    this.#options("filter-split", ["any", ...new Set(rows.map((row) => row.split))]);
    this.#options("filter-language", ["any", ...new Set(rows.map((row) => row.language))]);
    this.#options("sort", ["file order", ...metricNames(), "steps", "scan"]);
    for (const id of ["search", "filter-outcome", "filter-split", "filter-language", "sort"]) {
      this.#get(id).addEventListener("input", () => this.#reset());
    }
    this.#get("sort-order").addEventListener("click", (event) => {
      const descending = event.target.getAttribute("aria-pressed") !== "true";
      event.target.setAttribute("aria-pressed", descending);
      event.target.textContent = descending ? "↓ descending" : "↑ ascending";
      this.#reset();
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

  // Returns the rows that match the search and the filters, sorted.
  matches() {
    const value = (id) => this.#get(id).value;
    const words = value("search").toLowerCase().split(/\s+/).filter(Boolean);
    const rows = this.#rows.filter(
      (row) =>
        accepts(value("filter-split"), row.split) &&
        accepts(value("filter-language"), row.language) &&
        accepts(value("filter-outcome"), this.#walk(row)?.outcome) &&
        words.every((word) => searchText(row).includes(word)),
    );
    const column = value("sort");
    if (column === "file order") return rows;
    const sign = this.#get("sort-order").getAttribute("aria-pressed") === "true" ? -1 : 1;
    const sortKey = (row) => {
      if (column === "scan") return row.scan;
      const walk = this.#walk(row);
      return column === "steps" ? walk?.steps : walk?.metrics[column];
    };
    return [...rows].sort((a, b) => compare(sortKey(a), sortKey(b), sign));
  }

  // Returns the key of the episode after the given one; the first one follows the last one.
  after(key) {
    const rows = this.matches();
    const next = rows[rows.findIndex((row) => row.key === key) + 1] ?? rows[0];
    return next?.key ?? key;
  }

  draw() {
    const rows = this.matches();
    this.#get("count").textContent = `${rows.length} of ${this.#rows.length}`;
    const items = rows.slice(0, this.#limit).map((row) => html("li", {}, this.#button(row)));
    if (!rows.length) items.push(html("li", { class: "none" }, "No matching episodes."));
    if (rows.length > this.#limit) {
      const showMore = () => {
        const first = this.#limit; // of the rows that are added
        this.#limit += PAGE_SIZE;
        this.draw();
        this.#get("rows").children[first].querySelector("button").focus();
      };
      items.push(html("li", {}, html("button", { type: "button", onclick: showMore }, "Show more")));
    }
    this.#get("rows").replaceChildren(...items);
  }

  #reset() {
    this.#limit = PAGE_SIZE;
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
      if ("NE" in walk.metrics) facts.push(html("span", {}, briefMetrics(walk.metrics)));
    }
    if (row.unfinished) facts.push(html("span", { class: "badge" }, "your unfinished walk"));
    return html(
      "button",
      {
        type: "button",
        "aria-current": row.key === this.#current,
        "data-key": row.key,
        onclick: () => this.#open(row.key),
      },
      html("span", { class: "text", lang: row.language, dir: "auto" }, row.instruction),
      html("span", { class: "facts" }, ...facts),
    );
  }

  #options(id, values) {
    this.#get(id).replaceChildren(...values.map((value) => html("option", { value }, value || "none")));
  }
}

export function badge(outcome) {
  const classes = `badge ${outcome.replace(" ", "-")}`;
  return html("span", { class: classes, "data-sign": SIGNS[outcome] }, outcome);
}

const accepts = (filter, value) => filter === "any" || filter === value;
const searchText = (row) => `${row.instr_id} ${row.scan} ${row.instruction}`.toLowerCase();

function compare(a, b, sign) {
  // Rows without a value come last in either order.
  if (a == null || b == null) return (a == null) - (b == null);
  return sign * (a < b ? -1 : a > b ? 1 : 0);
}
