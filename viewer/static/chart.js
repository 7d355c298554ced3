// Chart of the action probabilities over the steps of a trajectory, with the distance to the goal in
// the background.

import { drawingScale, metres, percent, svg } from "viewer/elements.js";

const HEIGHT = 96, TOP = 8, BOTTOM = 72, LEFT = 44, RIGHT = 52;
const NARROW = 520; // width below which the legend has short labels

// Options: `width` in pixels, `last` step of the longest trajectory, `maxDistance` to the goal of all
// trajectories.
export function chart(trace, number, options) {
  const { width: pixels, second, maxDistance, last, showStep, showGoal } = options;
  const width = pixels / drawingScale();
  const right = width - RIGHT;
  const x = (step) => LEFT + (last ? (step / last) * (right - LEFT) : 0);
  const y = (fraction) => BOTTOM - fraction * (BOTTOM - TOP);
  const known = trace.steps.some((step) => step.stop_probability != null);
  const drawing = svg("svg", {
    class: second ? "chart two" : "chart",
    viewBox: `0 0 ${width} ${HEIGHT}`,
    height: HEIGHT * drawingScale(),
    role: "img",
    "aria-label": description(trace, number, known, showGoal),
  });
  const distances = trace.steps.map((step) => step.distance_to_goal);
  const hasGoal = showGoal && distances[0] != null;
  if (hasGoal) drawing.append(...distanceArea(distances, maxDistance, x, y, right));
  for (const fraction of [0, 0.5, 1]) {
    const height = y(fraction);
    drawing.append(svg("line", { class: "grid", x1: LEFT, x2: right, y1: height, y2: height }));
    if (known) drawing.append(label(2, height + 4, percent(fraction), "start"));
  }
  if (known) drawing.append(...probabilities(trace, x, y));
  const chosen = known ? actionProbability(trace.steps[number]) : null;
  drawing.append(svg("line", { class: "now", x1: x(number), x2: x(number), y1: TOP - 4, y2: BOTTOM + 4 }));
  if (chosen != null) drawing.append(dot(x(number), y(chosen), 5, "dot"));
  drawing.append(...legend(known, hasGoal, width));
  drawing.addEventListener("click", (event) => {
    const box = drawing.getBoundingClientRect();
    const position = ((event.clientX - box.left) / box.width) * width;
    showStep(Math.round(((position - LEFT) / (right - LEFT)) * last));
  });
  return drawing;
}

// The distance to the goal as a grey area.
function distanceArea(distances, maxDistance, x, y, right) {
  const top = distances.map((distance, step) => `${x(step)},${y(distance / maxDistance)}`);
  const points = [`${x(0)},${y(0)}`, ...top, `${x(distances.length - 1)},${y(0)}`].join(" ");
  return [
    svg("polygon", { class: "distance", points }),
    label(right + 9, TOP + 6, metres(maxDistance), "start"),
    label(right + 9, BOTTOM + 3, "0 m", "start"),
  ];
}

function probabilities(trace, x, y) {
  const others = trace.steps.flatMap((step, number) =>
    step.candidates
      .filter(({ probability }, index) => probability != null && step.action !== index + 1)
      .map(({ probability }) => dot(x(number), y(probability), 2.2, "other")),
  );
  const pointsOf = (value) =>
    trace.steps
      .map((step, number) => [x(number), value(step)])
      .filter(([, probability]) => probability != null)
      .map(([left, probability]) => [left, y(probability)]);
  const line = (kind, value) => svg("polyline", { class: kind, points: pointsOf(value).join(" ") });
  const stop = line("stop", (step) => step.stop_probability);
  const dots = pointsOf(actionProbability).map(([left, height]) => dot(left, height, 3, "dot"));
  return [...others, stop, line("line", actionProbability), ...dots];
}

// Returns the probability of the action that the agent chose, or null if it is not known.
export function actionProbability(step) {
  if (step.action == null) return null;
  return step.action === 0 ? step.stop_probability : step.candidates[step.action - 1].probability;
}

function legend(known, hasGoal, width) {
  const narrow = width < NARROW;
  const entries = [];
  if (known) {
    entries.push(["line", narrow ? "chosen" : "chosen action"], ["stop", "stop"]);
    entries.push(["other", narrow ? "others" : "other actions"]);
  }
  if (hasGoal) entries.push(["distance", narrow ? "to goal" : "distance to the goal"]);
  let left = LEFT;
  return entries.flatMap(([kind, name]) => {
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
  const chosen = actionProbability(step);
  if (known && chosen != null) parts.push(`chosen action ${percent(chosen)}`);
  if (step.stop_probability != null) parts.push(`stop ${percent(step.stop_probability)}`);
  if (showGoal && step.distance_to_goal != null) {
    parts.push(`${metres(step.distance_to_goal)} from the goal`);
  }
  return `Action probabilities over the steps. ${parts.join(", ")}.`;
}
