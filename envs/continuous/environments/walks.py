"""ContinuousWalks: positions, headings and measures of a batch of agents."""

from collections.abc import Sequence

import numpy as np

from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.episodes import ContinuousSplit
from clipnav.envs.continuous.measures import Walk
from clipnav.envs.continuous.robots import draw_noise
from clipnav.envs.continuous.settings import (
    FORWARD,
    LEFT,
    LOOK_DOWN,
    LOOK_UP,
    RIGHT,
    STOP,
    ContinuousSettings,
)
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.storage.errors import UserError

# Metres by which an agent must move before its distance is computed again, as in VLN-CE.
_MOVED = 1e-4
_STUCK = 0.01  # metres of a step forward, at most, that count as stuck
# Metres between a start and the floor. The viewpoints of Matterport3D's graphs are mostly less than
# half a metre off the navigation mesh, those of a model with another vertical axis anywhere.
_OFF_FLOOR = 1.0


class ContinuousWalks:
    """State of B agents as arrays.

    Headings are the initial heading and a whole number of turns, so that turning in a circle leads
    back to the same heading exactly. As in habitat, an agent starts exactly at its start position,
    which may be a little off the floor; its first step or turn puts it on the floor, whereas a tilt
    or a stop does not.

    Attributes:
        episodes: (B,) index of the episode of each agent.
        positions: (B, 3) metres, the point under the feet.
        turns: (B,) number of turns clockwise since the start, modulo a circle.
        tilts: (B,) number of tilts upwards since the start.
        steps: (B,) number of actions.
        collided: (B,) bool, whether the last action was blocked.
        collisions: (B,) number of collisions.
        forwards: (B,) number of steps forward.
        stuck: (B,) number of steps forward that moved the agent less than a centimetre.
        drifts: (B,) radians clockwise that noise has added to the headings.
        distances: (B,) distance to the goal in metres, NaN where the goal is secret.
        stopped: (B,) bool, whether the agent has stopped, which terminates the episode.
        truncated: (B,) bool, whether the episode was truncated.
        ended_now: (B,) bool, whether the episode ended with the last step.
    """

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: ContinuousSimulator,
        num_agents: int,
        settings: ContinuousSettings,
    ) -> None:
        self._simulator, self._settings = simulator, settings
        episodes = split.episodes
        self._all_scans = split.scans
        self._starts = np.array([episode.start for episode in episodes], float).reshape(-1, 3)
        self._headings = np.array([episode.heading for episode in episodes])
        self.has_goals = np.array([episode.has_goal for episode in episodes])
        goals = [e.goal if e.has_goal else (np.nan,) * 3 for e in episodes]
        self._goals = np.array(goals, float).reshape(-1, 3)
        self._agents = np.arange(num_agents)
        self.episodes = np.zeros(num_agents, np.int64)
        self.positions = np.zeros((num_agents, 3))
        self._measured = np.zeros((num_agents, 3))  # positions of `distances`
        counts = np.zeros((6, num_agents), np.int64)
        self.turns, self.tilts, self.steps, self.collisions, self.forwards, self.stuck = counts
        self.drifts = np.zeros(num_agents)
        self._noise = [np.random.default_rng(0) for _ in range(num_agents)]
        self.distances = np.zeros(num_agents)
        flags = np.zeros((4, num_agents), bool)
        self.collided, self.terminated, self.truncated, self.ended_now = flags
        self._on_floor = np.zeros(num_agents, bool)
        self._checked: set[str] = set()  # scans whose starts are on their floors
        self._routed: set[str] = set()  # scans most of whose goals can be reached
        self._history = np.zeros((num_agents, 64, 5))  # position, heading and distance
        self._most_steps = 0  # upper bound over the agents
        self._serials = np.zeros(num_agents, np.int64)  # numbers of the starts of the episodes
        self._starts_so_far = 0

    @property
    def headings(self) -> np.ndarray:
        """(B,) headings, radians clockwise from +y, in 0..2 pi."""
        turned = self.turns * np.radians(self._settings.turn_angle)
        return (self._headings[self.episodes] + turned + self.drifts) % (2 * np.pi)

    @property
    def tilt_angles(self) -> np.ndarray:
        """(B,) elevations of the cameras in radians."""
        return self.tilts * np.radians(self._settings.tilt_angle)

    @property
    def scans(self) -> np.ndarray:
        """(B,) object array, the building of each agent."""
        return self._all_scans[self.episodes]

    @property
    def has_goal(self) -> np.ndarray:
        """(B,) bool, whether the goal is known."""
        return self.has_goals[self.episodes]

    def start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        """Start episodes exactly at their start positions, as habitat does.

        Args:
            agents: (M,) agents that start.
            episodes: (M,) indices of their episodes.
        """
        for scan in dict.fromkeys(self._all_scans[episodes]):
            self._check_starts(scan)
        self.episodes[agents] = episodes
        self._serials[agents] = self._starts_so_far + np.arange(len(agents))
        self._starts_so_far += len(agents)
        self.positions[agents] = self._measured[agents] = self._starts[episodes]
        counts = self.turns, self.tilts, self.steps, self.collisions, self.forwards, self.stuck
        for count in (*counts, self.drifts):
            count[agents] = 0
        for agent, episode in zip(agents.tolist(), episodes.tolist(), strict=True):
            self._noise[agent] = np.random.default_rng(episode)
        for flag in (self.collided, self.terminated, self.truncated, self._on_floor):
            flag[agents] = False
        self._measure(agents)
        self._check_routes(agents)
        self._record(agents)

    def step(self, actions: np.ndarray, max_steps: int) -> None:
        """Apply the actions (B,) of the agents whose episodes have not ended."""
        active = ~(self.terminated | self.truncated)
        facing = self.headings
        turned = (actions == RIGHT).astype(int) - (actions == LEFT)
        self.turns += active * turned
        self.turns %= self._settings.turns_per_circle
        self.tilts += active * ((actions == LOOK_UP).astype(int) - (actions == LOOK_DOWN))
        self.collided &= ~active
        before = self.positions.copy()
        forward = np.flatnonzero(active & (actions == FORWARD))
        turning = np.flatnonzero(active & (turned != 0))
        if self._settings.actuation_noise != "none":
            self._move_noisily(np.concatenate([forward, turning]), turned, facing)
            self.collided[turning] = False
        else:
            if forward.size:
                self._move(forward, facing, np.array(self._settings.step_size))
            first = turning[~self._on_floor[turning]]
            if first.size:
                self._move(first, facing, np.array(0.0))
        self._on_floor[forward] = self._on_floor[turning] = True
        self.forwards[forward] += 1
        still = np.linalg.norm(self.positions[forward] - before[forward], axis=1) < _STUCK
        self.stuck[forward[still]] += 1
        self.collisions += self.collided & active
        self.steps += active
        self.terminated |= active & (actions == STOP)
        self.truncated |= active & ~self.terminated & (self.steps >= max_steps)
        self.ended_now = active & (self.terminated | self.truncated)
        moved = np.abs(self.positions - self._measured)
        changed = (moved > _MOVED + 1e-5 * np.abs(self.positions)).any(axis=1)  # np.isclose
        if changed.any():
            self._measure(np.flatnonzero(changed))
        self._record(np.flatnonzero(active))

    def walk(self, agent: int) -> Walk:
        """Return a copy of the walk of an agent so far."""
        record = self._history[agent, : self.steps[agent] + 1]
        return Walk(
            record[:, :3].copy(),
            record[:, 4].copy(),
            bool(self.terminated[agent]),
            int(self.collisions[agent]),
            int(self.forwards[agent]),
            int(self.stuck[agent]),
        )

    def sensor_noise(self) -> np.ndarray:
        """Return standard normal numbers (B, 3), new ones at each call."""
        return np.array([generator.standard_normal(3) for generator in self._noise])

    def traces(self) -> list[PoseTrace]:
        """Return copies of the poses of all agents so far."""
        history = self._history[:, : self.steps.max() + 1].copy()
        return [
            PoseTrace(poses[: steps + 1, :3], poses[: steps + 1, 3], stopped, serial)
            for poses, steps, stopped, serial in zip(
                history,
                self.steps.tolist(),
                self.terminated.tolist(),
                self._serials.tolist(),
                strict=True,
            )
        ]

    def _check_starts(self, scan: str) -> None:
        if scan in self._checked:
            return
        starts = self._starts[self._all_scans == scan]
        floor = self._simulator.floor(scan)
        nearest = floor.project(starts)
        off = np.linalg.norm(nearest - starts, axis=1) > _OFF_FLOOR
        off |= ~floor.contains(nearest)
        if off.mean() > 0.5:
            raise _wrong_scene(scan, f"{off.sum()} of {len(starts)} starts are not on its floor")
        self._checked.add(scan)

    def _check_routes(self, agents: np.ndarray) -> None:
        """Refuse a scene most of whose starts have no route to their goal.

        Single ones have none: not all paths of a graph can be walked on the floor. All episodes of
        a scene are measured only if one of agents (M,) has none, because that takes time.
        """
        unreached = self.scans[agents[np.isinf(self.distances[agents])]]
        for scan in dict.fromkeys(unreached):
            if scan in self._routed:
                continue
            rows = (self._all_scans == scan) & self.has_goals
            floor = self._simulator.floor(scan)
            cut = np.isinf(floor.distances(self._starts[rows], self._goals[rows]))
            if cut.mean() > 0.5:
                routes = (
                    f"{cut.sum()} of {len(cut)} starts have no route to their goal on its floor"
                )
                raise _wrong_scene(scan, routes)
            self._routed.add(scan)

    def _move(self, agents: np.ndarray, headings: np.ndarray, distances: np.ndarray) -> None:
        """Move agents (M,) on the floors of their buildings.

        Args:
            headings: (B,) directions in radians.
            distances: (B,) metres, or () for all.
        """
        for scan, rows in grouped(self.scans[agents]):
            chosen = agents[rows]
            length = distances[chosen] if distances.ndim else float(distances)
            self.positions[chosen], self.collided[chosen] = self._simulator.floor(scan).step(
                self.positions[chosen], headings[chosen], length, self._settings.sliding
            )

    def _move_noisily(self, agents: np.ndarray, turned: np.ndarray, facing: np.ndarray) -> None:
        """Move and turn agents (M,) with the noise of a robot, from headings (B,)."""
        if not agents.size:
            return
        settings = self._settings
        lefts = -turned[agents] * np.radians(settings.turn_angle)
        forward = np.where(lefts == 0, settings.step_size, 0.0)
        noise = draw_noise(
            settings.actuation_noise,
            settings.actuation_noise_scale,
            [self._noise[agent] for agent in agents.tolist()],
            forward,
            lefts,
        )
        headings, distances = facing.copy(), np.zeros(len(facing))
        headings[agents] += np.arctan2(noise.right, forward + noise.forward)
        distances[agents] = np.hypot(noise.right, forward + noise.forward)
        self._move(agents, headings, distances)
        self.drifts[agents] -= noise.left_turn

    def _measure(self, agents: np.ndarray) -> None:
        """Compute the distances of agents (M,) to their goals."""
        self._measured[agents] = self.positions[agents]
        known = self.has_goal[agents]
        self.distances[agents[~known]] = np.nan
        agents = agents[known]
        for scan, rows in grouped(self.scans[agents]):
            chosen = agents[rows]
            self.distances[chosen] = self._simulator.floor(scan).distances(
                self.positions[chosen], self._goals[self.episodes[chosen]]
            )

    def _record(self, agents: np.ndarray) -> None:
        """Append the poses and distances of agents (M,) to the history."""
        self._most_steps = max(self._most_steps, int(self.steps[agents].max(initial=0)))
        if self._most_steps >= self._history.shape[1]:
            self._history = np.concatenate([self._history, np.zeros_like(self._history)], axis=1)
        rows = agents, self.steps[agents]
        self._history[(*rows, slice(3))] = self.positions[agents]
        self._history[(*rows, 3)] = self.headings[agents]
        self._history[(*rows, 4)] = self.distances[agents]


def _wrong_scene(scan: str, reason: str) -> UserError:
    return UserError(
        f"scene {scan}: {reason}; if the vertical axis of its 3D model is y, write beside the "
        f'model a {scan}.stage_config.json that contains "render_asset", "up": [0, 1, 0] and '
        '"front": [0, 0, -1]'
    )


def grouped(names: Sequence[str] | np.ndarray) -> list[tuple[str, np.ndarray]]:
    """Return each name with the rows (M,) where it occurs, in the order of first occurrence."""
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        rows.setdefault(name, []).append(row)
    return [(name, np.array(chosen)) for name, chosen in rows.items()]
