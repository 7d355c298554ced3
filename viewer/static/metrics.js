// Metrics of the trajectories up to a step, as if they ended there.

import { html, metres, percent } from "viewer/elements.js";

const NAMES = {
  NE: ["navigation error: geodesic distance to the goal", metres],
  TL: ["trajectory length", metres],
  SR: ["success: the trajectory ends less than 3 m from the goal", yesOrNo],
  OSR: ["oracle success: the trajectory comes within 3 m of the goal", yesOrNo],
  SPL: ["success weighted by path length", fraction],
  nDTW: ["normalized dynamic time warping: similarity to the reference path", fraction],
  sDTW: ["success weighted by normalized dynamic time warping", fraction],
  CLS: ["coverage weighted by length score: coverage of the reference path", fraction],
};

function yesOrNo(value) {
  return value ? "yes" : "no";
}

function fraction(value) {
  return percent(value, 1);
}

// Formats a metric; every part of the page uses this format.
export function formatMetric(name, values) {
  return values && name in values ? NAMES[name][1](values[name]) : "–";
}

// `walks` is [{ trace, step }].
export function metrics(walks) {
  if (!walks.some(({ trace, step }) => "NE" in (trace.steps[step].metrics ?? {}))) {
    return html("p", { class: "note" }, "The goal is not known, so there are no metrics.");
  }
  const complete = walks.every(
    ({ trace, step }) => step === trace.steps.length - 1 && trace.ending !== "under way",
  );
  const caption = complete ? "whole trajectory" : "as if the trajectory ended at this step";
  const table = html("table", { class: "metrics" });
  table.append(html("caption", {}, caption));
  if (walks.length > 1) table.append(headings(walks));
  const body = html("tbody");
  const names = Object.keys(NAMES);
  const pairs = () => [0, 2, 4, 6].map((index) => names.slice(index, index + 2));
  const rows = walks.length > 1 ? names.map((name) => [name]) : pairs();
  for (const row of rows) {
    const cells = row.flatMap((name, index) => [
      index ? html("td", { class: "gap" }) : null,
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
  return html("abbr", { title: NAMES[name][0] }, name);
}

function value(name, values) {
  return html("td", { "data-metric": name }, formatMetric(name, values));
}
