// Table of the steps of a trajectory; clicking a row shows that step.

import { actionProbability } from "viewer/chart.js";
import { degrees, html, metres, percent, svg } from "viewer/elements.js";
import { headingAt } from "viewer/moves.js";

// `showGoal` is false while the user must not see distances to the goal.
export function stepTable(trace, number, { second, named, showGoal, showStep }) {
  const has = (value) => trace.steps.some((step) => value(step) != null);
  const columns = [
    ["step", stepButton],
    ["heading", (step) => [arrow(headingAt(step)), degrees(headingAt(step))]],
    ["action", (step) => action(step, trace), "length of the chosen edge, or stop"],
    ["prob.", probability, "probability of the chosen action"],
    ["value", (step) => step.value?.toFixed(2), "value estimated by the critic"],
    ["to goal", (step) => (showGoal ? distance(step) : null), "geodesic distance to the goal"],
  ].filter(([, value], index) => index < 3 || has((step) => value(step)));
  const table = html("table", { class: second ? "steps two" : "steps" });
  if (named) table.append(html("caption", {}, trace.agent));
  const heads = columns.map(([name, , title]) => html("th", { scope: "col", title }, name));
  const rows = trace.steps.map((step, index) =>
    html(
      "tr",
      { "aria-current": index === number ? "step" : null, onclick: () => showStep(index) },
      ...columns.map(([, value]) => html("td", {}, ...[value(step, index) ?? "–"].flat())),
    ),
  );
  table.append(html("thead", {}, html("tr", {}, ...heads)), html("tbody", {}, ...rows));
  return table;
}

function stepButton(step, index) {
  return html("button", { type: "button", "aria-label": `Step ${index}` }, index);
}

// An arrow in the direction of a heading, north up as on the map.
function arrow(heading) {
  const turn = `rotate(${Math.round((heading * 180) / Math.PI)} 8 8)`;
  return svg(
    "svg",
    { viewBox: "0 0 16 16", "aria-hidden": true },
    svg("path", { d: "M8 2 L12.5 13 L8 10.4 L3.5 13 Z", transform: turn }),
  );
}

function action(step, trace) {
  if (step.motion) return step.collided ? `${step.motion}, collides` : step.motion;
  if (step.action) return metres(step.candidates[step.action - 1].distance);
  if (step.action === 0) return "stop";
  return trace.ending === "cut off" && step === trace.steps.at(-1) ? "step limit" : null;
}

function probability(step) {
  const chosen = actionProbability(step);
  return chosen == null ? null : percent(chosen);
}

function distance(step) {
  return step.distance_to_goal == null ? null : metres(step.distance_to_goal);
}
