"""ExpertWalks: the expert's walks as references of nDTW, and the actions of the teacher."""

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

import numpy as np

from clipnav.envs.continuous.coordinates import PoseTrace
from clipnav.envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from clipnav.envs.continuous.experts import Teacher, reference_walks
from clipnav.envs.continuous.measures import Walk, measure_walk
from clipnav.envs.continuous.settings import ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.storage.errors import UserError

# Positions of the expert's walks by movement, building, heading and reference path.
_Positions = dict[tuple[object, ...], np.ndarray]
_SHARED: "WeakKeyDictionary[ContinuousSimulator, _Positions]" = WeakKeyDictionary()


class ExpertWalks:
    """The expert of each episode of a split.

    The reference walks visit the viewpoints of the reference path in order, as in VLN-CE's gt
    files. They are computed when they are needed, and shared by the instructions of a path and by
    all environments with the same simulator and movement.
    """

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: ContinuousSimulator,
        settings: ContinuousSettings,
    ) -> None:
        self._split, self._simulator, self._settings = split, simulator, settings
        self._walks = _SHARED.setdefault(simulator, {})
        self._movement = settings.turn_angle, settings.step_size, settings.sliding
        self._teacher: Teacher | None = None
        self._serials = np.zeros(0, np.int64)  # number of the start of each agent's episode
        self._seen = np.zeros(0, np.int64)  # number of positions that the teacher has seen
        self._answers = np.zeros(0, np.int64)  # actions of the teacher after these positions

    @property
    def has_teacher(self) -> bool:
        """Whether there is a teacher."""
        return self._settings.teacher != "none"

    def locations(self, number: int) -> np.ndarray:
        """Return the positions (G, 3) of the expert's walk of an episode, start included."""
        episode = self._split.episodes[number]
        if not episode.has_goal:
            return np.array([episode.start])
        if episode.episode_id in self._split.references:
            return self._split.references[episode.episode_id]
        self.prepare([number])
        return self._walks[self._key(episode)]

    def prepare(self, numbers: Iterable[int]) -> None:
        """Compute the missing walks of episodes house by house, which is faster."""
        missing: dict[str, dict[tuple[object, ...], ContinuousEpisode]] = {}
        for episode in (self._split.episodes[number] for number in numbers):
            key = self._key(episode)
            is_known = key in self._walks or episode.episode_id in self._split.references
            if episode.has_goal and not is_known:
                missing.setdefault(episode.scan, {})[key] = episode
        for scan, episodes in missing.items():
            nodes = [np.array(episode.reference_path) for episode in episodes.values()]
            headings = np.array([episode.heading for episode in episodes.values()])
            walks = reference_walks(self._simulator.floor(scan), nodes, headings, self._settings)
            self._walks |= {key: walk.positions for key, walk in zip(episodes, walks, strict=True)}

    def measure(self, number: int, walk: Walk) -> dict[str, float]:
        """Return the measures of a walk in an episode whose goal is known."""
        settings = self._settings
        return measure_walk(
            walk,
            self.locations(number),
            settings.definition,
            settings.dtw,
            settings.success_distance,
        )

    def actions(self, episodes: np.ndarray, traces: Sequence[PoseTrace]) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 where the goal is secret.

        Args:
            episodes: (B,) index of each agent's episode.
            traces: Walks of the agents so far. Those that end where the next ones begin reuse the
                progress along the path, the same ones repeat the answer, because a follower
                remembers its actions; others are followed from their start.
        """
        if not self.has_teacher:
            raise UserError("teacher='none': choose the teacher 'path' or 'goal'")
        count, actions = len(traces), np.zeros(len(traces), np.int64)
        if self._teacher is None or len(self._serials) < count:
            self._teacher = self._make_teacher(count)
            self._serials, self._seen, self._answers = np.full((3, count), -1, np.int64)
        teacher = self._teacher
        current = []
        for agent, trace in enumerate(traces):
            episode = self._split.episodes[int(episodes[agent])]
            if not episode.has_goal:
                continue
            serial, seen = trace.serial, len(trace.positions)
            if (serial, seen) < (self._serials[agent], self._seen[agent]):
                actions[agent] = self._replayed(episode, trace)
                continue
            if (serial, seen) == (self._serials[agent], self._seen[agent]):
                actions[agent] = self._answers[agent]
                continue
            if serial > self._serials[agent]:
                self._start(teacher, agent, episode)
                self._serials[agent], self._seen[agent] = serial, 0
            teacher.pass_nodes(agent, trace.positions[self._seen[agent] : -1])
            self._seen[agent] = seen
            current.append(agent)
        if current:
            rows = np.array(current)
            positions = np.array([traces[agent].positions[-1] for agent in current])
            headings = np.array([traces[agent].headings[-1] for agent in current])
            actions[rows] = self._answers[rows] = teacher.actions(positions, headings, rows)
        return actions

    def _key(self, episode: ContinuousEpisode) -> tuple[object, ...]:
        return self._movement, episode.scan, episode.heading, episode.reference_path

    def _make_teacher(self, count: int) -> Teacher:
        settings = self._settings
        kind = "goal" if settings.teacher == "goal" else "path"
        return Teacher(count, settings, kind, settings.follower)

    def _start(self, teacher: Teacher, row: int, episode: ContinuousEpisode) -> None:
        floor = self._simulator.floor(episode.scan)
        teacher.start(row, floor, np.array(episode.reference_path))

    def _replayed(self, episode: ContinuousEpisode, trace: PoseTrace) -> int:
        """Return the action after a walk that is not the newest one of its agent."""
        teacher = self._make_teacher(1)
        self._start(teacher, 0, episode)
        teacher.pass_nodes(0, trace.positions[:-1])
        return int(teacher.actions(trace.positions[-1:], trace.headings[-1:])[0])
