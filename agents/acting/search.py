"""Search for a likely path: beam search, and best-first search over viewpoints.

Both look at many places before they decide, which an agent in a building could only do by walking
there; `agents.acting.reranking` counts that walk. Everything is deterministic: networks are in
evaluation mode, and of equally likely paths the one found first is kept.
"""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
import torch

from agents.acting.rollout import STOP
from agents.acting.visits import padded, with_visits
from agents.envdrop.encoders import Context, State
from agents.envdrop.follower import Follower
from agents.envdrop.visual import View
from envs.graphs.nav_world import NavWorld
from envs.navigation.device_features import DeviceFeatures

_ROWS = 256  # decoder rows computed at once


class Place(NamedTuple):
    """Where a path stands: node of the world, and the view 0..35 that is looked along."""

    node: int
    view: int


@dataclass(frozen=True)
class FoundPath:
    """A path that ends with stopping.

    Attributes:
        places: from start to end.
        actions: taken at each place; the last is the stop.
        log_prob: sum of the follower's log-probabilities of the actions.
    """

    places: tuple[Place, ...]
    actions: tuple[int, ...]
    log_prob: float


@dataclass
class SearchResult:
    """What a search found for one instruction.

    Attributes:
        paths: the likeliest first.
        looked_at: nodes where the follower looked around, in their order.
    """

    paths: list[FoundPath] = field(default_factory=list)
    looked_at: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class _Partial:
    """A path under way; `row` is its instruction, the state lies before looking at its end."""

    row: int
    places: tuple[Place, ...]
    actions: tuple[int, ...]
    log_prob: float
    state: State

    def stopped(self, log_prob: float) -> FoundPath:
        return FoundPath(self.places, (*self.actions, STOP), self.log_prob + log_prob)


class Searcher:
    """A follower that thinks its way through a world instead of walking it.

    Args:
        follower: In evaluation mode.
        features: Of the world.
        world: Where it searches.
        tokens: (B, L) instructions, as an environment gives them.
        starts: B places.
    """

    def __init__(
        self,
        follower: Follower,
        features: DeviceFeatures,
        world: NavWorld,
        tokens: np.ndarray,
        starts: Sequence[Place],
    ) -> None:
        self._follower, self._features, self._world = follower, features, world
        self._device = next(follower.parameters()).device
        given = torch.from_numpy(np.ascontiguousarray(tokens)).to(self._device)
        self._context, first = follower.encoder(given)
        self.starts = [
            _Partial(row, (start,), (), 0.0, state)
            for row, (start, state) in enumerate(zip(starts, first.split(), strict=True))
        ]

    def expand(self, partials: Sequence[_Partial]) -> list[tuple[_Partial, np.ndarray]]:
        """Look around at the ends of paths; each with the new state and its log-probabilities."""
        expanded: list[tuple[_Partial, np.ndarray]] = []
        for start in range(0, len(partials), _ROWS):
            expanded += self._expand(partials[start : start + _ROWS])
        return expanded

    def moves(self, partial: _Partial, log_probs: np.ndarray) -> list[tuple[float, int, Place]]:
        """Likelihood of the path after each possible move, the action, and where it leads."""
        node = partial.places[-1].node
        return [
            (
                partial.log_prob + float(log_probs[action]),
                action,
                Place(int(self._world.targets[node, action]), int(self._world.views[node, action])),
            )
            for action in (np.flatnonzero(self._world.mask[node, 1:]) + 1).tolist()
        ]

    @staticmethod
    def go(partial: _Partial, log_prob: float, action: int, place: Place) -> _Partial:
        """The path after a move."""
        return replace(
            partial,
            places=(*partial.places, place),
            actions=(*partial.actions, action),
            log_prob=log_prob,
        )

    def _expand(self, partials: Sequence[_Partial]) -> list[tuple[_Partial, np.ndarray]]:
        nodes = np.array([partial.places[-1].node for partial in partials])
        views = np.array([partial.places[-1].view for partial in partials])
        rows = torch.tensor([partial.row for partial in partials], device=self._device)
        width = 1 + int(np.flatnonzero(self._world.mask[nodes].any(0))[-1])
        state = State.joined([partial.state for partial in partials])
        context: Context = self._context.rows(rows)
        view = View(*self._features.gather(nodes, views, width))
        if self._follower.visit_features:
            trails = padded([[place.node for place in partial.places] for partial in partials])
            view = with_visits(view, trails, self._world.targets)
        decision = self._follower.decide(view, context, state)
        # Doubles, so that sums over a path do not depend on the order of a batch.
        log_probs = torch.log_softmax(decision.scores.double(), 1).cpu().numpy()
        seen = zip(partials, decision.state.split(), log_probs, strict=True)
        return [(replace(partial, state=state), chances) for partial, state, chances in seen]


def beam_search(searcher: Searcher, width: int, max_steps: int) -> list[SearchResult]:
    """Keep the likeliest `width` paths of each instruction, step by step.

    A path that stops leaves its place in the beam to others no more; the search ends when all have
    stopped, or after `max_steps` actions, where paths under way count as if they stopped there.

    Args:
        searcher: With the instructions.
        width: Of the beam.
        max_steps: Actions of a path.
    """
    findings = [SearchResult() for _ in searcher.starts]
    beams = [[start] for start in searcher.starts]
    for _ in range(max_steps):
        under_way = [partial for beam in beams for partial in beam]
        if not under_way:
            break
        beams = [[] for _ in beams]
        options: list[list[tuple[float, _Partial | FoundPath]]] = [[] for _ in beams]
        for partial, log_probs in searcher.expand(under_way):
            found = findings[partial.row]
            found.looked_at.append(partial.places[-1].node)
            stop = partial.stopped(float(log_probs[STOP]))
            options[partial.row].append((stop.log_prob, stop))
            for log_prob, action, place in searcher.moves(partial, log_probs):
                onward = searcher.go(partial, log_prob, action, place)
                options[partial.row].append((log_prob, onward))
        for row, found in enumerate(findings):
            free = width - len(found.paths)
            for _, option in sorted(options[row], key=lambda item: -item[0])[:free]:
                if isinstance(option, FoundPath):
                    found.paths.append(option)
                else:
                    beams[row].append(option)
    for beam in beams:
        for partial in beam:
            findings[partial.row].paths.append(partial.stopped(0.0))
    return [_sorted(found) for found in findings]


def best_first_search(searcher: Searcher, count: int, max_expansions: int) -> list[SearchResult]:
    """Follow the likeliest path so far, whichever it is, and visit no viewpoint twice.

    EnvDrop's `r2r_src/agent.py: _dijkstra`, without its errors: states are viewpoints, and stops at
    viewpoints; it ends with so many stops, or after so many expansions.

    Args:
        searcher: With the instructions.
        count: Paths to find for each instruction.
        max_expansions: Places to look around at, for each instruction.
    """
    findings = [SearchResult() for _ in searcher.starts]
    frontiers: list[list[tuple[float, int, _Partial | FoundPath]]] = [
        [(0.0, 0, start)] for start in searcher.starts
    ]
    numbers = [1] * len(frontiers)
    while True:
        chosen = [
            partial
            for found, frontier in zip(findings, frontiers, strict=True)
            if (partial := _likeliest(found, frontier, count, max_expansions)) is not None
        ]
        if not chosen:
            return [_sorted(found) for found in findings]
        for partial, log_probs in searcher.expand(chosen):
            row, frontier = partial.row, frontiers[partial.row]
            stop = partial.stopped(float(log_probs[STOP]))
            onward = [
                searcher.go(partial, log_prob, action, place)
                for log_prob, action, place in searcher.moves(partial, log_probs)
                if place.node not in findings[row].looked_at
            ]
            for item in (stop, *onward):
                heapq.heappush(frontier, (-item.log_prob, numbers[row], item))
                numbers[row] += 1


def _likeliest(
    found: SearchResult,
    frontier: list[tuple[float, int, _Partial | FoundPath]],
    count: int,
    max_expansions: int,
) -> _Partial | None:
    """Take from a frontier the path to go on with, and the stops before it; None at the end."""
    while frontier and len(found.paths) < count:
        _, _, item = heapq.heappop(frontier)
        if isinstance(item, FoundPath):
            found.paths.append(item)
        elif item.places[-1].node not in found.looked_at:
            if len(found.looked_at) < max_expansions:
                found.looked_at.append(item.places[-1].node)
                return item
            # No more looking around: without any stop so far, the likeliest path ends here.
            if not found.paths:
                found.paths.append(item.stopped(0.0))
            break
    frontier.clear()
    return None


def _sorted(found: SearchResult) -> SearchResult:
    return SearchResult(sorted(found.paths, key=lambda path: -path.log_prob), found.looked_at)
