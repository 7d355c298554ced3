// Metrics of the trajectories up to a step, as if they ended there.

import { html } from "viewer/elements.js";

const ROWS = new Map();

// The rows of the table of metrics, from the answer about the site.
export function setMetrics(rows) {
  for (const row of rows) ROWS.set(row.name, row);
}

export const metricNames = () => [...ROWS.keys()];

// Formats a metric; every part of the page uses this format.
export function formatMetric(name, values) {
  if (!values || !(name in values)) return "–";
  const { binary, factor, unit } = ROWS.get(name);
  if (binary) return values[name] ? "yes" : "no";
  return `${(factor * values[name]).toFixed(1)} ${unit}`.trim();
}

// The metrics that say most, beside a badge of the outcome.
export function briefMetrics(values) {
  const names = metricNames().filter((name) => ROWS.get(name).brief);
  return names.map((name) => `${name} ${formatMetric(name, values)}`).join(" · ");
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
  const names = metricNames();
  const width = walks.length > 1 ? 1 : 2;
  const rows = names.flatMap((_, at) => (at % width ? [] : [names.slice(at, at + width)]));
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
  return html("abbr", { title: ROWS.get(name).label }, name);
}

function value(name, values) {
  return html("td", { "data-metric": name }, formatMetric(name, values));
}
