"""Training of HAMT by imitation and reinforcement."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.rollout import STOP, ActionSource, rollout
from clipnav.agents.hamt.agent import HistoryAgent, greedy_agent, make_history_transformer
from clipnav.agents.hamt.model import History, HistoryTransformer, Scores
from clipnav.agents.hamt.observations import HistoryFeatures, rows_of
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.learning.objectives import actor_critic_loss, agreement, imitation_loss
from clipnav.agents.settings.reading import run_spec
from clipnav.agents.transformer.il_rl import (
    Figures,
    Minibatches,
    MinibatchesLearner,
    MinibatchesLoss,
)
from clipnav.envs.graphs.nav_world import NavWorld, route_moves
from clipnav.envs.navigation.references import ReferencePaths, ReferenceWalks
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


class TeacherForcedBatch(NamedTuple):
    """All states along the reference paths of B episodes.

    Episodes with the same path share the history tokens of its steps.

    Attributes:
        walks: (P,) walk of each of the P states of the U different walks.
        numbers: (P,) step of each, from 0.
        nodes: (P,) viewpoints.
        views: (P,) views that the agent faces.
        actions: (P,) actions of the path; stop at its end.
        states: (R,) state of each of the R states of the episodes.
        episodes: (R,) episode, 0..B-1, of each.
    """

    walks: np.ndarray
    numbers: np.ndarray
    nodes: np.ndarray
    views: np.ndarray
    actions: np.ndarray
    states: np.ndarray
    episodes: np.ndarray

    @classmethod
    def of(
        cls, world: NavWorld, references: ReferencePaths, episodes: np.ndarray, limit: int
    ) -> "TeacherForcedBatch":
        """Describe the first states, at most `limit`, of the reference paths of episodes (B,)."""
        paths = ReferenceWalks.of(world, references, episodes)
        moves = route_moves(world, paths.nodes[:, 0], paths.nodes[:, 1:])
        actions = np.pad(np.where(moves < 0, STOP, moves), ((0, 0), (0, 1)), constant_values=STOP)
        walks, numbers = np.nonzero(paths.nodes[:, :limit] >= 0)
        states, owners = np.nonzero(walks[:, None] == paths.owners)
        return cls(
            walks,
            numbers,
            paths.nodes[walks, numbers],
            paths.views[walks, numbers],
            actions[walks, numbers],
            states,
            owners,
        )

    def past(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the steps before each of the R states.

        Returns:
            index: (R, T) states of the steps, in order; 0 for padding.
            mask: (R, T) bool, False on padding.
        """
        numbers = self.numbers[self.states]
        earlier = np.arange(numbers.max())
        mask = earlier < numbers[:, None]
        # The states of a walk are consecutive.
        first = self.states - numbers
        return np.where(mask, first[:, None] + earlier, 0), mask

    def score(self, model: HistoryTransformer, features: HistoryFeatures, tokens: Tensor) -> Scores:
        """Score the actions of all R states in one forward pass.

        Args:
            tokens: (B, L) instructions.
        """
        device = tokens.device

        def send(array: np.ndarray) -> Tensor:
            return torch.from_numpy(array).to(device)

        walks = self.walks[self.states]
        dropout = model.features.episode_dropout(int(self.walks.max()) + 1)
        index, mask = self.past()
        # No state comes after the last step of a path, so its token is not needed.
        used, index[mask] = np.unique(index[mask], return_inverse=True)
        start = model.history.start_tokens(int(self.walks.max()) + 1)[send(walks)]
        past = start[:, None][:, :0]
        if used.size:  # otherwise all states are the first of their walks
            steps = features.steps(
                self.nodes[used],
                self.views[used],
                self.actions[used],
                self.numbers[used],
                rows_of(dropout, self.walks[used]),
            )
            past = model.step_tokens(steps)[send(index)]
        history = History(
            torch.cat([start[:, None], past], 1),
            send(np.pad(mask, ((0, 0), (1, 0)), constant_values=True)),
        )
        nodes, views = self.nodes[self.states], self.views[self.states]
        seen = features.views(nodes, views, rows_of(dropout, walks))
        return model.score(model.read(tokens).rows(send(self.episodes)), history, seen)


class HistoryLoss(MinibatchesLoss):
    """A history transformer and the loss of its training."""

    model: HistoryTransformer
    _config: HistoryTrainConfig

    @property
    def critic_width(self) -> int:
        """Width of the token that the critic reads."""
        return self._config.network.hidden_size

    def clone(
        self,
        env: VlnVectorEnv,
        features: HistoryFeatures,
        references: ReferencePaths,
        episodes: np.ndarray,
    ) -> tuple[Tensor, Figures]:
        """Return the loss of teacher forcing per episode, and the figures to log.

        All decisions of all paths are scored in one forward pass.
        """
        known = TeacherForcedBatch.of(features.world, references, episodes, self._config.step_limit)
        tokens = self.instructions(env, episodes).to(next(self.model.parameters()).device)
        scores = known.score(self.model, features, tokens).actions
        targets = torch.from_numpy(known.actions[known.states]).to(scores.device)
        loss = imitation_loss(scores, targets, len(episodes))
        return loss, {"cloning": loss.item(), "agreement": agreement(scores, targets)}

    def sample(
        self,
        env: VlnVectorEnv,
        features: HistoryFeatures,
        references: ReferencePaths,
        batch: Minibatches,
    ) -> tuple[Tensor, Figures]:
        """Walk episodes with sampled actions; return the weighted losses and figures to log."""
        config, episodes = self._config, batch.sampled
        every = np.ones(len(episodes), bool)
        source = ActionSource(every, batch.draws, config.sampled_steps)
        agent = HistoryAgent(self.model, features, config.use_instructions, source)
        names = [env.episodes[episode].instr_id for episode in episodes]
        decisions = rollout(env, agent, names, look_ahead=self.critic is not None)
        imitation = imitation_loss(decisions.scores, decisions.teacher, len(episodes))
        figures = {
            "sampled": imitation.item(),
            "sampled_agreement": agreement(decisions.scores, decisions.teacher),
            "decisions": len(decisions.rows) / len(episodes),
        }
        loss = config.sampled_weight * imitation
        if self.critic is not None:
            a2c, more = actor_critic_loss(decisions, every, self.critic, config.reinforcement)
            loss = loss + config.reinforcement.weight * a2c
            figures |= more
        return loss, figures


class HistoryLearner(MinibatchesLearner):
    """A HAMT agent, and the episodes to learn from."""

    config: HistoryTrainConfig
    model: HistoryTransformer
    network: HistoryLoss
    make_network = staticmethod(make_history_transformer)

    @property
    def clipped(self) -> list[nn.Module]:
        """Modules whose gradients are clipped: not the critic, as in HAMT and EnvDrop."""
        return [self.model]

    def _initialise(self) -> int:
        missing = super()._initialise()
        config, start = self.config, self.config.start_from
        if not config.freeze_encoders or start is None:
            return missing
        if run_spec(start).name != config.agent:
            raise UserError(
                f"--freeze-encoders: {start} is a run of a follower, which has no history encoder, "
                "so that random weights would stay; start from a run of --agent hamt, or give "
                "--no-freeze-encoders"
            )
        if missing:
            raise UserError(
                f"--freeze-encoders: {missing} of {len(self.env.tokenizer)} words have no "
                f"embedding in {start}, so that random ones would stay; start from a run with the "
                "same vocabulary, or give --no-freeze-encoders"
            )
        return missing

    def make_features(self, env: VlnVectorEnv) -> HistoryFeatures:
        """Return the features of an environment."""
        return HistoryFeatures(env, self.config.device)

    def make_loss(self) -> HistoryLoss:
        """Return the network with its loss; the encoders may be frozen."""
        if self.config.freeze_encoders and self.config.start_from is not None:
            self.model.text.requires_grad_(False)
            self.model.history.requires_grad_(False)
        return HistoryLoss(self.model, self.config)

    def agent(self, split: str) -> HistoryAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])
