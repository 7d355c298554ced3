"""Outcomes of walks."""

from typing import Literal

from clipnav.viewer.trace.format import Trace

Outcome = Literal["success", "wrong stop", "lost", "unknown"]


def outcome(trace: Trace) -> Outcome:
    """Return the outcome of a walk.

    Returns:
        "success" if it ended less than 3 m from the goal, "wrong stop" if it came that close and
        ended elsewhere, "lost" if it never came that close, "unknown" if the goal is secret.
    """
    final = trace.steps[-1].metrics
    if not final:
        return "unknown"
    if final["SR"]:
        return "success"
    return "wrong stop" if final["OSR"] else "lost"
