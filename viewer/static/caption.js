// The caption of an agent's view: name, step, probability of stopping, value.

import { counted, html, percent } from "viewer/elements.js";

export function caption(trace, number) {
  const step = trace.steps[number];
  const last = trace.steps.length - 1;
  const unfinished = trace.ending === "under way";
  const position = unfinished ? `after ${counted(number, "step")}` : `step ${number} of ${last}`;
  const facts = [html("b", {}, trace.agent), position];
  if (step.stop_probability != null) facts.push(`P(stop) ${percent(step.stop_probability)}`);
  if (step.value != null) facts.push(`value ${step.value.toFixed(2)}`);
  if (step.motion && step.motion !== "stop") facts.push(step.motion);
  if (step.collided) facts.push(html("em", { class: "collides" }, "collides"));
  const answer = step.objects.find(({ pointed }) => pointed);
  if (answer) facts.push(`stops here and points out: ${answer.name}${answer.target ? ", the target" : ""}`);
  else if (step.action === 0) facts.push("stops here");
  else if (number === last && trace.ending === "cut off") facts.push("step limit reached");
  return facts.map((fact) => html("span", {}, fact));
}
