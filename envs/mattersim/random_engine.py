"""Random numbers of MatterSim: std::default_random_engine of libstdc++."""

import math

_MULTIPLIER = 16807
_MODULUS = 2**31 - 1
_SMALLEST, _LARGEST = 1, _MODULUS - 1


class RandomEngine:
    """minstd_rand0 with the distributions of libstdc++."""

    def __init__(self, seed: int = 1) -> None:
        # A seed is converted to 64 unsigned bits; 0 means 1.
        self._state = seed % 2**64 % _MODULUS or 1

    def copy(self) -> "RandomEngine":
        """Return an engine with the same state."""
        return RandomEngine(self._state)

    def index(self, count: int) -> int:
        """Draw an integer in 0..count - 1, as std::uniform_int_distribution<int> does."""
        scaling = (_LARGEST - _SMALLEST) // count
        while True:
            drawn = self._next() - _SMALLEST
            if drawn < count * scaling:
                return drawn // scaling

    def heading(self) -> float:
        """Draw radians in [0, 2 pi), as std::uniform_real_distribution<double> does."""
        size = float(_LARGEST - _SMALLEST + 1)
        low, high = self._next() - _SMALLEST, self._next() - _SMALLEST
        unit = (low + high * size) / (size * size)
        # A value that is rounded up to 1 is outside the range of the distribution.
        return min(unit, math.nextafter(1.0, 0.0)) * (2.0 * math.pi)

    def _next(self) -> int:
        self._state = self._state * _MULTIPLIER % _MODULUS
        return self._state
