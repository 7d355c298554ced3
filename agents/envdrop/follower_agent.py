"""The follower as an agent: greedy walks, and walks that record decisions for training."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import STOP, ActionSource, DecisionRecord, Observation
from clipnav.agents.envdrop.action_scores import add_visits
from clipnav.agents.envdrop.follower import Follower, FollowerDecision
from clipnav.agents.envdrop.grounding import ReadPlaces
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import Context, State, readable
from clipnav.agents.layers.visual import PanoramaView, VisualNoise
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes to walk in one iteration.

    Attributes:
        instr_ids: (B,) episodes.
        tokens: (B, L) instructions; those of the environment by default.
        noise: Feature dropout; newly drawn by default.
        partners: (B, L) other instructions of the same paths, for the contrastive loss.
    """

    instr_ids: list[str]
    rng: np.random.Generator
    tokens: np.ndarray | None = None
    noise: VisualNoise | None = None
    partners: np.ndarray | None = None


class FollowerAgent:
    """A follower that walks in a vector environment.

    Args:
        action_source: Source of the actions in training, where decisions are recorded; without it,
            the agent walks greedily.
        tokens: (B, L) instructions; those of the environment by default.
        partners: (B, L) other instructions of the same paths, for `Decisions.contrast`.

    Attributes:
        critic: Critic for `explain`; None by default.
        loaded_for: Environment of a loaded agent, see `check_loaded_for`.
        record: Decisions in training; None without an action source.
        places: What was read where in training, by a follower that points out objects.
    """

    loaded_for: VlnVectorEnv | None = None

    def __init__(
        self,
        follower: Follower,
        features: DeviceFeatures,
        use_instructions: bool = True,
        action_source: ActionSource | None = None,
        tokens: np.ndarray | None = None,
        noise: VisualNoise | None = None,
        partners: np.ndarray | None = None,
    ) -> None:
        self.follower = follower
        self.features = features
        self.use_instructions = use_instructions
        self._tokens, self._partners = tokens, partners
        self._noise = noise
        self._device = next(follower.parameters()).device
        self._rows = np.arange(0)
        self._histories = np.zeros((0, 0), np.int64)  # (N, T) earlier nodes, for visit features
        self._context: Context
        self._paired: Context | None = None
        self._state: State
        self.record = None if action_source is None else DecisionRecord(action_source)
        self.places: list[ReadPlaces] = []
        self._last: FollowerDecision | None = None
        self.critic: Critic | None = None

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Encode the instructions."""
        tokens = observation["instruction"] if self._tokens is None else self._tokens
        tokens = readable(tokens[live], self.use_instructions)
        context, self._state = self.follower.encoder(self._tensor(tokens))
        self._context = context.collected()
        if self._partners is not None:
            partners = self.follower.encoder(self._tensor(self._partners[live]))[0]
            self._paired = partners.collected()
        if self._noise is None:
            self._noise = self.follower.noise(self._tensor(scan_indices(info["scan"][live])))
        self._rows = live
        self._histories = np.zeros((len(live), 0), np.int64)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Run one step of the network for the live rows and return their actions (N,)."""
        decision = self.decide(observation, live)
        self._state = decision.state
        if self.follower.visit_features:
            self._histories = np.column_stack([self._histories, observation["viewpoint"][live]])
        if self.record is None:
            self._last = decision
            return self._pointing(decision, observation, live)
        if self.follower.objects is not None:
            nodes, views = observation["viewpoint"][live], observation["view"][live]
            self.places.append(ReadPlaces(live, nodes, views, decision.state.attended))
        teacher = np.asarray(info["teacher_action"])[live]
        scores, hidden, contrast = decision.scores, decision.hidden, decision.contrast
        return self.record.choose(live, scores, hidden, teacher, contrast)

    def explain(self) -> dict[str, np.ndarray | None]:
        """Return probabilities, value and attention of the last step of a greedy walk.

        Returns:
            For the N rows that were live: `probabilities` (N, K) of the actions, 0 where
            impossible; `stop` (N,), the probability of stop; `value` (N,) of the critic, None
            without a critic; `word_attention` (N, L) over the tokens; `view_attention` (N, 36).

        Raises:
            RuntimeError: The agent has not acted yet, or records decisions for training.
        """
        last = self._last
        if last is None:
            raise RuntimeError("only an agent that has acted greedily can explain its last step")
        with torch.no_grad():
            probabilities = torch.softmax(last.scores, 1).cpu().numpy()
            value = None if self.critic is None else self.critic(last.hidden).cpu().numpy()
        return {
            "probabilities": probabilities,
            "stop": probabilities[:, STOP],
            "value": value,
            "word_attention": last.word_weights.detach().cpu().numpy(),
            "view_attention": last.view_weights.detach().cpu().numpy(),
        }

    def decide(self, observation: Observation, live: np.ndarray) -> FollowerDecision:
        """Score the candidates of the live rows; the agent keeps its present state."""
        self._keep_rows(live)
        possible = observation["action_mask"][live, : self._first_object(observation)]
        # Cut columns that are impossible for all rows, because few viewpoints have many neighbours.
        width = int(np.flatnonzero(possible.any(0))[-1]) + 1
        nodes, views = observation["viewpoint"][live], observation["view"][live]
        view = PanoramaView(*self.features.gather(nodes, views, width))
        if self.follower.visit_features:
            histories = np.column_stack([self._histories, nodes])
            view = add_visits(view, histories, self.features.targets)
        state, noise = self._state, self._noise
        return self.follower.decide(view, self._context, state, noise, self._paired)

    def _pointing(
        self, decision: FollowerDecision, observation: Observation, live: np.ndarray
    ) -> np.ndarray:
        """Return the best actions (N,); stops point out the best object."""
        actions = decision.scores.argmax(1).cpu().numpy()
        head, stops = self.follower.objects, np.flatnonzero(actions == STOP)
        if head is None or not stops.size:
            return actions
        objects = self.features.objects
        assert objects is not None
        attended = decision.state.attended[self._tensor(stops)]
        nodes, views = (observation[name][live[stops]] for name in ("viewpoint", "view"))
        chosen = head.best(attended, objects, nodes, views)
        actions[stops] = np.where(chosen < 0, STOP, self._first_object(observation) + chosen)
        return actions

    @staticmethod
    def _first_object(observation: Observation) -> int:
        """Return K, the action that points out object 0; without objects, the number of actions."""
        # Places of a continuous environment have no columns of candidates, and no objects either.
        return observation.get("candidate_view", observation["action_mask"]).shape[1]

    def _keep_rows(self, live: np.ndarray) -> None:
        if len(live) == len(self._rows):
            return
        kept = np.isin(self._rows, live)
        self._histories = self._histories[kept]
        index = self._tensor(np.flatnonzero(kept))
        self._context, self._state = self._context.rows(index), self._state.rows(index)
        if self._paired is not None:
            self._paired = self._paired.rows(index)
        if self._noise is not None:
            self._noise = self._noise.rows(index)
        self._rows = live

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def scan_indices(scans: np.ndarray) -> np.ndarray:
    """Return an index (B,) for each building of a batch, from 0, given the names (B,)."""
    return np.unique(scans.astype(str), return_inverse=True)[1]
