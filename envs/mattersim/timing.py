"""Timers of a simulator, reported in the format of MatterSim's timingInfo."""

import time


class Timers:
    """Timers of one simulator, in seconds.

    Attributes:
        process: Time spent in episodes and actions.
    """

    def __init__(self) -> None:
        self.process = 0.0
        self._began: float | None = None

    def begin(self) -> float:
        """Start the wall clock unless it is running, and return the current time."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        return now

    def count(self, began: float) -> None:
        """Add the time since `began` to the process time."""
        self.process += time.perf_counter() - began

    def describe(self, frames: int, rendering: float) -> str:
        """Return lines with the number of frames, the wall time, and the process times."""
        wall = 0.0 if self._began is None else time.perf_counter() - self._began
        process = self.process + rendering
        return (
            f"Rendered {frames} frames\n"
            f"Wall time: {1000 * wall:.0f} ms, ({_rate(frames, wall)} fps)\n"
            f"Process time: {1000 * process:.0f} ms, ({_rate(frames, process)} fps)\n"
            f"\tRendering: {1000 * rendering:.0f} ms\n"
        )


def _rate(frames: int, seconds: float) -> str:
    return f"{frames / seconds:.1f}" if seconds else "0"
