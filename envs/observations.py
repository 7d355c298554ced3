"""What agents see: features of the panorama and of the candidates, with their directions."""

import numpy as np
from gymnasium import spaces

from encoders.feature_store import FeatureStore
from envs.candidates import NUM_HEADINGS, NUM_VIEWS, STEP
from envs.nav_world import NavWorld, angles4

_HEADINGS = (STEP * (np.arange(NUM_VIEWS) % NUM_HEADINGS)).astype(np.float32)
_ELEVATIONS = (STEP * (np.arange(NUM_VIEWS) // NUM_HEADINGS - 1)).astype(np.float32)

_CACHED_ROWS = 4
_SIGN_AND_MAGNITUDE = np.uint32(0x8FFFE000).astype(np.int32)
_BIAS = np.float32(2.0**112)


def angle_feature(heading: np.ndarray, elevation: np.ndarray, size: int) -> np.ndarray:
    """EnvDrop's angle feature: [sin h, cos h, sin e, cos e], repeated (`utils.py`).

    Args:
        heading: (...) radians.
        elevation: (...) radians.
        size: Length of the feature, a multiple of 4.

    Returns:
        (..., size) float32.
    """
    return np.tile(angles4(heading, elevation), size // 4)


def panorama_angles(size: int) -> np.ndarray:
    """(12, 36, size) float32: angle features of the 36 views, seen from each of 12 headings."""
    views = np.arange(NUM_VIEWS)
    heading = STEP * (views % NUM_HEADINGS - np.arange(NUM_HEADINGS)[:, None])
    elevation = STEP * (views // NUM_HEADINGS - 1)
    return angle_feature(heading, np.broadcast_to(elevation, heading.shape), size)


def widen_halves(halves: np.ndarray, target: np.ndarray) -> None:
    """Copy finite float16 numbers into a float32 array of the same shape.

    numpy converts halves one by one; moving their bits and correcting the bias of the exponent
    (127 - 15) gives the same numbers in half the time.
    """
    bits = halves.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= _SIGN_AND_MAGNITUDE
    np.multiply(bits.view(np.float32), _BIAS, out=target)


class Observer:
    """Gathers observations of many agents.

    Attributes:
        width: D + A, the numbers that describe a view: D of the store, A of its direction.
    """

    def __init__(self, world: NavWorld, store: FeatureStore | None, angle_size: int) -> None:
        """Line the store up with the world.

        Args:
            world: The graphs.
            store: Features of every viewpoint of the world; None for directions only (D = 0).
            angle_size: A, a positive multiple of 4.

        Raises:
            ValueError: `angle_size` is not one.
            KeyError: The store lacks a viewpoint.
        """
        if angle_size < 4 or angle_size % 4:
            raise ValueError(f"angle_feature_size {angle_size} is not a positive multiple of 4")
        self._world = world
        self._store = store
        self._angle_size = angle_size
        self._visual_size = store.width if store else 0
        self.width = self._visual_size + angle_size
        self._panorama_angles = panorama_angles(angle_size)
        if store is not None:
            keys = zip(world.scan_names, world.viewpoint_ids, strict=True)
            self._rows = np.array([store.row(scan, viewpoint) for scan, viewpoint in keys])

    def space(self, num_words: int, length: int) -> spaces.Dict:
        """Space of one agent's observations, the instruction of `length` tokens included.

        Args:
            num_words: Size of the vocabulary.
            length: Of an encoded instruction.
        """
        actions, inf = self._world.num_actions, np.inf
        return spaces.Dict(
            {
                "instruction": spaces.Box(0, num_words - 1, (length,), np.int32),
                "panorama": spaces.Box(-inf, inf, (NUM_VIEWS, self.width), np.float32),
                "candidates": spaces.Box(-inf, inf, (actions, self.width), np.float32),
                "action_mask": spaces.MultiBinary(actions),
                "heading": spaces.Box(0.0, 2 * np.pi, (), np.float32),
                "elevation": spaces.Box(-np.pi / 2, np.pi / 2, (), np.float32),
            }
        )

    def observe(self, nodes: np.ndarray, views: np.ndarray) -> dict[str, np.ndarray]:
        """Observe from B viewpoints; every array is a fresh one.

        Args:
            nodes: (B,) viewpoints.
            views: (B,) view 0..35 that each agent looks along.

        Returns:
            panorama (B, 36, D + A), candidates (B, K, D + A), action_mask (B, K), heading (B,) and
            elevation (B,).
        """
        visual = self._visual_size
        base = views % NUM_HEADINGS
        panorama = np.empty((len(nodes), NUM_VIEWS, self.width), dtype=np.float32)
        if self._store is not None:
            self._copy_visual(self._rows[nodes], panorama[..., :visual])
        panorama[..., visual:] = self._panorama_angles[base]

        mask = self._world.mask[nodes]
        candidates = np.zeros((*mask.shape, self.width), dtype=np.float32)
        agent, action = self._present(mask)
        node = nodes[agent]
        looked_at = self._world.views[node, action]
        candidates[agent, action, :visual] = panorama[agent, looked_at, :visual]
        angles = self._world.angles[node, base[agent], action]
        candidates[agent, action, visual:] = np.tile(angles, self._angle_size // 4)
        return {
            "panorama": panorama,
            "candidates": candidates,
            "action_mask": mask,
            "heading": _HEADINGS[views],
            "elevation": _ELEVATIONS[views],
        }

    def _copy_visual(self, rows: np.ndarray, target: np.ndarray) -> None:
        """Copy rows of the store into (B, 36, D) float32, a few at a time to stay in the cache."""
        assert self._store is not None
        for start in range(0, len(rows), _CACHED_ROWS):
            part = np.s_[start : start + _CACHED_ROWS]
            widen_halves(self._store.views[rows[part]], target[part])

    @staticmethod
    def _present(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Agent and action of every candidate: what the mask allows but stop."""
        agent, action = np.nonzero(mask[:, 1:])
        return agent, action + 1
