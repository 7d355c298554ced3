"""Walks of the teacher, or of a policy with the teacher's labels, on navigation graphs."""

import zlib
from collections.abc import Callable, Sequence

import numpy as np

from clipnav.agents.acting.rollout import STOP, Agent
from clipnav.agents.demonstrations.recording.records import Candidate, RecordedWalk, Source, Step
from clipnav.envs.base.chosen_episodes import start_episodes
from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.navigation.reference_teacher import Teacher
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.walks import Walks
from clipnav.storage.features.view_grid import view_direction
from clipnav.training.streams import Stream


class GraphSteps:
    """Builder of the steps of walks on the graphs of a world.

    Args:
        world: The graphs.
    """

    def __init__(self, world: NavWorld) -> None:
        self._world = world

    def step(self, node: int, view: int, label: int, taken: int, source: Source) -> Step:
        """Return the step of an agent at a node that faces a view 0..35."""
        world = self._world
        graph = world.graphs[world.scan_names[node]]
        position = graph.positions[world.locals[node]]
        targets = world.targets[node][world.valid[node]][1:]
        return Step(
            position=_triple(position),
            heading=view_direction(view)[0],
            label=label,
            taken=taken,
            source=source,
            viewpoint=str(world.viewpoint_ids[node]),
            candidates=tuple(
                _candidate(str(world.viewpoint_ids[target]), offset)
                for target, offset in zip(
                    targets, graph.positions[world.locals[targets]] - position, strict=True
                )
            ),
        )


def _candidate(viewpoint: str, offset: np.ndarray) -> Candidate:
    east, north, rise = offset.tolist()
    return Candidate(
        viewpoint=viewpoint,
        heading=float(np.arctan2(east, north)),
        elevation=float(np.arctan2(rise, np.hypot(east, north))),
        distance=float(np.linalg.norm(offset)),
        rise=rise,
    )


def teacher_walks(
    world: NavWorld, episodes: Sequence[Episode], teacher: Teacher, steps: GraphSteps
) -> list[RecordedWalk]:
    """Walk episodes with the teacher, until it stops.

    Args:
        world: Graphs of the episodes.
        episodes: Episodes whose goals are known.
        teacher: Path of the teacher.
        steps: Builder of the steps.
    """
    count = len(episodes)
    walks = Walks(world, episodes, count, teacher)
    walks.start(np.arange(count), np.arange(count))
    recorded: list[list[Step]] = [[] for _ in episodes]
    while not walks.terminated.all():
        actions = walks.teacher_actions()
        for row in np.flatnonzero(~walks.terminated).tolist():
            action = int(actions[row])
            place = int(walks.nodes[row]), int(walks.views[row])
            recorded[row].append(steps.step(*place, action, action, "teacher"))
        # Every teacher reaches the goal, whatever the length of its path.
        walks.step(actions, np.iinfo(np.int64).max)
    return [
        _finished(episode, own, float(distance))
        for episode, own, distance in zip(episodes, recorded, walks.distances, strict=True)
    ]


def policy_walks(
    env: VlnVectorEnv,
    agent: Agent,
    episodes: Sequence[Episode],
    steps: GraphSteps,
    teacher_probability: float = 0.0,
    seed: int = 0,
) -> list[RecordedWalk]:
    """Walk episodes with a policy and label each step with the teacher's action (DAgger).

    Where the policy stops although the teacher does not, the teacher takes over and walks to the
    end, so that the walk contains the way from there to the goal.

    Args:
        env: Environment without autoreset that observes indices.
        agent: The policy; its networks must be in evaluation mode.
        episodes: Episodes of the environment whose goals are known, at most `env.num_envs`.
        steps: Builder of the steps.
        teacher_probability: Probability of the teacher's action at a step (Ross et al. 2011).
        seed: Random seed of these draws, which also depend on the id of the episode.
    """
    ids = [episode.instr_id for episode in episodes]
    observation, info, live = start_episodes(env, ids)
    draws = [_draws(seed, instr_id) for instr_id in ids]
    led = np.zeros(len(ids), bool)
    agent.begin(observation, info, live)
    recorded: list[list[Step]] = [[] for _ in ids]
    while live.size:
        labels = env.teacher_actions()
        actions = np.full(env.num_envs, STOP)
        actions[live] = labels[live]
        acting = live[~led[live]]
        chosen = dict(zip(acting.tolist(), _act(agent, observation, info, acting), strict=True))
        for row in live.tolist():
            action, label = chosen.get(row, int(labels[row])), int(labels[row])
            led[row] |= row in chosen and action == STOP != label
            source: Source = "policy" if row in chosen and not led[row] else "teacher"
            if source == "policy" and draws[row]() < teacher_probability:
                action, source = label, "teacher"
            actions[row] = label if source == "teacher" else action
            place = int(observation["viewpoint"][row]), int(observation["view"][row])
            recorded[row].append(steps.step(*place, label, int(actions[row]), source))
        observation, _, stopped, truncated, info = env.step(actions)
        live = live[~(stopped | truncated)[live]]
    distances = np.asarray(info["distance_to_goal"], float)[: len(ids)]
    return [
        _finished(episode, own, float(distance))
        for episode, own, distance in zip(episodes, recorded, distances, strict=True)
    ]


def _act(agent: Agent, observation: dict, info: dict, rows: np.ndarray) -> list[int]:
    return np.asarray(agent.act(observation, info, rows)).tolist() if rows.size else []


def _draws(seed: int, instr_id: str) -> Callable[[], float]:
    return Stream.GRAPH_TEACHER_STEPS.rng(seed, zlib.crc32(instr_id.encode())).random


def _finished(episode: Episode, steps: list[Step], distance: float) -> RecordedWalk:
    success = steps[-1].taken == STOP and distance < SUCCESS_THRESHOLD
    return RecordedWalk.of(episode, steps, success)


def _triple(values: np.ndarray) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z
