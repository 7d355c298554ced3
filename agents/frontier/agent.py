"""FrontierAgent: a follower that may turn back to any viewpoint that it has seen.

A greedy follower judges the candidates around it only. This one judges every viewpoint that it has
seen by the score of the path there, less the walk to it, as in the search of Ke et al. 2019
("Tactical Rewind", FAST). Unlike `clipnav.agents.envdrop.search`, it walks where it searches, so
that its trajectory is a single run.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower import FollowerDecision
from clipnav.agents.envdrop.follower_agent import scan_indices
from clipnav.agents.envdrop.grounding import ReadPlaces
from clipnav.agents.layers.encoders import Context, State, readable
from clipnav.agents.layers.visual import VisualNoise
from clipnav.agents.maps.experts import Expert, first_best
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.route_walker import Choice, RouteWalker
from clipnav.agents.maps.topological_maps import (
    START,
    TopologicalMaps,
    action_probabilities,
    known_map,
)


@dataclass(frozen=True)
class FrontierScoring:
    """How action scores are combined into a path score.

    Attributes:
        metre_cost: Cost of a metre of the walk to a node.
        normalised: Whether a path has the sum of the log-probabilities of its actions; otherwise it
            has the sum of their logits. At a viewpoint that is a mistake all logits can be low,
            whereas its probabilities add up to 1, so an agent that is trained has the latter.
    """

    metre_cost: float
    sharpness: float = 1.0
    normalised: bool = True

    def gains(self, logits: Tensor) -> Tensor:
        """Return the (R, K) float64 scores of actions, given their logits.

        float64, so that sums over a path do not depend on the order of a batch.
        """
        logits = self.sharpness * logits.double()
        return torch.log_softmax(logits, 1) if self.normalised else logits


class Options(NamedTuple):
    """The nodes that R agents know, as choices.

    Attributes:
        scores: (R, S) scores by slot, minus infinity for nodes that cannot be chosen.
        visited: (R, S) bool, nodes to stop at; the others are to be visited.
        costs: (R, S) costs of the targets of the expert, see `Expert.frontier_costs`, infinite for
            nodes that cannot be chosen; None without an expert.
        labels: (R,) slots that the expert chooses, `NO_TARGET` if all costs are infinite; None
            without an expert.
        hidden: (R, H) hidden states of the LSTM where the agents are, the input of a critic; None
            if the options are not those of an agent.
    """

    scores: Tensor
    visited: np.ndarray
    costs: np.ndarray | None = None
    labels: np.ndarray | None = None
    hidden: Tensor | None = None


# Chooses the slots (R,) of episodes (R,).
FrontierPolicy = Callable[[np.ndarray, Options], np.ndarray]


def _argmax_nodes(rows: np.ndarray, options: Options) -> np.ndarray:
    """Choose the nodes with the highest scores."""
    return options.scores.argmax(1).cpu().numpy()


class FrontierAgent(RouteWalker):
    """A follower that chooses among all nodes of its map: visited ones to stop at, others to visit.

    The score of a node is that of the best path to it from the start, over visited nodes and
    including stop at a visited one, less the cost of the walk from here. The follower's state at a
    node is that after its best path, whatever the agent has walked since.

    Attributes:
        max_steps: Largest number of hops of an episode, the stop included.
        scoring: How action scores are combined into a path score.
        place: Where the follower has read its instructions for that choice.
    """

    def __init__(
        self,
        scorer: ActionScorer,
        geometry: MapGeometry,
        max_steps: int,
        scoring: FrontierScoring,
        policy: FrontierPolicy = _argmax_nodes,
        expert: Expert | None = None,
        use_instructions: bool = True,
    ) -> None:
        super().__init__(geometry.world, expert)
        self.follower = scorer.follower
        self._scorer, self._geometry = scorer, geometry
        self.max_steps, self.scoring, self._policy = max_steps, scoring, policy
        self._use_instructions = use_instructions
        self._device = next(scorer.follower.parameters()).device
        self._context: Context
        self._noise: VisualNoise | None = None
        self._states: State  # of all decisions, whose rows are numbered throughout
        self._paths: Tensor  # scores of all paths, numbered throughout
        self._steps_left = np.zeros(0, np.int64)
        # (B, S) by slot: number of the best path, its last visited slot, the row of the state
        # there, and the view that an agent on this path faces; -1 for no path.
        self._numbers = self._previous = np.zeros((0, 0), np.int64)
        self._origins = self._views = np.zeros((0, 0), np.int64)
        self._objects = np.zeros((0, 0), np.int64)  # (B, S) best object by slot, -1 for none
        self._targets = np.zeros(0, np.int64)  # (B,) slots of the last choice
        self._decision: FollowerDecision
        self.options: Options
        self.place: ReadPlaces

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Encode the instructions of the first N rows of a batch and start empty maps."""
        tokens = readable(observation["instruction"][live], self._use_instructions)
        self._context, self._states = self.follower.encoder(self._sent(tokens))
        self._noise = self.follower.noise(self._sent(scan_indices(info["scan"][live])))
        self._paths = torch.zeros(len(live), dtype=torch.float64, device=self._device)
        self.start_maps(TopologicalMaps(self._geometry, len(live)))
        self._steps_left = np.full(len(live), self.max_steps)
        shape = len(live), int(self._world.locals.max()) + 1
        self._numbers, self._previous = np.full(shape, -1), np.full(shape, -1)
        self._origins, self._views = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._numbers[:, START] = self._origins[:, START] = np.arange(len(live))
        self._views[:, START] = observation["view"][live]
        self._objects = np.full(shape, -1)
        self._targets = np.full(len(live), START)

    def choose(self, observation: Observation, rows: np.ndarray) -> Choice:
        """Read the viewpoints that R agents have reached, and choose their next nodes.

        `options` has the scores of all nodes until the next call.
        """
        self._maps.visit(rows, observation["viewpoint"][rows])
        here, width = self._maps.current[rows], int(self._maps.counts[rows].max())
        self._find_paths(rows, here)
        self._read(rows)
        hops = self._maps.hops[rows, here, :width]
        numbers = self._numbers[rows, :width]
        metres = self._maps.distances[rows, here, :width]
        # The stop at the end of the walk is an action as well.
        near = np.isfinite(metres) & (hops < self._steps_left[rows][:, None])
        possible = (numbers >= 0) & near
        costs = self.scoring.metre_cost * np.where(possible, metres, 0.0)
        scores = self._paths[self._sent(numbers)] - self._sent(costs)
        scores = scores.masked_fill(self._sent(~possible), -torch.inf)
        visited = self._maps.visit_steps[rows, :width] > 0
        self.options = Options(scores, visited, hidden=self._decision.hidden)
        if self._expert is not None:
            expert_costs = self._expert.frontier_costs(self._maps, rows)
            expert_costs = np.where(possible, expert_costs, np.inf)
            labels = first_best(expert_costs)
            self.options = self.options._replace(costs=expert_costs, labels=labels)
        self._targets[rows] = targets = self._policy(rows, self.options)
        self._steps_left[rows] -= hops[np.arange(len(rows)), targets]
        objects = None if self.follower.objects is None else self._objects[rows, targets]
        return Choice(targets, visited[np.arange(len(rows)), targets], objects)

    def describe(self, choice: Choice) -> dict[str, Iterable[Any]]:
        """Describe the last choice: also `word_attention` and `view_attention` of the follower.

        The probability of a node is its share of all nodes' exponentiated scores.
        """
        rows, count = self._chose, self.options.scores.shape[1]
        chances = torch.softmax(self.options.scores, 1).cpu().numpy()
        slots = np.broadcast_to(np.arange(count), chances.shape)
        probabilities = action_probabilities(self._maps, rows, slots, chances)
        probabilities[:, STOP] = chances[np.arange(len(rows)), self._maps.current[rows]]
        described = zip(rows.tolist(), chances, choice.targets, choice.ends, strict=True)
        return {
            "probabilities": probabilities,
            "known_map": [known_map(self._maps, *each) for each in described],
            "word_attention": self._decision.word_weights.cpu().numpy(),
            "view_attention": self._decision.view_weights.cpu().numpy(),
        }

    def _find_paths(self, rows: np.ndarray, here: np.ndarray) -> None:
        """Give nodes without a path that of the node where an agent was going.

        In continuous space, an obstacle can keep an agent from a node.
        """
        lost = self._numbers[rows, here] < 0
        rows, here, targets = rows[lost], here[lost], self._targets[rows[lost]]
        for table in (self._numbers, self._previous, self._origins, self._views):
            table[rows, here] = table[rows, targets]

    def _read(self, rows: np.ndarray) -> None:
        """Score the actions at the current nodes, as if each had been reached on its best path."""
        maps = self._maps
        here = maps.current[rows]
        nodes, views = maps.nodes[rows, here], self._views[rows, here]
        states = self._states.rows(self._sent(self._origins[rows, here]))
        context, noise = self._context, self._noise
        if len(rows) < len(self._moves):
            index = self._sent(rows)
            context, noise = context.rows(index), None if noise is None else noise.rows(index)
        paths = [self._path(row, slot) for row, slot in zip(rows, here, strict=True)]
        self._decision = self._scorer.decide(nodes, views, paths, context, states, noise)
        attended, head = self._decision.state.attended, self.follower.objects
        self.place = ReadPlaces(rows, nodes, views, attended)
        if head is not None:
            objects = self._scorer.features.objects
            assert objects is not None
            self._objects[rows, here] = head.best(attended, objects, nodes, views)
        gains = self.scoring.gains(self._decision.scores)
        before = self._paths[self._sent(self._numbers[rows, here])]
        first, first_state = len(self._paths), len(self._states.cell)
        self._paths = torch.cat([self._paths, (before[:, None] + gains).flatten()])
        self._states = State.joined([self._states, self._decision.state])

        numbers = first + np.arange(gains.numel()).reshape(gains.shape)  # (R, K)
        slots = maps.candidate_slots(rows)  # (R, C)
        row, rank = np.nonzero(slots >= 0)
        episode, slot = rows[row], slots[row, rank]
        scores = np.append(self._paths.detach().cpu().numpy(), -np.inf)  # of number -1
        found, known = scores[numbers[row, rank + 1]], scores[self._numbers[episode, slot]]
        better = (found > known) & (maps.visit_steps[episode, slot] == 0)
        row, rank, episode, slot = (part[better] for part in (row, rank, episode, slot))
        self._numbers[episode, slot] = numbers[row, rank + 1]
        self._previous[episode, slot] = here[row]
        self._origins[episode, slot] = first_state + row
        self._views[episode, slot] = self._geometry.token_views[nodes[row], rank]
        self._numbers[rows, here] = numbers[:, STOP]

    def _path(self, row: int, slot: int) -> list[int]:
        """Return the nodes of the best path to a slot."""
        path = []
        while slot >= 0:
            path.append(int(self._maps.nodes[row, slot]))
            slot = self._previous[row, slot]
        return path[::-1]

    def _sent(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)
