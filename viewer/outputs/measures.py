"""Measures of traces that the figures require."""

from clipnav.storage.errors import UserError
from clipnav.viewer.trace import Trace

_METRICS = ("SR", "OSR", "nDTW")


def check_measures(trace: Trace) -> None:
    """Check that a trace with a known goal has the measures that the figures show.

    The page and films also show traces of other programs that contain fewer measures.

    Raises:
        UserError: It lacks one.
    """
    final = trace.steps[-1].metrics
    missing = [f"metrics.{name} of the last step" for name in _METRICS if name not in final]
    if trace.steps[0].distance_to_goal is None:
        missing.insert(0, "distance_to_goal of the first step")
    if missing:
        raise UserError(
            f"trace of {trace.instr_id} by {trace.agent}: the figures require "
            f"{', '.join(missing)}; record the trace with clipnav, or add the values"
        )
