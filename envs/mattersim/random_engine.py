"""The random numbers of MatterSim: libstdc++'s std::default_random_engine."""

import math

_MULTIPLIER = 16807
_MODULUS = 2**31 - 1
_SMALLEST, _LARGEST = 1, _MODULUS - 1


class RandomEngine:
    """minstd_rand0, with the distributions as libstdc++ draws them from it."""

    def __init__(self, seed: int = 1) -> None:
        # A seed is converted to 64 unsigned bits; 0 stands for 1.
        self._state = seed % 2**64 % _MODULUS or 1

    def copy(self) -> "RandomEngine":
        """An engine that goes on as this one does."""
        return RandomEngine(self._state)

    def index(self, count: int) -> int:
        """A number from 0 to `count` - 1, as std::uniform_int_distribution<int> draws it."""
        scaling = (_LARGEST - _SMALLEST) // count
        while True:
            drawn = self._next() - _SMALLEST
            if drawn < count * scaling:
                return drawn // scaling

    def heading(self) -> float:
        """Radians from 0 to 2 pi, as std::uniform_real_distribution<double> draws them."""
        size = float(_LARGEST - _SMALLEST + 1)
        low, high = self._next() - _SMALLEST, self._next() - _SMALLEST
        unit = (low + high * size) / (size * size)
        # Rounded up to 1 it would be outside of the distribution's range.
        return min(unit, math.nextafter(1.0, 0.0)) * (2.0 * math.pi)

    def _next(self) -> int:
        self._state = self._state * _MULTIPLIER % _MODULUS
        return self._state
