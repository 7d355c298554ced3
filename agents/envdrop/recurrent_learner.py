"""What the learners of followers and of frontier agents share."""

from abc import abstractmethod
from pathlib import Path

from torch import nn

from clipnav.agents.acting.environments import (
    feature_metadata,
    fit_scale,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from clipnav.agents.acting.tokenizers import run_tokenizer, shared_words
from clipnav.agents.envdrop.follower_network import (
    FollowerNetwork,
    fit_states,
    make_follower_network,
)
from clipnav.agents.envdrop.settings import RecurrentAgentConfig
from clipnav.agents.learning.agent_learner import WalkingLearner
from clipnav.agents.settings import read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.tokenizers import load_run_tokenizer
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.learners import Selection
from clipnav.training.optimisers import make_optimiser


class RecurrentLearner(WalkingLearner):
    """A network with a follower, and the episodes to learn from.

    Args:
        config: Settings of the run.
        rows: Episodes in a batch of one rank.
        group: Rows that must stay on the same rank.
    """

    config: RecurrentAgentConfig
    network: FollowerNetwork

    def __init__(self, config: RecurrentAgentConfig, rows: int, group: int = 1) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.data_metadata = feature_metadata(config)
        self.env = make_env(config, "train", run_tokenizer(config), rows)
        self.features = DeviceFeatures(self.env, config.device)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.network = self.saved = self.make_network()
        self.follower = self.network.follower
        reserve_text_states(self.follower.encoder, [self.env, *self.evaluation_envs.values()])
        if config.resume is None:  # otherwise the trainer restores all of it
            fit_states(self.follower.encoder, self.env)
            fit_scale(self.follower.scale, self.env)
            if config.start_from is not None:
                self._start_from(config.start_from)
        self.clipped: list[nn.Module] = [self.follower.encoder, self.follower.decoder]
        tuned = getattr(self.follower.encoder, "tuned", None)
        rate = config.language_learning_rate
        self.optimiser = make_optimiser(self.network, config.optimiser, tuned, rate)
        self._loss = distributed.wrap_ddp(self.network)
        self._order = BucketedBatchOrder(
            [episode.instr_id for episode in self.env.episodes],
            [len(episode.instruction) for episode in self.env.episodes],
            rows * distributed.world_size(),
            config.bucket,
            config.seed,
            group * distributed.world_size(),
        )

    @abstractmethod
    def make_network(self) -> FollowerNetwork:
        """Build the untrained network with its loss."""

    def _start_from(self, run: Path) -> None:
        """Copy the weights of the follower of another run, and of its critic if it has one.

        Words that both vocabularies contain keep the embedding of that run.

        Raises:
            UserError: The run has an agent without a follower; or the runs have different Hugging
                Face models, or only one has a model.
        """
        source = load_run_tokenizer(run / VOCABULARY, "--start-from")
        settings = read_agent_config(run)
        if "follower-weights" not in agent_spec(settings.agent).abilities:
            raise UserError(
                f"--start-from {run}: its agent is {settings.agent}; choose a run of --agent "
                "follower or frontier"
            )
        target = self.env.tokenizer
        pairs = shared_words(source, target)
        assert isinstance(settings, RecurrentAgentConfig)
        with_critic = settings.has_critic
        other = make_follower_network(self.config, self.env, source, with_critic=with_critic)
        load_model(run, other, self.data_metadata)
        self.follower.load(other.follower, pairs)
        if source != target and distributed.rank() == 0:
            print(f"{len(pairs)} of {len(target)} words have an embedding in {run}")
        if other.critic is not None and self.network.critic is not None:
            self.network.critic.load_state_dict(other.critic.state_dict())
