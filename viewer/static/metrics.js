// The metrics of the walks up to a step, as if they ended there.

import { html, metres, percent } from "viewer/svg.js";

const NAMES = {
  NE: ["navigation error: distance to the goal along the graph", metres],
  TL: ["trajectory length", metres],
  SR: ["success: ends less than 3 m from the goal", (v) => (v ? "yes" : "no")],
  OSR: ["oracle success: came that near at any time", (v) => (v ? "yes" : "no")],
  SPL: ["success weighted by path length", share],
  nDTW: ["how well the walk keeps to the reference path", share],
  sDTW: ["nDTW of successful walks, else 0", share],
  CLS: ["coverage of the reference path, weighted by length", share],
};
const WORDS = { NE: "error", TL: "length", SR: "success", OSR: "came near" };

function share(value) {
  return percent(value, 1);
}

// A metric as it is written everywhere on the page.
export function figure(name, figures) {
  return figures && name in figures ? NAMES[name][1](figures[name]) : "–";
}

// `walks`: [{trace, step}]
export function metrics(walks) {
  if (!walks.some(({ trace, step }) => "NE" in (trace.steps[step].metrics ?? {}))) {
    return html("p", { class: "note" }, "The goal of this walk is not known: nothing to measure.");
  }
  const over = walks.every(({ trace, step }) => step === trace.steps.length - 1 && trace.ending !== "under way");
  const table = html("table", { class: "metrics" });
  table.append(html("caption", {}, over ? "of the whole walk" : "as if the walk ended at this step"));
  if (walks.length > 1) table.append(headings(walks));
  const body = html("tbody");
  const names = Object.keys(NAMES);
  const rows = walks.length > 1 ? names.map((name) => [name]) : [0, 2, 4, 6].map((i) => names.slice(i, i + 2));
  for (const row of rows) {
    const cells = row.flatMap((name, place) => [
      place ? html("td", { class: "gap" }) : null,
      html("th", { scope: "row" }, title(name)),
      ...walks.map(({ trace, step }) => value(name, trace.steps[step].metrics)),
    ]);
    body.append(html("tr", {}, ...cells));
  }
  table.append(body);
  return table;
}

function headings(walks) {
  const names = walks.map(({ trace }) => html("th", { scope: "col", title: trace.agent }, trace.agent));
  return html("thead", {}, html("tr", {}, html("td"), ...names));
}

function title(name) {
  const word = WORDS[name] ? ` ${WORDS[name]}` : "";
  return html("abbr", { title: NAMES[name][0] }, `${name}${word}`);
}

function value(name, figures) {
  return html("td", { "data-metric": name }, figure(name, figures));
}
