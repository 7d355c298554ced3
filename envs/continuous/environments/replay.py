"""Replay of walks of which only the positions are known, step by step on the floor."""

from collections.abc import Sequence

import numpy as np

from clipnav.envs.continuous.environments.walks import grouped
from clipnav.envs.continuous.episodes import ContinuousEpisode
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator

_TOLERANCE = 1e-4  # metres, of positions that are rounded to 4 decimals
_SAME = 6  # decimals of positions that count as one
_MOST_GUESSES = 1000  # per walk, on average


def impossible_steps(
    episodes: Sequence[ContinuousEpisode],
    walks: Sequence[np.ndarray],
    stopped: Sequence[bool],
    simulator: ContinuousSimulator,
    settings: ContinuousSettings,
) -> dict[int, int]:
    """Return the number of the first step of each walk that no action leads to.

    All headings that agree with the positions so far are followed at once: a pause is a turn, a
    tilt, or a step into a wall.

    Args:
        walks: (T, 3) position of each of W walks at its start and after each action, in metres.
        stopped: Whether the last action of each walk is a stop.
        settings: The task, without noise.
    """
    lengths = np.array([len(walk) for walk in walks])
    claimed = np.full((len(walks), lengths.max(initial=0), 3), np.nan)
    for walk, row in zip(walks, claimed, strict=True):
        row[: len(walk)] = walk
    scans = np.array([episode.scan for episode in episodes], object)
    headings = np.array([episode.heading for episode in episodes], float)
    ends_by_stop = np.asarray(stopped, bool)
    # What may be: the walk (N,), its position (N, 3), turns clockwise, and whether it has moved.
    owners = np.arange(len(walks))
    positions = np.array([episode.start for episode in episodes], float).reshape(-1, 3)
    turns, on_floor = np.zeros(len(walks), int), np.zeros(len(walks), bool)
    found = {}
    for step in range(1, claimed.shape[1]):
        live = lengths[owners] > step
        owners, positions, turns, on_floor = (
            values[live] for values in (owners, positions, turns, on_floor)
        )
        facing = (headings[owners] + turns * np.radians(settings.turn_angle)) % (2 * np.pi)
        ahead, here = np.empty_like(positions), positions.copy()
        for scan, rows in grouped(scans[owners]):
            floor = simulator.floor(scan)
            moves = positions[rows], facing[rows]
            ahead[rows] = floor.step(*moves, settings.step_size, settings.sliding)[0]
            new = rows[~on_floor[rows]]
            if new.size:  # a first turn puts an agent on the floor
                here[new] = floor.step(positions[new], facing[new], 0.0, settings.sliding)[0]
        stops = ends_by_stop[owners] & (lengths[owners] == step + 1)
        idle = stops | settings.tilt_actions
        options = [
            (~stops, ahead, turns, True),
            (~stops, here, turns + 1, True),
            (~stops, here, turns - 1, True),
            (idle, positions, turns, on_floor),
        ]
        before = set(owners.tolist())
        rows = []
        for allowed, place, turned, is_on in options:
            near = np.abs(place - claimed[owners, step]).max(axis=1) <= _TOLERANCE
            kept = allowed & near
            flags = np.broadcast_to(is_on, owners.shape)
            turned = turned % settings.turns_per_circle
            rows.append(np.column_stack([owners, turned, flags, place])[kept])
        table = np.concatenate(rows)
        _, first = np.unique(table.round(_SAME), axis=0, return_index=True)
        table = table[first[: _MOST_GUESSES * len(walks)]]
        owners, turns = table[:, 0].astype(int), table[:, 1].astype(int)
        on_floor, positions = table[:, 2].astype(bool), table[:, 3:]
        found |= dict.fromkeys(before - set(owners.tolist()), step)
    return found
