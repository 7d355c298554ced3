"""GhostWalker: an agent that decides among the ghosts of its map and walks there.

ETPNav 8dec13a `vlnce_baselines/ss_trainer_ETP.py: RLTrainer.rollout`, and `single_step_control` and
`multi_step_control` of `vlnce_baselines/common/environments.py`. A walk between decisions is a
generator: it yields actions and is sent the pose after each.
"""

import zlib
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from clipnav.agents.duet.model import EncodedText, PanoramaInputs
from clipnav.agents.etpnav.ghost_map import GhostMap
from clipnav.agents.etpnav.network import EtpNavNetwork, node_inputs
from clipnav.agents.etpnav.panoramas import Sight, Surroundings, view_tokens
from clipnav.agents.etpnav.settings import EtpNavTrainConfig
from clipnav.agents.etpnav.teacher import GhostTeacher
from clipnav.agents.layers.encoders import cropped, readable
from clipnav.agents.learning.agent_learner import mixed_precision
from clipnav.agents.maps.experts import STOP_TOKEN
from clipnav.envs.base.vector_env import Observation
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator, Floor
from clipnav.training.streams import Stream

_SIDE = 90.0  # degrees that an agent turns aside after a collision
_TRIED = 30.0  # degrees between the directions that it tries
# Chooses the map token of an agent, given its scores (N,), the teacher's token, and random numbers.
Policy = Callable[[np.ndarray, int, np.random.Generator], int]


class AgentPose(NamedTuple):
    """Where an agent is after an action.

    Attributes:
        position: (3,) point under its feet.
        heading: Radians clockwise from +y.
        collided: Whether the action was a step that an obstacle shortened.
    """

    position: np.ndarray
    heading: float
    collided: bool


Walk = Generator[int, AgentPose, AgentPose]


def walk_along(
    pose: AgentPose,
    places: Iterable[np.ndarray],
    settings: ContinuousSettings,
    rng: np.random.Generator | None,
) -> Walk:
    """Walk to places (3,) in turn, straight to each one; see `walk_to`."""
    for place in places:
        pose = yield from walk_to(pose, place, settings, rng)
    return pose


def walk_to(
    pose: AgentPose,
    place: np.ndarray,
    settings: ContinuousSettings,
    rng: np.random.Generator | None,
) -> Walk:
    """Turn to a place (3,) and step there.

    Args:
        rng: Random numbers for the side to which the agent turns after a collision; None to step on
            against the obstacle.
    """
    offset = place - pose.position
    bearing = np.degrees(np.arctan2(offset[0], offset[1]) - pose.heading)
    pose = yield from _turn(pose, bearing if offset[:2].any() else 0.0, settings)
    steps = int(np.linalg.norm(offset) / settings.step_size + 1e-9)
    for step in range(steps):
        pose = yield FORWARD
        if pose.collided and rng is not None:
            return (yield from _try_out(pose, steps - step, settings, rng))
    return pose


def _try_out(
    pose: AgentPose, steps: int, settings: ContinuousSettings, rng: np.random.Generator
) -> Walk:
    """Turn aside, and back by 30 degrees until a step leads on; then take the remaining steps.

    The directions reach from 90 degrees on a random side to 90 degrees on the other one, without
    the first direction, in which the agent walks on.
    """
    side = 1 if rng.random() < 0.5 else -1
    aside = 0.0  # degrees from the first direction, clockwise
    for tried in np.arange(_SIDE, -_SIDE - 1, -_TRIED):
        if not tried:
            continue
        pose = yield from _turn(pose, side * tried - aside, settings)
        aside, before = side * tried, pose.position
        pose = yield FORWARD
        if np.array_equal(pose.position, before):
            continue
        pose = yield from _turn(pose, -aside, settings)
        for _ in range(steps):
            pose = yield FORWARD
            if pose.collided:
                break
        break
    return pose


def _turn(pose: AgentPose, degrees: float, settings: ContinuousSettings) -> Walk:
    """Turn clockwise by an angle, rounded to whole turns; half a circle is a turn to the left."""
    circle = settings.turns_per_circle
    turns = round(-degrees / settings.turn_angle) % circle
    action = LEFT
    if 2 * turns > circle:
        action, turns = RIGHT, circle - turns
    for _ in range(turns):
        pose = yield action
    return pose


class GhostDecisions(NamedTuple):
    """Decisions of R agents at the same time.

    Attributes:
        scores: (R, N) scores of the map tokens.
        labels: (R,) map tokens of the teacher.
    """

    scores: Tensor
    labels: np.ndarray


@dataclass
class EtpNavEpisode:
    """State of one episode.

    Attributes:
        panoramas: (V, d) encoded panorama tokens of each node.
        stop_probabilities: Probability of [stop] at each node.
        walk: Walk to the place of the last decision; None before the first.
    """

    ghosts: GhostMap
    rng: np.random.Generator
    panoramas: list[Tensor]
    stop_probabilities: list[float]
    previous: int | None = None
    walk: Walk | None = None
    is_walking: bool = False
    is_over: bool = False
    teacher: GhostTeacher | None = None


def greedy(scores: np.ndarray, label: int, rng: np.random.Generator) -> int:
    """Choose the map token with the highest score."""
    return int(scores.argmax())


class GhostWalker:
    """ETPNav in a `ContinuousVectorEnv`.

    Agents decide when they have reached their place, each in its own time. At the end of an episode
    an agent walks back to the node whose probability of [stop] was the highest when it was there.
    """

    def __init__(
        self,
        network: EtpNavNetwork,
        surroundings: Surroundings,
        simulator: ContinuousSimulator,
        settings: ContinuousSettings,
        config: EtpNavTrainConfig,
        policy: Policy = greedy,
        teachers: Sequence[Callable[[np.random.Generator], GhostTeacher]] = (),
        iteration: tuple[int, ...] = (),
    ) -> None:
        """Prepare an agent.

        Args:
            teachers: Makes the teacher of each agent, in training.
            iteration: Numbers of the iteration and of the rank, in training.
        """
        self.decisions: list[GhostDecisions] = []
        self._network, self._surroundings = network, surroundings
        self._simulator, self._settings, self._config = simulator, settings, config
        self._policy, self._teachers, self._iteration = policy, teachers, iteration
        self._tries_out = not settings.sliding if config.tryout is None else config.tryout
        self._device = network.head.outer.weight.device
        self._text: EncodedText
        self._episodes: list[EtpNavEpisode] = []

    def start(self, observation: Observation, info: Any) -> None:
        """Read the instructions and start empty maps."""
        ids = readable(observation["instruction"], self._config.use_instructions)
        with self._grad(), mixed_precision(self._network, self._config):
            self._text = self._network.read(cropped(ids).to(self._device))
        self._episodes = []
        for row, name in enumerate(info["instr_id"]):
            key = self._iteration or (zlib.crc32(name.encode()),)
            rng = Stream.GHOST_DECISIONS.rng(self._config.seed, *key, row)
            if not self._iteration:  # does not depend on the other episodes of the batch
                rng = Stream.GHOST_WALKS.rng(self._config.seed, *key)
            episode = EtpNavEpisode(GhostMap(self._config.map), rng, [], [])
            if self._teachers:
                episode.teacher = self._teachers[row](rng)
            self._episodes.append(episode)

    def act(self, observation: Observation, info: Any, active: np.ndarray) -> np.ndarray:
        """Return the next low-level actions (B,) on the walks to the chosen places."""
        del observation
        actions = np.full(len(self._episodes), STOP)
        poses = {
            row: AgentPose(info["position"][row], float(info["heading"][row]), bool(collided))
            for row, collided in zip(active.tolist(), info["collided"][active], strict=True)
        }
        waiting = active.tolist()
        while waiting:
            due = [row for row in waiting if not self._continue(row, poses[row], actions)]
            if due:
                self._decide(due, [info["scan"][row] for row in due], [poses[row] for row in due])
            waiting = due
        return actions

    def _grad(self) -> torch.set_grad_enabled:
        return torch.set_grad_enabled(bool(self._teachers))

    def _continue(self, row: int, pose: AgentPose, actions: np.ndarray) -> bool:
        """Take the next action of the walk of an agent; return False if it must decide."""
        episode = self._episodes[row]
        if episode.walk is None:
            return False
        try:
            actions[row] = episode.walk.send(pose) if episode.is_walking else next(episode.walk)
        except StopIteration:
            actions[row] = STOP
            return episode.is_over
        episode.is_walking = True
        return True

    def _decide(self, rows: list[int], scans: list[str], poses: list[AgentPose]) -> None:
        """Add the places of R agents to their maps, and begin the walks to the next places."""
        positions = np.array([pose.position for pose in poses])
        headings = np.array([pose.heading for pose in poses])
        rngs = [self._episodes[row].rng for row in rows] if self._teachers else None
        sights = self._surroundings.look(scans, positions, headings, rngs)
        with self._grad(), mixed_precision(self._network, self._config):
            encoded = self._encode(sights)
            for row, scan, pose, sight, tokens in zip(
                rows, scans, poses, sights, encoded, strict=True
            ):
                self._visit(self._episodes[row], self._simulator.floor(scan), pose, sight, tokens)
            episodes = [self._episodes[row] for row in rows]
            elevation = self._network.config.elevation
            maps = [
                episode.ghosts.tokens(pose.heading, elevation)
                for episode, pose in zip(episodes, poses, strict=True)
            ]
            nodes = node_inputs(maps, [torch.cat(episode.panoramas) for episode in episodes])
            text = self._text.rows(torch.tensor(rows, device=self._device))
            scores = self._network.score(text, nodes)
        labels = np.array(
            [e.teacher.target(e.ghosts) if e.teacher else STOP_TOKEN for e in episodes]
        )
        if self._teachers:
            self.decisions.append(GhostDecisions(scores, labels))
        known = scores.detach().float()
        stops = known.softmax(1)[:, STOP_TOKEN].tolist()
        for episode, pose, own, stop, label in zip(
            episodes, poses, known.cpu().numpy(), stops, labels.tolist(), strict=True
        ):
            episode.stop_probabilities.append(stop)
            chosen = self._policy(own, label, episode.rng)
            ghosts = episode.ghosts
            is_last = len(ghosts.nodes) == self._config.max_decisions or not ghosts.ghosts
            if chosen == STOP_TOKEN or is_last:
                path = ghosts.path(int(np.argmax(episode.stop_probabilities)))
                places = [ghosts.nodes[node] for node in path]
                episode.is_over = True
            else:
                number = list(ghosts.ghosts)[chosen - 1 - len(ghosts.nodes)]
                path, ghost = ghosts.choose(number)
                places = [*(ghosts.nodes[node] for node in path), ghost.position]
                episode.previous = path[-1] if path else len(ghosts.nodes) - 1
            rng = episode.rng if self._tries_out else None
            episode.walk, episode.is_walking = walk_along(pose, places, self._settings, rng), False

    def _encode(self, sights: Sequence[Sight]) -> list[Tensor]:
        """Return the encoded panorama tokens (V, d) of places."""
        tokens = [view_tokens(sight.angles) for sight in sights]
        features = [
            sight.features[torch.from_numpy(own.views)]
            for sight, own in zip(sights, tokens, strict=True)
        ]
        sizes = torch.tensor([len(own.views) for own in tokens])
        inputs = PanoramaInputs(
            pad_sequence(features, True).to(self._device),
            pad_sequence([torch.from_numpy(t.directions) for t in tokens], True).to(self._device),
            pad_sequence([torch.from_numpy(t.types) for t in tokens], True).to(self._device),
            (torch.arange(int(sizes.max())) < sizes[:, None]).to(self._device),
        )
        encoded, _ = self._network.panorama(inputs)
        return [one[:size] for one, size in zip(encoded, sizes.tolist(), strict=True)]

    def _visit(
        self, episode: EtpNavEpisode, floor: Floor, pose: AgentPose, sight: Sight, tokens: Tensor
    ) -> None:
        """Add a place, and the waypoints around it, to the map of an agent."""
        headings = pose.heading + sight.angles
        ways = np.stack([np.sin(headings), np.cos(headings), np.zeros(len(headings))], axis=1)
        candidates = pose.position + sight.distances[:, None] * ways
        ends = candidates
        if episode.teacher is not None:
            ends = walk_ends(floor, pose.position, headings, sight.distances, self._settings)
        episode.ghosts.visit(pose.position, episode.previous, candidates, ends, len(tokens))
        episode.panoramas.append(tokens)


def walk_ends(
    floor: Floor,
    position: np.ndarray,
    headings: np.ndarray,
    distances: np.ndarray,
    settings: ContinuousSettings,
) -> np.ndarray:
    """Return where straight walks of whole steps end (K, 3), obstacles included.

    Args:
        position: (3,) start.
        headings: (K,) radians.
        distances: (K,) metres.
    """
    ends = np.repeat(position[None], len(headings), axis=0)
    steps = (distances / settings.step_size + 1e-9).astype(int)
    for step in range(int(steps.max(initial=0))):
        walking = steps > step
        ends[walking], _ = floor.step(
            ends[walking], headings[walking], settings.step_size, settings.sliding
        )
    return ends
