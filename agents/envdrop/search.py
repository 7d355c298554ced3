"""Search for probable paths, by beams or best-first, and their ranking by follower and speaker.

A search expands many viewpoints before it chooses a path. A real agent would have to walk to them;
`search_walk` returns that walk. Searches are deterministic: networks are in evaluation mode, and of
equally probable paths the one that was found first is kept.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.evaluation import Pose
from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.path_recording import gather_views
from clipnav.agents.envdrop.speaker import Speaker
from clipnav.agents.layers.encoders import PAD, State
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.storage.features.view_grid import view_direction

_ROWS = 256  # decoder rows in a batch
_PATHS = 64  # paths in a batch of the speaker


class Position(NamedTuple):
    """Position of an agent.

    Attributes:
        view: View 0..35 that the agent faces.
    """

    node: int
    view: int


def start_positions(observation: Observation) -> list[Position]:
    """Return the positions of all rows of an observation."""
    pairs = zip(observation["viewpoint"].tolist(), observation["view"].tolist(), strict=True)
    return [Position(node, view) for node, view in pairs]


@dataclass(frozen=True)
class FoundPath:
    """A complete path.

    Attributes:
        actions: Action at each position; the last is stop.
        log_prob: Sum of the follower's log-probabilities of the actions.
    """

    positions: tuple[Position, ...]
    actions: tuple[int, ...]
    log_prob: float


@dataclass
class SearchResult:
    """Result of a search for one instruction.

    Attributes:
        paths: Complete paths, the most probable first.
        expanded: Last nodes of the paths that were expanded or, best-first, found complete.
    """

    paths: list[FoundPath] = field(default_factory=list)
    expanded: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _PartialPath:
    """A path without stop.

    Attributes:
        log_prob: Sum of the log-probabilities of the actions.
        state: Decoder state before the expansion of the last position.
    """

    row: int
    positions: tuple[Position, ...]
    actions: tuple[int, ...]
    log_prob: float
    state: State

    def stopped(self, log_prob: float) -> FoundPath:
        """Return the path completed by a stop of this log-probability."""
        return FoundPath(self.positions, (*self.actions, STOP), self.log_prob + log_prob)

    def extended(self, log_prob: float, action: int, position: Position) -> "_PartialPath":
        """Return the path after a move; `log_prob` is that of the whole new path."""
        return replace(
            self,
            positions=(*self.positions, position),
            actions=(*self.actions, action),
            log_prob=log_prob,
        )


class Searcher:
    """Expansion of paths by a follower, without walking.

    Args:
        tokens: (B, L) token ids of the instructions.
    """

    def __init__(
        self,
        follower: Follower,
        features: DeviceFeatures,
        world: NavWorld,
        tokens: np.ndarray,
        starts: Sequence[Position],
    ) -> None:
        self._world = world
        self._scorer = ActionScorer(follower, features, world)
        self._device = next(follower.parameters()).device
        ids = torch.from_numpy(np.ascontiguousarray(tokens)).to(self._device)
        self._context, first = follower.encoder(ids)
        self.starts = [
            _PartialPath(row, (start,), (), 0.0, state)
            for row, (start, state) in enumerate(zip(starts, first.split(), strict=True))
        ]

    def expand(self, partials: Sequence[_PartialPath]) -> list[tuple[_PartialPath, np.ndarray]]:
        """Return each path with its next state, and the log-probabilities (K,) of its actions."""
        expanded: list[tuple[_PartialPath, np.ndarray]] = []
        for start in range(0, len(partials), _ROWS):
            expanded += self._expand(partials[start : start + _ROWS])
        return expanded

    def moves(
        self, partial: _PartialPath, log_probs: np.ndarray
    ) -> list[tuple[float, int, Position]]:
        """Return each possible move: log-probability of the path after it, action and position."""
        node = partial.positions[-1].node
        targets, views = self._world.targets[node], self._world.views[node]
        return [
            (
                partial.log_prob + float(log_probs[action]),
                action,
                Position(int(targets[action]), int(views[action])),
            )
            for action in (np.flatnonzero(self._world.mask[node, 1:]) + 1).tolist()
        ]

    def _expand(self, partials: Sequence[_PartialPath]) -> list[tuple[_PartialPath, np.ndarray]]:
        rows = torch.tensor([partial.row for partial in partials], device=self._device)
        decision = self._scorer.decide(
            np.array([partial.positions[-1].node for partial in partials]),
            np.array([partial.positions[-1].view for partial in partials]),
            [[position.node for position in partial.positions] for partial in partials],
            self._context.rows(rows),
            State.joined([partial.state for partial in partials]),
        )
        # float64, so that sums over a path do not depend on the order of a batch.
        log_probs = torch.log_softmax(decision.scores.double(), 1).cpu().numpy()
        return [
            (replace(partial, state=next_state), row_log_probs)
            for partial, next_state, row_log_probs in zip(
                partials, decision.state.split(), log_probs, strict=True
            )
        ]


def beam_search(searcher: Searcher, width: int, max_steps: int) -> list[SearchResult]:
    """Run a beam search for each instruction.

    A complete path keeps its slot in the beam. The search ends when all paths of the beam are
    complete, or after `max_steps` actions, where the other paths stop with probability 1.
    """
    results = [SearchResult() for _ in searcher.starts]
    beams = [[start] for start in searcher.starts]
    for _ in range(max_steps):
        partials = [partial for beam in beams for partial in beam]
        if not partials:
            break
        beams = [[] for _ in beams]
        options: list[list[tuple[float, _PartialPath | FoundPath]]] = [[] for _ in beams]
        for partial, log_probs in searcher.expand(partials):
            results[partial.row].expanded.append(partial.positions[-1].node)
            stop = partial.stopped(float(log_probs[STOP]))
            options[partial.row].append((stop.log_prob, stop))
            for log_prob, action, position in searcher.moves(partial, log_probs):
                extended = partial.extended(log_prob, action, position)
                options[partial.row].append((log_prob, extended))
        for row, result in enumerate(results):
            free = width - len(result.paths)
            for _, option in sorted(options[row], key=lambda item: -item[0])[:free]:
                if isinstance(option, FoundPath):
                    result.paths.append(option)
                else:
                    beams[row].append(option)
    for beam in beams:
        for partial in beam:
            results[partial.row].paths.append(partial.stopped(0.0))
    return [_sorted(result) for result in results]


def best_first_search(searcher: Searcher, count: int, max_expansions: int) -> list[SearchResult]:
    """Run a best-first search for each instruction: expand the most probable path so far.

    EnvDrop's `r2r_src/agent.py: _dijkstra`, without its errors. A move is expanded once, on the
    most probable path that ends with it, and a viewpoint is the end of one complete path. The
    search ends with `count` complete paths, or after `max_expansions` expansions and stops.
    """
    results = [SearchResult() for _ in searcher.starts]
    frontiers: list[list[tuple[float, int, _PartialPath | FoundPath]]] = [
        [(0.0, 0, start)] for start in searcher.starts
    ]
    counters = [1] * len(frontiers)  # break ties in favour of the path that was found first
    done: list[set[tuple[int, int]]] = [set() for _ in frontiers]
    while True:
        searches = zip(results, frontiers, done, strict=True)
        following = [_next_path(*search, count, max_expansions) for search in searches]
        chosen = [partial for partial in following if partial is not None]
        if not chosen:
            return [_sorted(result) for result in results]
        for partial, log_probs in searcher.expand(chosen):
            row = partial.row
            extended = [
                partial.extended(log_prob, action, position)
                for log_prob, action, position in searcher.moves(partial, log_probs)
            ]
            for item in (partial.stopped(float(log_probs[STOP])), *extended):
                heapq.heappush(frontiers[row], (-item.log_prob, counters[row], item))
                counters[row] += 1


def _next_path(
    result: SearchResult,
    frontier: list[tuple[float, int, _PartialPath | FoundPath]],
    done: set[tuple[int, int]],
    count: int,
    max_expansions: int,
) -> _PartialPath | None:
    """Remove and return the next path to expand from a frontier; None at the end of the search.

    Complete paths that precede it are moved from the frontier to the result.
    """
    while frontier and len(result.paths) < count:
        _, _, item = heapq.heappop(frontier)
        move = -1, -1  # node before the last action, and the action
        if item.actions:
            before = -1 if item.actions[-1] == STOP else -2
            move = item.positions[before].node, item.actions[-1]
        if move in done:
            continue
        if len(result.expanded) == max_expansions:
            # The most probable path counts as complete if there is none.
            if not result.paths:
                result.paths.append(item if isinstance(item, FoundPath) else item.stopped(0.0))
            break
        done.add(move)
        result.expanded.append(item.positions[-1].node)
        if not isinstance(item, FoundPath):
            return item
        result.paths.append(item)
    frontier.clear()
    return None


def _sorted(result: SearchResult) -> SearchResult:
    return SearchResult(sorted(result.paths, key=lambda path: -path.log_prob), result.expanded)


@dataclass(frozen=True)
class Weighting:
    """Weights of speaker and follower.

    Attributes:
        alpha: Weight of the speaker's log-probability; the follower's has weight 1 - alpha.
        per_word: Divide the speaker's log-probability by the number of words of the instruction.
        per_action: Divide the follower's log-probability by the number of actions of the path.
    """

    alpha: float = 0.5
    per_word: bool = False
    per_action: bool = False


@dataclass(frozen=True)
class RankedPath:
    """A found path with the score of a speaker.

    Attributes:
        speaker_log_prob: The speaker's log-probability of the instruction given the path.
        words: Number of tokens of the instruction, without the start token.
    """

    path: FoundPath
    speaker_log_prob: float
    words: int

    def score(self, weighting: Weighting) -> float:
        """Return the weighted sum of both log-probabilities."""
        speaker = self.speaker_log_prob / (self.words if weighting.per_word else 1)
        actions = len(self.path.actions) if weighting.per_action else 1
        follower = self.path.log_prob / actions
        return weighting.alpha * speaker + (1 - weighting.alpha) * follower


def rank_paths(
    results: Sequence[SearchResult],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[list[RankedPath]]:
    """Score the found paths of B instructions with a speaker.

    Args:
        tokens: (B, L) instructions in the speaker's vocabulary.
        languages: (B,) language ids of the instructions.
    """
    ranked: list[list[RankedPath]] = [[] for _ in results]
    found = [(row, path) for row, result in enumerate(results) for path in result.paths]
    for start in range(0, len(found), _PATHS):
        rows, paths = zip(*found[start : start + _PATHS], strict=True)
        log_probs = _instruction_log_probs(
            paths, speaker, features, tokens[list(rows)], languages[list(rows)]
        )
        for row, path, log_prob in zip(rows, paths, log_probs, strict=True):
            ranked[row].append(RankedPath(path, log_prob, int((tokens[row] != PAD).sum()) - 1))
    return ranked


def _instruction_log_probs(
    paths: Sequence[FoundPath],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[float]:
    """Return the log-probability of each instruction (P, L) given its path."""
    steps = [
        (row, step, *position, action)
        for row, path in enumerate(paths)
        for step, (position, action) in enumerate(zip(path.positions, path.actions, strict=True))
    ]
    views = gather_views(features, *np.array(steps).T)
    instructions = torch.from_numpy(tokens).to(views.panorama.device)
    log_probs = speaker.log_probs(speaker.encode(views), instructions, languages)
    return log_probs.double().sum(1).tolist()


def best_path(ranked: Sequence[RankedPath], weighting: Weighting) -> FoundPath:
    """Return the path with the highest score; of equal ones, the first (the follower's best)."""
    return max(ranked, key=lambda item: item.score(weighting)).path


def tune_weighting(
    ranked: Sequence[Sequence[RankedPath]], values: Sequence[Mapping[FoundPath, float]]
) -> tuple[Weighting, float]:
    """Return the weighting with the highest mean value of the chosen paths.

    Alpha runs from 0 to 1 in steps of 0.01, with and without both divisions, as in EnvDrop's
    `--paramSearch`. Tune on a split other than the one to report.
    """
    trials = [
        Weighting(hundredths / 100, per_word, per_action)
        for per_word in (False, True)
        for per_action in (False, True)
        for hundredths in range(101)
    ]
    instructions = list(zip(ranked, values, strict=True))
    means = [
        float(np.mean([value[best_path(paths, trial)] for paths, value in instructions]))
        for trial in trials
    ]
    index = int(np.argmax(means))
    return trials[index], means[index]


def search_walk(world: NavWorld, result: SearchResult, chosen: FoundPath) -> list[int]:
    """Return the nodes of the walk that a search requires, which leaderboards count.

    The agent walks to each expanded viewpoint in turn, by the shortest path over the viewpoints
    that it has visited so far, then back to the start and along the chosen path (EnvDrop
    `r2r_src/agent.py: dijk_path`).
    """
    import networkx  # takes a third of a second, and only this walk requires it

    known = networkx.Graph()
    walked = [result.expanded[0]]
    for node in [*result.expanded, result.expanded[0]]:
        if node != walked[-1]:
            visited = known.subgraph({*walked, node})
            walked += networkx.shortest_path(visited, walked[-1], node, weight="metres")[1:]
        neighbours = world.targets[node, np.flatnonzero(world.mask[node])[1:]]
        for other, metres in zip(
            neighbours, world.distance(np.array(node), neighbours), strict=True
        ):
            known.add_edge(node, int(other), metres=float(metres))
    return walked + [position.node for position in chosen.positions[1:]]


def poses(world: NavWorld, start: Position, nodes: Sequence[int]) -> list[Pose]:
    """Return viewpoint, heading and elevation (radians) along a walk, as environments do."""
    positions = [start]
    for node in nodes[1:]:
        current = positions[-1].node
        action = int(np.flatnonzero(world.targets[current, 1:] == node)[0]) + 1
        positions.append(Position(int(node), int(world.views[current, action])))
    return [(str(world.viewpoint_ids[node]), *view_direction(view)) for node, view in positions]
