"""Table of the results of continuous agents."""

import math
from collections.abc import Mapping


def results_table(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> str:
    """Return the results as a table of text."""
    columns = ("TL", "NE", "OSR", "SR", "SPL", "nDTW", "sDTW", "steps")
    shares = {"OSR", "SR", "SPL", "nDTW", "sDTW"}
    lines = ["  ".join([f"{'split':<12}{'agent':<12}", *(f"{name:>6}" for name in columns)])]
    for split, agents in results.items():
        for agent, summary in agents.items():
            values = (
                summary.get(name, math.nan) * (100 if name in shares else 1) for name in columns
            )
            figures = (f"{value:>6.1f}" for value in values)
            lines.append("  ".join([f"{split:<12}{agent:<12}", *figures]))
    return "\n".join(lines)
