// The map that an agent has built: its nodes, their probabilities, the gate between both branches,
// and the node that the agent goes to.

import { counted, html, percent, svg } from "viewer/elements.js";

const SHORT = 6; // letters of a viewpoint id
const LEAST = 0.005; // probability below which a node has no label

// Returns the known map at a step, and whether it was decided there; while the agent walks to a
// chosen node, it is that of the last decision. Null for an agent without a map.
export function knownMapAt(trace, number) {
  for (let index = number; index >= 0; index--) {
    const known = trace.steps[index].known_map;
    if (known) return { ...known, decided: index === number };
  }
  return null;
}

// Returns the shapes of a known map. `at(viewpoint)` is its place on the drawing, or null if it is
// on another storey; `from` is the viewpoint of the agent.
export function knownMapShapes(known, from, at, thin) {
  const shapes = [];
  const [start, end] = [at(from), known.target ? at(known.target) : null];
  if (start && end) {
    shapes.push(
      svg("line", {
        class: known.ends ? "target back" : "target",
        ...{ x1: start[0], y1: start[1], x2: end[0], y2: end[1] },
      }),
    );
  }
  for (const node of known.nodes) {
    const place = at(node.viewpoint);
    if (!place) continue;
    const [cx, cy] = place;
    const chance = node.probability ?? 0;
    shapes.push(
      svg(
        "circle",
        {
          class: `known ${node.visited ? "visited" : "seen"}`,
          ...{ cx, cy, r: (node.visited ? 0.3 : 0.46) * thin },
          style: `fill-opacity: ${(0.1 + 0.9 * chance).toFixed(3)}`,
          "data-known": node.viewpoint,
        },
        svg("title", {}, description(node)),
      ),
    );
    if (chance >= LEAST) {
      shapes.push(svg("text", { class: "chance", x: cx + 0.6 * thin, y: cy }, percent(chance)));
    }
  }
  return shapes;
}

// Returns a summary of a known map and the table of its nodes.
export function knownMapPanel(trace, number, { second, named }) {
  const known = knownMapAt(trace, number);
  if (!known) return null;
  const visited = known.nodes.filter((node) => node.visited).length;
  const counts = `${counted(known.nodes.length, "node")} known, ${visited} visited.`;
  const summary = [named ? `${trace.agent}:` : "", counts, gate(known), plan(known)];
  const nodes = [...known.nodes].sort((a, b) => (b.probability ?? -1) - (a.probability ?? -1));
  const heads = ["node", "visited", "prob.", "map score"].map((head) =>
    html("th", { scope: "col" }, head),
  );
  const rows = nodes.map((node) =>
    html(
      "tr",
      {},
      html("td", {}, node.viewpoint.slice(0, SHORT)),
      html("td", {}, node.visited ? "yes" : "no"),
      html("td", {}, node.probability == null ? "–" : percent(node.probability, 1)),
      html("td", {}, node.global_score == null ? "–" : node.global_score.toFixed(2)),
    ),
  );
  return html(
    "div",
    { class: second ? "known-map two" : "known-map" },
    html("p", {}, summary.filter(Boolean).join(" ")),
    html(
      "details",
      {},
      html("summary", {}, "Scores of all nodes"),
      html("table", { class: "steps" }, html("tr", {}, ...heads), ...rows),
    ),
  );
}

function gate(known) {
  if (known.gate == null) return "";
  return `Gate: ${percent(known.gate)} map, ${percent(1 - known.gate)} view.`;
}

function plan(known) {
  if (!known.target) return known.ends ? "Stops here." : known.decided ? "Stays here." : "";
  const node = known.target.slice(0, SHORT);
  if (known.ends) return `Walks to ${node}, where stopping was most probable, and stops.`;
  return known.decided ? `Goes to ${node}.` : `On the way to ${node}.`;
}

function description(node) {
  const state = node.visited ? "visited" : "seen, not visited";
  const chance = node.probability == null ? "" : `, probability ${percent(node.probability, 1)}`;
  return `${node.viewpoint.slice(0, SHORT)}: ${state}${chance}`;
}
