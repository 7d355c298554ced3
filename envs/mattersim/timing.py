"""How long a simulator took, told as MatterSim's timingInfo does."""

import time


class Timers:
    """Clocks of one simulator, all in seconds.

    Attributes:
        process: Spent in episodes and actions.
    """

    def __init__(self) -> None:
        self.process = 0.0
        self._began: float | None = None

    def begin(self) -> float:
        """Start the wall clock if it stands; the present time."""
        now = time.perf_counter()
        if self._began is None:
            self._began = now
        return now

    def count(self, began: float) -> None:
        """Add the time since `began` to that of the process."""
        self.process += time.perf_counter() - began

    def describe(self, frames: int, rendering: float) -> str:
        """A line each about frames, wall time, and time in the simulator and in its renderer."""
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
