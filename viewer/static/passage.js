// How one gets from the step that is shown to another one.

// Where somebody looks while they stand at a step: along the way that the agent chose, else as it
// arrived.
export function facing(step) {
  return step.action ? step.candidates[step.action - 1].heading : step.heading;
}

// Movement between neighbouring steps of a walk as { heading, elevation, distance, back }, angles in
// radians and metres; null where the two are not joined by one edge. `before` is { scan, number,
// step }, or null.
export function passage(before, trace, number) {
  if (!before || before.scan !== trace.scan) return null;
  const there = trace.steps[number].viewpoint;
  const leads = (step, viewpoint) => step?.candidates.find((one) => one.viewpoint === viewpoint);
  const forward = number === before.number + 1;
  if (!forward && number !== before.number - 1) return null;
  // The edge is known from where it is left in the order of the walk.
  const edge = forward ? leads(before.step, there) : leads(trace.steps[number], before.step.viewpoint);
  if (!edge) return null;
  const { heading, elevation, distance } = edge;
  return { heading, elevation, distance, back: !forward };
}
