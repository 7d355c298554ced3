"""How a walk ended, in a word."""

from typing import Literal

from viewer.trace.format import Trace

Outcome = Literal["success", "wrong stop", "lost", "unknown"]


def outcome(trace: Trace) -> Outcome:
    """Sort a walk.

    Returns:
        "success" where it ended within 3 m of the goal, "wrong stop" where it came that near and
        ended elsewhere, "lost" where it never did, "unknown" where the goal is secret.
    """
    final = trace.steps[-1].metrics
    if not final:
        return "unknown"
    if final["SR"]:
        return "success"
    return "wrong stop" if final["OSR"] else "lost"
