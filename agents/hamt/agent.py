"""HistoryAgent: walks with HAMT, and records its decisions in training."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import STOP, ActionSource, DecisionRecord, Observation
from clipnav.agents.hamt.model import EncodedText, History, HistoryTransformer, Scores
from clipnav.agents.hamt.observations import HistoryFeatures, rows_of
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.layers.encoders import cropped, readable
from clipnav.agents.transformer.building import load_transformer, make_encoders
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer


class HistoryAgent:
    """A history transformer that walks in a vector environment (HAMT `r2r/agent_cmt.py`).

    Args:
        action_source: Source of the actions in training, where decisions are recorded; without it,
            the agent walks greedily.

    Attributes:
        loaded_for: Environment of a loaded agent, see `check_loaded_for`.
        record: Decisions in training; None without an action source.
    """

    loaded_for: VlnVectorEnv | None = None

    def __init__(
        self,
        model: HistoryTransformer,
        features: HistoryFeatures,
        use_instructions: bool = True,
        action_source: ActionSource | None = None,
    ) -> None:
        self.model = model
        self.features = features
        self.use_instructions = use_instructions
        self.record = None if action_source is None else DecisionRecord(action_source)
        self._rows = np.arange(0)
        self._text: EncodedText
        self._history: Tensor  # (N, 1 + T, d)
        self._dropout: Tensor | None = None
        self._taken: tuple[np.ndarray, ...] | None = None  # nodes, views and actions of a step
        self._last: Scores | None = None

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Encode the instructions and start empty histories."""
        tokens = readable(observation["instruction"][live], self.use_instructions)
        device = next(self.model.parameters()).device
        self._text = self.model.read(cropped(tokens).to(device))
        self._history = self.model.history.start_tokens(len(live))[:, None]
        self._dropout = self.model.features.episode_dropout(len(live))
        self._rows, self._taken = live, None

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Run one step of the network for the live rows and return their actions (N,)."""
        scores = self.decide(observation, live)
        if self.record is None:
            self._last = scores
            actions = scores.actions.argmax(1).cpu().numpy()
        else:
            teacher = np.asarray(info["teacher_action"])[live]
            actions = self.record.choose(live, scores.actions, scores.hidden, teacher)
        self._taken = observation["viewpoint"][live], observation["view"][live], actions
        return actions

    def explain(self) -> dict[str, np.ndarray | None]:
        """Return probabilities of the last step of a greedy walk.

        Returns:
            For the N rows that were live: `probabilities` (N, K) of the actions, 0 where
            impossible, and `stop` (N,), the probability of stop.

        Raises:
            RuntimeError: The agent has not acted yet, or records decisions for training.
        """
        if self._last is None:
            raise RuntimeError("only an agent that has acted greedily can explain its last step")
        probabilities = torch.softmax(self._last.actions.detach(), 1).cpu().numpy()
        return {"probabilities": probabilities, "stop": probabilities[:, STOP]}

    def decide(self, observation: Observation, live: np.ndarray) -> Scores:
        """Add the last step of the live rows to their histories and score their actions."""
        kept = np.flatnonzero(np.isin(self._rows, live))
        if len(kept) < len(self._rows):
            index = torch.from_numpy(kept).to(self._history.device)
            self._text, self._history = self._text.rows(index), self._history[index]
            self._dropout = rows_of(self._dropout, kept)
            self._rows = live
        if self._taken is not None:
            nodes, views, actions = (part[kept] for part in self._taken)
            numbers = np.full(len(live), self._history.shape[1] - 1)
            steps = self.features.steps(nodes, views, actions, numbers, self._dropout)
            tokens = self.model.step_tokens(steps)
            self._history = torch.cat([self._history, tokens[:, None]], 1)
            self._taken = None
        nodes, views = observation["viewpoint"][live], observation["view"][live]
        seen = self.features.views(nodes, views, self._dropout)
        mask = torch.ones(self._history.shape[:2], dtype=torch.bool, device=self._history.device)
        return self.model.score(self._text, History(self._history, mask), seen)


def make_history_transformer(
    config: HistoryTrainConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> HistoryTransformer:
    """Build an untrained network for an environment."""
    width = 0 if env.feature_store is None else env.feature_store.width
    text, views = make_encoders(config, env)
    words, angle = len(tokenizer or env.tokenizer), config.angle_feature_size
    return HistoryTransformer(config.network, words, width, angle, text, views).to(config.device)


def greedy_agent(
    config: HistoryTrainConfig, model: HistoryTransformer, env: VlnVectorEnv
) -> HistoryAgent:
    """Return an agent that decides greedily in an environment."""
    return HistoryAgent(model, HistoryFeatures(env, config.device), config.use_instructions)


def load_history_agent(
    run: Path, split: str, config: HistoryTrainConfig
) -> tuple[VlnVectorEnv, HistoryAgent]:
    """Build the environment of a split and load the agent of a run; see `load_transformer`."""
    env, model = load_transformer(run, split, config, make_history_transformer)
    return env, greedy_agent(config, model, env)
