"""FrontierAgent: a follower that may turn back to any viewpoint that it has seen.

A greedy follower judges the candidates around it only. This one judges every viewpoint that it has
seen by the probability of the way there, less the walk to it, as in the search of Ke et al. 2019
("Tactical Rewind", FAST). Unlike `agents.acting.search`, it walks where it searches, so that its
trajectory is a single run.
"""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from agents.acting.action_scores import ActionScorer
from agents.acting.instructions import empty_instructions
from agents.acting.rollout import STOP, Observation
from agents.envdrop.encoders import Context, State
from agents.envdrop.follower import Decision
from agents.maps.describing import action_probabilities, known_map
from agents.maps.geometry import MapGeometry
from agents.maps.known_maps import START, KnownMaps
from agents.maps.route_walker import Choice, RouteWalker


class FrontierAgent(RouteWalker):
    """A follower that chooses among all nodes of its map: visited ones to stop at, others to visit.

    The score of a node is the log-probability of the best way to it from the start, over visited
    nodes and including stop at a visited one, less `metre_cost` times the metres to walk from here.
    The follower's state at a node is that after its best way, whatever the agent has walked since.

    Args:
        scorer: The follower, and the environment's world and features.
        geometry: Tables of the world.
        max_steps: Number of actions after which the environment ends an episode.
        metre_cost: What a metre of the walk costs, in log-probability.
        reads_instructions: Whether it reads whole instructions, or empty ones.
    """

    def __init__(
        self,
        scorer: ActionScorer,
        geometry: MapGeometry,
        max_steps: int,
        metre_cost: float,
        reads_instructions: bool = True,
    ) -> None:
        super().__init__(geometry.world)
        self._scorer, self._geometry = scorer, geometry
        self._max_steps, self._metre_cost = max_steps, metre_cost
        self._reads_instructions = reads_instructions
        self._device = next(scorer.follower.parameters()).device
        self._context: Context
        self._states: list[State] = []  # of all decisions, whose rows are numbered throughout
        self._steps_left = np.zeros(0, np.int64)
        # (B, S) by slot: log-probability of the best way, its last visited slot, the row of the
        # state there, and the view that an agent on this way faces.
        self._log_probs = np.zeros((0, 0))
        self._previous = self._origins = self._views = np.zeros((0, 0), np.int64)
        self._scores = np.zeros((0, 0))
        self._decision: Decision

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Encode the instructions of the first N rows of a batch and start empty maps."""
        tokens = observation["instruction"][live]
        if not self._reads_instructions:
            tokens = empty_instructions(tokens)
        sent = torch.from_numpy(np.ascontiguousarray(tokens)).to(self._device)
        self._context, first = self._scorer.follower.encoder(sent)
        self._states = [first]
        self.start_maps(KnownMaps(self._geometry, len(live)))
        self._steps_left = np.full(len(live), self._max_steps)
        shape = len(live), int(self._world.locals.max()) + 1
        self._log_probs = np.full(shape, -np.inf)
        self._log_probs[:, START] = 0.0
        self._previous = np.full(shape, -1)
        self._origins, self._views = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._origins[:, START] = np.arange(len(live))
        self._views[:, START] = observation["view"][live]

    def choose(self, observation: Observation, rows: np.ndarray) -> Choice:
        """Read the viewpoints that R agents have reached, and choose their next nodes."""
        self._maps.visit(rows, observation["viewpoint"][rows])
        self._read(rows)
        here, width = self._maps.current[rows], int(self._maps.counts[rows].max())
        hops = self._maps.hops[rows, here, :width]
        log_probs = self._log_probs[rows, :width]
        metres = self._maps.distances[rows, here, :width]
        # The stop at the end of the walk is an action as well.
        possible = np.isfinite(log_probs) & (hops < self._steps_left[rows][:, None])
        scores = log_probs - self._metre_cost * np.where(possible, metres, 0.0)
        scores[~possible] = -np.inf
        targets = scores.argmax(1)
        self._scores = scores
        self._steps_left[rows] -= hops[np.arange(len(rows)), targets]
        return Choice(targets, self._maps.visit_steps[rows, targets] > 0)

    def describe(self, choice: Choice) -> dict[str, Iterable[Any]]:
        """Describe the last choice: also `word_attention` and `view_attention` of the follower.

        The probability of a node is its share of all nodes' exponentiated scores.
        """
        rows, count = self._chose, self._scores.shape[1]
        chances = torch.softmax(torch.from_numpy(self._scores), 1).numpy()
        slots = np.broadcast_to(np.arange(count), chances.shape)
        probabilities = action_probabilities(self._maps, rows, slots, chances)
        probabilities[:, STOP] = chances[np.arange(len(rows)), self._maps.current[rows]]
        described = zip(rows.tolist(), chances, *choice, strict=True)
        return {
            "probabilities": probabilities,
            "known_map": [known_map(self._maps, *each) for each in described],
            "word_attention": self._decision.word_weights.cpu().numpy(),
            "view_attention": self._decision.view_weights.cpu().numpy(),
        }

    def _read(self, rows: np.ndarray) -> None:
        """Score the actions at the current nodes, as if each had been reached on its best way."""
        maps = self._maps
        here = maps.current[rows]
        nodes, views = maps.nodes[rows, here], self._views[rows, here]
        states = State.joined(self._states).rows(self._sent(self._origins[rows, here]))
        context = self._context
        if len(rows) < len(self._moves):
            context = context.rows(self._sent(rows))
        ways = [self._way(row, slot) for row, slot in zip(rows, here, strict=True)]
        log_probs, self._decision = self._scorer.score(nodes, views, ways, context, states)
        first = sum(len(part.cell) for part in self._states)
        self._states.append(self._decision.state)

        slots = maps.candidate_slots(rows)  # (R, C)
        row, rank = np.nonzero(slots >= 0)
        found = self._log_probs[rows, here][row] + log_probs[row, rank + 1]
        episode, slot = rows[row], slots[row, rank]
        better = (found > self._log_probs[episode, slot]) & (maps.visit_steps[episode, slot] == 0)
        row, rank, episode, slot = (part[better] for part in (row, rank, episode, slot))
        self._log_probs[episode, slot] = found[better]
        self._previous[episode, slot] = here[row]
        self._origins[episode, slot] = first + row
        self._views[episode, slot] = self._world.views[nodes[row], rank + 1]
        self._log_probs[rows, here] += log_probs[:, STOP]

    def _way(self, row: int, slot: int) -> list[int]:
        """Return the nodes of the best way to a slot."""
        way = []
        while slot >= 0:
            way.append(int(self._maps.nodes[row, slot]))
            slot = self._previous[row, slot]
        return way[::-1]

    def _sent(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self._device)
