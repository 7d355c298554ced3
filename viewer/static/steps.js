// The steps of a walk as a list; a click shows one.

import { degrees, html, metres, percent, svg } from "viewer/svg.js";
import { facing } from "viewer/passage.js";

// `goal` tells whether distances to the goal may be shown.
export function stepList(trace, number, { second, named, goal, jump }) {
  const has = (value) => trace.steps.some((step) => value(step) != null);
  const columns = [
    ["step", (step, place) => html("button", { type: "button", "aria-label": `Step ${place}` }, place)],
    ["heading", (step) => [arrow(facing(step)), degrees(facing(step))]],
    ["way", (step) => way(step, trace)],
    ["chosen", chance, "probability of what the agent did"],
    ["value", (step) => step.value?.toFixed(2), "what the critic expects of the rest"],
    ["to goal", (step) => goal && step.distance_to_goal != null ? metres(step.distance_to_goal) : null],
  ].filter(([, value], place) => place < 3 || has((step) => value(step)));
  const table = html("table", { class: second ? "steps two" : "steps" });
  if (named) table.append(html("caption", {}, trace.agent));
  const heads = columns.map(([name, , title]) => html("th", { scope: "col", title }, name));
  const rows = trace.steps.map((step, place) =>
    html(
      "tr",
      { "aria-current": place === number ? "step" : null, onclick: () => jump(place) },
      ...columns.map(([, value]) => html("td", {}, ...[value(step, place) ?? "–"].flat())),
    ),
  );
  table.append(html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rows));
  return table;
}

// An arrow as on the map, north up.
function arrow(heading) {
  const turn = `rotate(${Math.round((heading * 180) / Math.PI)} 8 8)`;
  return svg(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": true },
    svg("path", { d: "M8 2 L12.5 13 L8 10.4 L3.5 13 Z", transform: turn }),
  );
}

function way(step, trace) {
  if (step.action) return metres(step.candidates[step.action - 1].distance);
  if (step.action === 0) return "stop";
  return trace.ending === "cut off" && step === trace.steps.at(-1) ? "cut off" : null;
}

// Probability of what the agent did.
function chance(step) {
  if (step.action == null) return null;
  const share = step.action ? step.candidates[step.action - 1].probability : step.stop_probability;
  return share == null ? null : percent(share);
}
