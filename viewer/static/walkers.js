// Who is shown of those who walked an episode: two lists to choose from.

import { html } from "viewer/svg.js";

const get = (id) => document.getElementById(id);

export function chosenAgents() {
  return [get("agent-a").value, get("agent-b").value];
}

export function walkersOf(row, [first, second]) {
  const names = Object.keys(row.walks);
  const one = names.includes(first) ? first : names[0];
  const two = names.includes(second) && second !== one ? second : "";
  return [one, two].filter(Boolean);
}

// With whose walk somebody's own is compared; "" if nobody else walked.
export function rival(row, me) {
  const names = Object.keys(row.walks).filter((name) => name !== me);
  return chosenAgents().find((name) => names.includes(name)) ?? names[0] ?? "";
}

// Fills the two lists of agents with those who walked the episode.
export function offerAgents(row, agents) {
  const names = Object.keys(row.walks);
  const [one, two = ""] = walkersOf(row, agents);
  const option = (chosen) => (value) =>
    html("option", { value, selected: value === chosen }, value || "nobody");
  get("agent-a").replaceChildren(...names.map(option(one)));
  get("agent-b").replaceChildren(...["", ...names.filter((name) => name !== one)].map(option(two)));
  get("beside").hidden = names.length < 2;
}
