// The line of figures over what an agent sees at a step.

import { html, percent } from "viewer/svg.js";

export function caption(trace, number) {
  const step = trace.steps[number];
  const last = trace.steps.length - 1;
  const walking = trace.ending === "under way";
  const place = walking ? `after ${number} step${number === 1 ? "" : "s"}` : `step ${number} of ${last}`;
  const facts = [html("b", {}, trace.agent), place];
  if (step.stop_probability != null) facts.push(`P(stop) ${percent(step.stop_probability)}`);
  if (step.value != null) facts.push(`value ${step.value.toFixed(2)}`);
  if (step.action === 0) facts.push("stops here");
  else if (number === last && trace.ending === "cut off") facts.push("cut off");
  return facts.map((fact) => html("span", {}, fact));
}
