// Camera movement between neighbouring steps of a trajectory.

// Heading of the camera at a step: towards the chosen candidate, or the agent's own heading if it
// chose none.
export function headingAt(step) {
  return step.action ? step.candidates[step.action - 1].heading : step.heading;
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
  // A trace stores each edge as a candidate of the earlier step.
  const edge = forward
    ? edgeTo(previous.step, step.viewpoint)
    : edgeTo(step, previous.step.viewpoint);
  if (!edge) return null;
  const { heading, elevation, distance } = edge;
  return { heading, elevation, distance, back: !forward };
}
