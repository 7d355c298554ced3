// The two lists that select which agents of an episode are shown.

import { html } from "viewer/elements.js";

const get = (id) => document.getElementById(id);

export function chosenAgents() {
  return [get("agent-a").value, get("agent-b").value];
}

export function agentsOf(row, [first, second]) {
  const names = Object.keys(row.walks);
  const selectedFirst = names.includes(first) ? first : names[0];
  const selectedSecond = names.includes(second) && second !== selectedFirst ? second : "";
  return [selectedFirst, selectedSecond].filter(Boolean);
}

// Returns the agent that the user's walk is compared with, or "" if the episode has no other walk.
export function comparisonAgent(row, user) {
  const names = Object.keys(row.walks).filter((name) => name !== user);
  return chosenAgents().find((name) => names.includes(name)) ?? names[0] ?? "";
}

// Fills both lists with the agents that walked the episode.
export function fillAgentLists(row, agents) {
  const names = Object.keys(row.walks);
  const [selectedFirst, selectedSecond = ""] = agentsOf(row, agents);
  const option = (chosen) => (value) =>
    html("option", { value, selected: value === chosen }, value || "none");
  const others = ["", ...names.filter((name) => name !== selectedFirst)];
  get("agent-a").replaceChildren(...names.map(option(selectedFirst)));
  get("agent-b").replaceChildren(...others.map(option(selectedSecond)));
  get("compare").hidden = names.length < 2;
}
