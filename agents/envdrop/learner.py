"""The follower's network, its loss, and training by imitation, A2C and back-translation."""

from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.environments import fit_scale, reserve_text_states
from clipnav.agents.acting.rollout import ActionSource, UniformStream, rollout
from clipnav.agents.acting.tokenizers import shared_words
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import EpisodeBatch, FollowerAgent
from clipnav.agents.envdrop.grounding import ObjectLoss, ReadPlaces
from clipnav.agents.envdrop.settings import RecurrentAgentConfig, TrainConfig
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.layers.pretrained import PretrainedEncoder, StateReader, hugging_face_model
from clipnav.agents.learning.agent_learner import EpisodeLearner, load_network, mixed_precision
from clipnav.agents.learning.objectives import (
    actor_critic_loss,
    agreement,
    contrastive_loss,
    imitation_loss,
)
from clipnav.agents.settings import Feedback, read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream

_BACK_TRANSLATION = 1  # end of the seed of actions on back-translated paths
_STATISTICS = 1_000  # instructions for the scale of hidden states
Figures = dict[str, float]
Network = TypeVar("Network", bound="FollowerNetwork")


class FollowerNetwork(nn.Module):
    """A follower and, with reinforcement, its critic."""

    # Loss of the objects, for a follower that points them out; the learner sets it.
    object_loss: ObjectLoss | None = None

    def __init__(
        self, follower: Follower, critic: Critic | None, config: RecurrentAgentConfig
    ) -> None:
        super().__init__()
        self.follower = follower
        self.critic = critic
        self.config = config

    def grounding(
        self, env: VlnVectorEnv, instr_ids: list[str], places: list[ReadPlaces]
    ) -> tuple[Tensor | float, dict[str, float]]:
        """Return the loss of the objects of a batch, see `ObjectLoss`; 0 without objects."""
        if self.object_loss is None or self.follower.objects is None:
            return 0.0, {}
        return self.object_loss(self.follower.objects, env, instr_ids, places)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded."""
        return {**self.follower.architecture, "critic": "no" if self.critic is None else "yes"}


class FollowerLoss(FollowerNetwork):
    """A follower and, with reinforcement, its critic, with the loss of their training.

    A call walks a batch of episodes and returns the loss; a single call per batch allows the use of
    DistributedDataParallel. With a critic, even rows of the batch are for imitation and odd rows
    for reinforcement: the two minibatches of EnvDrop, walked together.

    With w the weights of the settings, y the teacher's actions in the E imitated episodes, and p
    the follower's probabilities,

        loss = w_imitation * sum(-log p(y)) / E + w_objects * objects + w_reinforcement * A2C
               [+ w_contrastive * contrastive]

    `actor_critic_loss` defines A2C: policy gradient, squared error of the critic and entropy, over
    the decisions of the other episodes; `Walks.step` gives the rewards.
    """

    config: TrainConfig

    @property
    def group(self) -> int:
        """Rows of a batch that must stay together: 2 with a critic, 1 without."""
        return 1 if self.critic is None else 2

    def forward(
        self,
        env: VlnVectorEnv,
        features: DeviceFeatures,
        batch: EpisodeBatch,
        imitation_weight: float,
    ) -> tuple[Tensor, Figures]:
        """Walk a batch and return the loss and the figures to log."""
        config = self.config
        source, imitated = self._action_source(batch)
        agent = FollowerAgent(
            self.follower,
            features,
            config.use_instructions,
            source,
            batch.tokens,
            batch.noise,
            batch.partners,
        )
        steps, look_ahead = config.max_training_steps, self.critic is not None
        with mixed_precision(self.follower, config):
            decisions = rollout(env, agent, batch.instr_ids, steps, look_ahead)
        chosen = np.flatnonzero(imitated[decisions.rows])
        index = torch.from_numpy(chosen).to(decisions.scores.device)
        scores, teacher = decisions.scores[index], decisions.teacher[index]
        loss = imitation_loss(scores, teacher, int(imitated.sum()))
        figures = {"imitation": loss.item(), "agreement": agreement(scores, teacher)}
        loss = imitation_weight * loss
        objects, more = self.grounding(env, batch.instr_ids, agent.places)
        loss, figures = loss + config.object_weight * objects, figures | more
        if decisions.contrast is not None:
            contrastive = contrastive_loss(decisions, imitated, config.clear.temperature)
            figures["contrastive"] = contrastive.item()
            loss = loss + config.clear.contrastive_weight * contrastive
        if self.critic is not None:
            a2c_loss, a2c_figures = actor_critic_loss(
                decisions, ~imitated, self.critic, config.reinforcement
            )
            loss = loss + config.reinforcement.weight * a2c_loss
            figures |= a2c_figures
        return loss, {"loss": loss.item(), **figures}

    def _action_source(self, batch: EpisodeBatch) -> tuple[ActionSource, np.ndarray]:
        """Return the source of the actions, and (B,) bool, true for rows of imitation."""
        count = len(batch.instr_ids)
        rows = np.arange(count)
        imitated = rows % 2 == 0 if self.critic is not None else np.ones(count, bool)
        teacher_forced = imitated & _teacher_forced_rows(
            self.config.feedback, np.cumsum(imitated) - 1
        )
        share = self.config.sampled_steps
        if teacher_forced.all() and not share:
            return ActionSource(teacher_forced), imitated
        rank, world_size = distributed.rank(), distributed.world_size()
        draws = UniformStream(batch.rng, count, rank, world_size, self.group)
        return ActionSource(teacher_forced, draws, share), imitated


def _teacher_forced_rows(feedback: Feedback, indices: np.ndarray) -> np.ndarray:
    """Return (B,) bool, true for imitation episodes, with indices (B,), that are teacher-forced."""
    if feedback == "mixed":
        return indices % 2 == 0
    return np.full(len(indices), feedback == "teacher")


def make_follower_network(
    config: RecurrentAgentConfig,
    env: VlnVectorEnv,
    tokenizer: Tokenizer | None = None,
    *,
    with_critic: bool,
    kind: type[Network] = FollowerNetwork,
) -> Network:
    """Build an untrained follower (see `make_follower`) and, if requested, its critic."""
    follower, critic, settings = make_follower(config, env, tokenizer), None, config.follower
    if with_critic:
        critic = Critic(settings.hidden_size, settings.dropout).to(config.device)
    return kind(follower, critic, config)


def load_follower_network(
    run: Path, split: str, settings: RecurrentAgentConfig
) -> tuple[VlnVectorEnv, FollowerNetwork]:
    """Build the environment of a split and load the network of a run; see `load_network`."""
    make = partial(make_follower_network, with_critic=settings.has_critic)
    env, network = load_network(run, split, settings, make)
    reserve_text_states(network.follower.encoder, [env])
    return env, network


def load_follower(
    run: Path, split: str, settings: TrainConfig
) -> tuple[VlnVectorEnv, FollowerAgent]:
    """Build the environment of a split and load the follower of a run; see `clipnav.load_run`."""
    env, network = load_follower_network(run, split, settings)
    features = DeviceFeatures(env, settings.device)
    agent = FollowerAgent(network.follower, features, settings.use_instructions)
    agent.critic = network.critic
    return env, agent


def make_follower(
    config: RecurrentAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> Follower:
    """Build an untrained follower for an environment."""
    visual = 0 if env.feature_store is None else env.feature_store.width
    angle = config.angle_feature_size
    views = None
    if config.visual_representation is not None and env.feature_store is not None:
        from clipnav.agents.clear.loading import load_view_encoder

        store = env.feature_store
        views = load_view_encoder(config.visual_representation, store, config.clear)
    transformer = StateReader if config.follower.read_states else PretrainedEncoder
    if config.language_representation is not None:
        from clipnav.agents.clear.loading import load_text_model

        run, longest = config.language_representation, config.max_instruction_length
        model = load_text_model(run, longest)
        encoder = transformer(model, config.follower, config.clear.tune_language)
    elif config.text.tokens == "pretrained":
        assert config.text.model is not None
        model = hugging_face_model(config.text.model)
        encoder = transformer(model, config.follower, config.text.tune)
    else:
        encoder = InstructionEncoder(len(tokenizer or env.tokenizer), config.follower)
    objects = None if env.objects is None or not visual else env.objects.width
    return Follower(encoder, visual, angle, config.follower, views, objects).to(config.device)


def fit_states(encoder: nn.Module, env: VlnVectorEnv) -> None:
    """Set the scale of a `StateReader` from the instructions of an environment."""
    if isinstance(encoder, StateReader):
        tokens = env.split.tokens  # (N, L)
        encoder.fit(torch.from_numpy(tokens[:: max(1, len(tokens) // _STATISTICS)]))


class RecurrentLearner(EpisodeLearner):
    """A network with a follower, and the episodes to learn from.

    Attributes:
        loss: Class of the network, which computes its loss.
    """

    loss: type[FollowerNetwork]
    config: RecurrentAgentConfig
    network: FollowerNetwork

    @classmethod
    def make_network(
        cls, config: RecurrentAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
    ) -> FollowerNetwork:
        """Build the untrained follower and, with reinforcement, its critic, with their loss."""
        critic = config.has_critic
        return make_follower_network(config, env, tokenizer, with_critic=critic, kind=cls.loss)

    def prepare(self, network: FollowerNetwork) -> FollowerNetwork:
        """Initialise the follower of a new run; return it with its critic and loss."""
        config, self.follower = self.config, network.follower
        self.network = network
        reserve_text_states(self.follower.encoder, [self.env, *self.evaluation_envs.values()])
        if self.follower.objects is not None:
            network.object_loss = ObjectLoss(self.env, self.features.objects)
        if config.resume is None:  # otherwise the trainer restores all of it
            fit_states(self.follower.encoder, self.env)
            fit_scale(self.follower.scale, self.env)
            if config.start_from is not None:
                self._start_from(config.start_from)
        return network

    @property
    def clipped(self) -> list[nn.Module]:
        """Modules whose gradients are clipped separately."""
        objects = self.follower.objects
        return [
            self.follower.encoder,
            self.follower.decoder,
            *([] if objects is None else [objects]),
        ]

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser, with a rate of its own for a tuned text model."""
        tuned = getattr(self.follower.encoder, "tuned", None)
        rate = self.config.language_learning_rate
        return make_optimiser(self.network, self.config.optimiser, tuned, rate)

    def _start_from(self, run: Path) -> None:
        """Copy the weights of the follower of another run, and of its critic if it has one.

        Words that both vocabularies contain keep the embedding of that run.
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


class FollowerLearner(RecurrentLearner):
    """A follower, its critic, and the episodes to learn from."""

    loss = FollowerLoss
    config: TrainConfig
    network: FollowerLoss

    def __init__(self, config: TrainConfig) -> None:
        group = 2 if config.has_critic else 1
        super().__init__(config, group * config.batch_size, group)
        self._translator = None
        if config.back_translation.speaker is not None:
            from clipnav.agents.envdrop.back_translation import BackTranslator, held_out_episodes

            held_out, group = held_out_episodes(config), self.network.group
            self._translator = BackTranslator(config, self.follower, self.env, held_out, group)
        self._partners = None
        if config.clear.contrastive_weight and config.instruction_ablation == "none":
            from clipnav.agents.clear.language_data import PartnerInstructions

            self._partners = PartnerInstructions(self.env.episodes, self.env.split.tokens)

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch, add its gradient and return the figures to log."""
        rng = Stream.FOLLOWER_ACTIONS.rng(self.config.seed, iteration)
        names = self._rank_share(self._order.batch(iteration))
        partners = None
        if self._partners is not None:
            partners = self._partners.draw(names, self.config.seed, iteration)
        batch = EpisodeBatch(names, rng, partners=partners)
        weight = self.config.imitation_weight
        if self._translator is None:
            return self._add_gradient(self.env, self.features, batch, weight)
        with distributed.unsynchronised(self._loss):
            figures = self._add_gradient(self.env, self.features, batch, weight)
        translator = self._translator
        rng = Stream.FOLLOWER_ACTIONS.rng(self.config.seed, iteration, _BACK_TRANSLATION)
        batch = translator.batch(self._rank_share(translator.names(iteration)), rng)
        weight = self.config.back_translation.imitation_weight
        back = self._add_gradient(translator.env, translator.features, batch, weight)
        loss = figures["loss"] + back["loss"]
        return {**figures, **{f"back_{name}": v for name, v in back.items()}, "loss": loss}

    def agent(self, split: str) -> FollowerAgent:
        """Return the follower as a greedy agent on a split."""
        env = self.evaluation_envs[split]
        features = DeviceFeatures(env, self.config.device)
        return FollowerAgent(self.follower, features, self.config.use_instructions)

    def _add_gradient(
        self, env: VlnVectorEnv, features: DeviceFeatures, batch: EpisodeBatch, weight: float
    ) -> dict[str, float]:
        loss, figures = self._loss(env, features, batch, weight)
        loss.backward()
        return figures

    def _rank_share(self, instr_ids: list[str]) -> list[str]:
        """Return the rows of a batch that belong to this rank; groups are dealt out in turn."""
        groups = np.array(instr_ids, dtype=object).reshape(-1, self.network.group)
        return groups[distributed.rank() :: distributed.world_size()].ravel().tolist()
