// Camera movement between neighbouring steps of a trajectory.

import { answerDirection } from "viewer/objects.js";
import { isFree, positionOf } from "viewer/positions.js";

// Heading of the camera at a step: towards the chosen candidate or object, or the agent's own heading
// if it chose none.
export function headingAt(step) {
  if (step.action) return step.candidates[step.action - 1].heading;
  return answerDirection(step)?.heading ?? step.heading;
}

// Returns the movement between two neighbouring steps as { heading, elevation, distance, back }, in
// radians and metres, or null if no single edge connects them. `previous` is { scan, number, step }
// or null.
export function moveBetween(previous, trace, number) {
  if (!previous || previous.scan !== trace.scan) return null;
  const step = trace.steps[number];
  const edgeTo = (from, viewpoint) =>
    from?.candidates.find((candidate) => candidate.viewpoint === viewpoint);
  const forward = number === previous.number + 1;
  if (!forward && number !== previous.number - 1) return null;
  if (isFree(step.viewpoint)) {
    return moveBetweenPositions(previous.step.viewpoint, step.viewpoint, !forward);
  }
  // A trace stores each edge as a candidate of the earlier step.
  const edge = forward
    ? edgeTo(previous.step, step.viewpoint)
    : edgeTo(step, previous.step.viewpoint);
  if (!edge) return null;
  const { heading, elevation, distance } = edge;
  return { heading, elevation, distance, back: !forward };
}

// The movement of a continuous walk, or null for a turn.
function moveBetweenPositions(from, to, back) {
  const [start, end] = (back ? [to, from] : [from, to]).map(positionOf);
  const [east, north, up] = end.map((value, axis) => value - start[axis]);
  const level = Math.hypot(east, north);
  if (level < 1e-3) return null;
  return {
    heading: Math.atan2(east, north),
    elevation: Math.atan2(up, level),
    distance: Math.hypot(level, up),
    back,
    quick: true,
  };
}
