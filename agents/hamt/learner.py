"""Training of HAMT by imitation and reinforcement."""

from torch import nn

from clipnav.agents.hamt.agent import HistoryAgent
from clipnav.agents.hamt.building import greedy_agent, make_history_transformer
from clipnav.agents.hamt.losses import HistoryLoss
from clipnav.agents.hamt.model import HistoryTransformer
from clipnav.agents.hamt.observations import HistoryFeatures
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.settings import agent_of
from clipnav.agents.transformer.two_minibatches import MinibatchesLearner
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


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
        if agent_of(start) != config.agent:
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
