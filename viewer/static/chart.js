// Probabilities over the steps of a walk, above the distance to the goal.

import { magnified, metres, percent, svg } from "viewer/svg.js";

const HEIGHT = 96, TOP = 8, BOTTOM = 72, LEFT = 44, RIGHT = 52;

// `width` in pixels; `last` step of the longer walk; `furthest` that anybody was from the goal.
export function chart(trace, number, { width: pixels, second, furthest, last, jump, showGoal }) {
  const width = pixels / magnified();
  const right = width - RIGHT;
  const x = (step) => LEFT + (last ? (step / last) * (right - LEFT) : 0);
  const y = (share) => BOTTOM - share * (BOTTOM - TOP);
  const known = trace.steps.some((step) => step.stop_probability != null);
  const drawing = svg("svg", {
    class: second ? "chart two" : "chart",
    viewBox: `0 0 ${width} ${HEIGHT}`,
    height: HEIGHT * magnified(),
    role: "img",
    "aria-label": description(trace, number, known, showGoal),
  });
  const far = trace.steps.map((step) => step.distance_to_goal);
  if (showGoal && far[0] != null) drawing.append(...distances(far, furthest, x, y, right));
  for (const share of [0, 0.5, 1]) {
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: right, y1: y(share), y2: y(share) }));
    if (known) drawing.append(label(2, y(share) + 4, percent(share), "start"));
  }
  if (known) drawing.append(...shares(trace, x, y));
  const step = trace.steps[number];
  const chosen = known ? chance(step) : null;
  drawing.append(svg("line", { class: "now", x1: x(number), x2: x(number), y1: TOP - 4, y2: BOTTOM + 4 }));
  if (chosen != null) drawing.append(dot(x(number), y(chosen), 5, "dot"));
  drawing.append(...caption(known, showGoal && far[0] != null, width));
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const place = ((event.clientX - box.left) / box.width) * width;
    jump(Math.round(((place - LEFT) / (right - LEFT)) * last));
  });
  return drawing;
}

// The distance to the goal as a grey area, from the furthest that anybody was.
function distances(far, furthest, x, y, right) {
  const top = far.map((length, step) => `${x(step)},${y(length / furthest)}`);
  const points = [`${x(0)},${y(0)}`, ...top, `${x(far.length - 1)},${y(0)}`].join(" ");
  return [
    svg("polygon", { class: "distance", points }),
    label(right + 9, TOP + 6, metres(furthest), "start"),
    label(right + 9, BOTTOM + 3, "0 m", "start"),
  ];
}

function shares(trace, x, y) {
  const others = trace.steps.flatMap((step, number) =>
    step.candidates
      .filter((candidate, place) => candidate.probability != null && step.action !== place + 1)
      .map((candidate) => dot(x(number), y(candidate.probability), 2.2, "other")),
  );
  const told = trace.steps.map((step, number) => [number, step]);
  const line = (kind, value) =>
    svg("polyline", {
      class: kind,
      points: told
        .filter(([, step]) => value(step) != null)
        .map(([number, step]) => `${x(number)},${y(value(step))}`)
        .join(" "),
    });
  const dots = told
    .filter(([, step]) => chance(step) != null)
    .map(([number, step]) => dot(x(number), y(chance(step)), 3, "dot"));
  return [...others, line("stop", (step) => step.stop_probability), line("line", chance), ...dots];
}

// Probability of what the agent did.
function chance(step) {
  if (step.action == null) return null;
  return step.action === 0 ? step.stop_probability : step.candidates[step.action - 1].probability;
}

function caption(known, goal, width) {
  const names = [];
  if (known) names.push(["line", "chosen"], ["stop", "stop"], ["other", "others"]);
  if (goal) names.push(["distance", width < 450 ? "to goal" : "distance to the goal"]);
  let left = LEFT;
  return names.flatMap(([kind, name]) => {
    const at = left;
    left += 34 + 6.4 * name.length;
    const sign =
      kind === "other"
        ? dot(at + 9, HEIGHT - 10, 2.2, kind)
        : kind === "distance"
          ? svg("rect", { class: kind, x: at, y: HEIGHT - 15, width: 18, height: 9 })
          : svg("line", { class: kind, x1: at, x2: at + 18, y1: HEIGHT - 10, y2: HEIGHT - 10 });
    return [sign, label(at + 23, HEIGHT - 6, name, "start")];
  });
}

const dot = (cx, cy, r, kind) => svg("circle", { class: kind, cx, cy, r });
const label = (x, y, text, anchor) => svg("text", { x, y, "text-anchor": anchor }, text);

function description(trace, number, known, showGoal) {
  const step = trace.steps[number];
  const parts = [`${trace.agent}, step ${number} of ${trace.steps.length - 1}`];
  if (known && chance(step) != null) parts.push(`chosen action ${percent(chance(step))}`);
  if (step.stop_probability != null) parts.push(`stop ${percent(step.stop_probability)}`);
  if (showGoal && step.distance_to_goal != null) {
    parts.push(`${metres(step.distance_to_goal)} from the goal`);
  }
  return `Probabilities over time. ${parts.join(", ")}.`;
}
