"""Pre-training of a map agent on known paths: its examples, tasks and learner."""

from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.acting.environments import (
    feature_metadata,
    make_env,
    make_evaluation_envs,
    reserve_text_states,
)
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.duet.agent import MapAgent, greedy_agent, make_map_transformer, map_features
from clipnav.agents.duet.learner import PathBatch, agreement_share, object_targets, path_batch
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.objects import target_tokens
from clipnav.agents.duet.pretraining_model import PretrainingModel, action_losses
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.envdrop.augmentation import sample_paths
from clipnav.agents.envdrop.back_translation import held_out_episodes, sampled_environment
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker_training import load_speaker
from clipnav.agents.layers.encoders import cropped, readable
from clipnav.agents.learning.agent_learner import (
    WalkingLearner,
    make_agent_trainer,
    mixed_precision,
    train_and_evaluate,
)
from clipnav.agents.learning.object_targets import ObjectTargets
from clipnav.agents.transformer.building import fit_features, start_from
from clipnav.envs.episodes import base_language
from clipnav.envs.navigation.device_features import DeviceFeatures, world_features
from clipnav.envs.navigation.drawn_paths import DrawnPaths
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import PretrainedTokenizer, Tokenizer
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import decay_groups, make_group_optimiser
from clipnav.training.streams import Stream

NOT_MASKED = -1
# Shares of masked words that are replaced by the mask token and by a random word (BERT); the others
# stay.
_REPLACED, _RANDOM = 0.8, 0.1
_FIRST_WORD = 4  # ids below are special tokens
Task = Literal["masked_words", "actions", "masked_views", "objects"]
Figures = dict[str, float]


class PathExamples(NamedTuple):
    """Paths with instructions.

    Attributes:
        episodes: (B,) indices of the paths.
        tokens: (B, L) instructions that the agent reads.
        objects: Target objects of the paths; None without objects.
    """

    features: WorldFeatures
    references: ReferencePaths
    episodes: np.ndarray
    tokens: np.ndarray
    objects: ObjectTargets | None = None


class SplitPaths:
    """Batches of the paths and instructions of the training split."""

    def __init__(self, config: MapPretrainConfig, env: VlnVectorEnv) -> None:
        self._features = map_features(env, config.device, config.max_objects)
        self._references = ReferencePaths.of(env.nav_world, env.episodes)
        self._drawn = None
        if config.drawn_paths != "none":
            players = config.drawn_paths == "ends-and-players"
            self._drawn = DrawnPaths(env.nav_world, env.episodes, self._references, players)
        self._seed = config.seed
        self._objects = object_targets(self._features, env)
        self._tokens = readable(env.split.tokens, config.use_instructions)
        self._order = _batch_order(config, [len(episode.instruction) for episode in env.episodes])

    def batch(self, iteration: int) -> PathExamples:
        """Return the examples of an iteration (from 0) that belong to this rank."""
        episodes, references = _rank_share(self._order, iteration), self._references
        if self._drawn is not None:
            references = self._drawn.draw(Stream.DRAWN_PATHS.rng(self._seed, iteration))
        tokens = self._tokens[episodes]
        return PathExamples(self._features, references, episodes, tokens, self._objects)


class GeneratedPaths:
    """Batches of sampled paths with the instructions of a speaker.

    Instructions are generated for `batch_size` consecutive paths when one of them is drawn first,
    and kept. A resumed run therefore generates the same ones.
    """

    def __init__(self, config: MapPretrainConfig, env: VlnVectorEnv) -> None:
        assert config.speaker is not None
        if config.instruction_ablation == "shuffled":
            raise UserError(
                "--instruction-ablation shuffled and --speaker exclude each other, because "
                "generated instructions describe their own paths; leave one out"
            )
        self._config = config
        self._speaker = load_speaker(config.speaker, env, feature_metadata(config), config.device)
        held_out = held_out_episodes(config)
        seed = [config.seed, Stream.SAMPLED_PATHS]
        graphs = env.nav_world.graphs
        paths = sample_paths(graphs, env.episodes, held_out, config.paths, seed)
        if len(paths) < distributed.world_size():
            raise UserError(
                f"--paths {config.paths}: {len(paths)} paths could be sampled in the training "
                "scans; set a higher number, or train without --speaker"
            )
        self._env = sampled_environment(env, paths, config.batch_size, config.seed)
        self._tokenizer = env.tokenizer
        self._views = DeviceFeatures(self._env, config.device)
        self._features = map_features(self._env, config.device)
        episodes = self._env.episodes
        self._references = ReferencePaths.of(self._env.nav_world, episodes)
        languages = [base_language(episode.language) for episode in env.episodes]
        rng = Stream.SAMPLED_LANGUAGES.rng(config.seed)
        self._languages = [languages[i] for i in rng.integers(len(languages), size=len(episodes))]
        self._tokens: dict[int, np.ndarray] = {}
        self._order = _batch_order(config, [len(episode.path) for episode in episodes])

    def batch(self, iteration: int) -> PathExamples:
        """Return the examples of an iteration (from 0) that belong to this rank."""
        episodes = _rank_share(self._order, iteration)
        for index in episodes.tolist():
            if index not in self._tokens:
                size = self._config.batch_size
                start = index // size * size
                self._describe(range(start, min(start + size, len(self._env.episodes))))
        tokens = np.stack([self._tokens[index] for index in episodes.tolist()])
        read = readable(tokens, self._config.use_instructions)
        return PathExamples(self._features, self._references, episodes, read)

    def _describe(self, episodes: range) -> None:
        """Generate the instructions of paths."""
        speaker = self._speaker
        ids = [self._env.episodes[index].instr_id for index in episodes]
        paths = record_paths(self._env, self._views, ids)
        languages = speaker.language_ids([self._languages[index] for index in episodes])
        with torch.no_grad():
            context = speaker.network.encode(paths.views)
            generated = speaker.network.generate(context, languages, speaker.longest_decoded)
        longest = self._config.max_instruction_length
        for index, row in zip(episodes, generated, strict=True):
            text = speaker.tokenizer.decode(row)
            self._tokens[index] = self._tokenizer.encode(text, longest)


def _batch_order(config: MapPretrainConfig, lengths: list[int]) -> BucketedBatchOrder:
    """Return the order of examples with some lengths, named by their indices."""
    world_size = distributed.world_size()
    names = [str(index) for index in range(len(lengths))]
    size = config.batch_size * world_size
    return BucketedBatchOrder(names, lengths, size, config.bucket, config.seed, world_size)


def _rank_share(order: BucketedBatchOrder, iteration: int) -> np.ndarray:
    """Return the indices of an iteration's examples that belong to this rank."""
    indices = np.array(order.batch(iteration)).astype(int)
    return indices[distributed.rank() :: distributed.world_size()]


def mask_id(tokenizer: Tokenizer) -> int:
    """Return the id that replaces masked words.

    It is the mask token of a Hugging Face model, and the unknown word of other vocabularies.
    """
    number = tokenizer.mask_id if isinstance(tokenizer, PretrainedTokenizer) else None
    number = tokenizer.unknown_id if number is None else number
    if number is None:
        raise UserError(
            "--masked-words: the vocabulary of --text.model has neither a mask token nor an "
            "unknown word; give --masked-words 0"
        )
    return number


def mask_words(
    tokens: np.ndarray, rate: float, tokenizer: Tokenizer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mask a share of the tokens, special tokens included, and at least one in each row.

    Args:
        tokens: (B, L) token ids, padded with 0.

    Returns:
        tokens: (B, L) with replaced tokens.
        targets: (B, L) original ids of the masked tokens; `NOT_MASKED` elsewhere.
    """
    masked = choose(tokens != 0, rate, rng)
    draws = rng.random(tokens.shape)
    words = rng.integers(_FIRST_WORD, max(len(tokenizer), _FIRST_WORD + 1), tokens.shape)
    replaced = np.where(draws < _REPLACED, mask_id(tokenizer), words)
    changed = masked & (draws < _REPLACED + _RANDOM)
    return np.where(changed, replaced, tokens), np.where(masked, tokens, NOT_MASKED)


def choose(possible: np.ndarray, rate: float, rng: np.random.Generator) -> np.ndarray:
    """Return a random share of the true elements (B, L), and at least one of each row."""
    draws = np.where(possible, rng.random(possible.shape), np.inf)
    least = draws == draws.min(1, keepdims=True)
    return possible & ((draws < rate) | least)


class PretrainingLoss(nn.Module):
    """A pre-training model and the losses of its tasks.

    Args:
        class_scores: (V, 36, C) logits of the classes of all views of the training world; None
            without masked views.
    """

    def __init__(
        self,
        model: PretrainingModel,
        config: MapPretrainConfig,
        tokenizer: Tokenizer,
        class_scores: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.model = model
        self._config = config
        self._tokenizer = tokenizer
        self._class_scores = class_scores

    def forward(
        self, task: Task, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Return the loss of a task on a batch and the figures to log."""
        losses = {
            "masked_words": self.masked_words,
            "actions": self.actions,
            "masked_views": self.masked_views,
            "objects": self.objects,
        }
        with mixed_precision(self.model, self._config):
            loss, figures = losses[task](examples, rng)
        return loss, {"loss": loss.item(), **figures}

    def masked_words(
        self, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Predict masked words, given the map and the panorama at the ends of the paths."""
        network, config = self.model.network, self._config
        paths = self._paths(examples)
        nodes, views = paths.inputs(network, examples.features, paths.last())
        masked, targets = mask_words(examples.tokens, config.mask_rate, self._tokenizer, rng)
        text = network.read(cropped(masked).to(nodes.features.device))
        length = text.states.mask.shape[1]
        sent = torch.from_numpy(targets[:, :length]).long().to(nodes.features.device)
        logits = self.model.word_logits(text, nodes, views, sent != NOT_MASKED).float()
        words = sent[sent != NOT_MASKED]
        loss = _mean(functional.cross_entropy(logits, words, reduction="none"))
        return loss, {"masked_words": loss.item(), "correct_words": agreement_share(logits, words)}

    def actions(self, examples: PathExamples, rng: np.random.Generator) -> tuple[Tensor, Figures]:
        """Predict the next viewpoint at every viewpoint of the paths: the sum of three losses."""
        network = self.model.network
        paths = self._paths(examples)
        nodes, views = paths.inputs(network, examples.features)
        device = nodes.features.device
        text = network.read(cropped(examples.tokens).to(device))
        owners = torch.from_numpy(paths.episodes).to(device)
        scores = network.score(text.rows(owners), nodes, views)
        targets = torch.from_numpy(paths.targets).to(device)
        local = torch.from_numpy(paths.paths.local_targets[paths.states]).to(device)
        loss = _mean(action_losses(scores, targets, local).total)
        figures = {"actions": loss.item(), "agreement": agreement_share(scores.decision, targets)}
        return loss, figures

    def masked_views(
        self, examples: PathExamples, rng: np.random.Generator
    ) -> tuple[Tensor, Figures]:
        """Predict the class probabilities of masked views at a viewpoint of each path."""
        assert self._class_scores is not None
        network = self.model.network
        paths, geometry = self._paths(examples), examples.features.geometry
        drawn = paths.drawn(rng)
        state = paths.paths.state
        width = int(geometry.token_counts[state.viewpoints].max())
        real = np.arange(width) < geometry.token_counts[state.viewpoints][:, None]
        # Instructions of the same path share a panorama and its masks.
        places = np.unique(paths.states[drawn])
        hidden = np.zeros(real.shape, bool)
        hidden[places] = choose(real[places], self._config.mask_rate, rng)
        nodes, views = paths.inputs(network, examples.features, drawn, hidden)
        device = nodes.features.device
        text = network.read(cropped(examples.tokens).to(device))
        at = state.viewpoints[paths.states[drawn]]
        chosen = torch.from_numpy(geometry.token_views[at, :width]).to(device)
        scores = self._class_scores[torch.from_numpy(at).to(device)].float()
        probabilities = scores.softmax(2).gather(
            1, chosen[..., None].expand(-1, -1, scores.shape[2])
        )
        masked = torch.from_numpy(hidden[paths.states[drawn]]).to(device)
        loss = _mean(self.model.masked_view_losses(text, views, masked, probabilities))
        return loss, {"masked_views": loss.item()}

    def objects(self, examples: PathExamples, rng: np.random.Generator) -> tuple[Tensor, Figures]:
        """Predict the target objects at the ends of the paths; a path without one has loss 0."""
        network, targets = self.model.network, examples.objects
        assert targets is not None
        paths, geometry = self._paths(examples), examples.features.geometry
        last = paths.last()
        nodes, views = paths.inputs(network, examples.features, last)
        device = nodes.features.device
        text = network.read(cropped(examples.tokens).to(device))
        owners = examples.episodes[paths.episodes[last]]
        tokens = torch.from_numpy(target_tokens(targets, geometry, owners, paths.places[last])).to(
            device
        )
        loss = _mean(self.model.object_losses(text, views, tokens))
        return loss, {"objects": loss.item()}

    def _paths(self, examples: PathExamples) -> PathBatch:
        revisits = self.model.network.config.revisits
        return path_batch(examples.features, examples.references, examples.episodes, revisits)


def _mean(losses: Tensor) -> Tensor:
    """Return this rank's share of the mean over the losses (M,) of all ranks."""
    return losses.sum() / distributed.mean_over_ranks(len(losses), losses.device)


class MapPretrainingLearner(WalkingLearner):
    """A map transformer with the heads of pre-training, and the paths to learn from.

    Runs contain the network without the heads.
    """

    config: MapPretrainConfig
    network: PretrainingLoss

    def __init__(self, config: MapPretrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.data_metadata = feature_metadata(config)
        self.env = make_env(config, "train", run_tokenizer(config))
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self._split = SplitPaths(config, self.env)
        self._generated = None if config.speaker is None else GeneratedPaths(config, self.env)
        scores = _class_scores(config, self.env)
        network = make_map_transformer(config, self.env)
        reserve_text_states(network.text, [self.env, *self.evaluation_envs.values()])
        classes = 0 if scores is None else scores.shape[2]
        model = PretrainingModel(network, classes).to(config.device)
        self.model = self.saved = network
        if config.resume is None:  # otherwise the trainer restores all of it
            fit_features(self.model, self.env)
            if config.start_from is not None:
                start_from(config.start_from, config, self.model, self.env, make_map_transformer)
        self.network = PretrainingLoss(model, config, self.env.tokenizer, scores)
        self.clipped: list[nn.Module] = [model]
        self.optimiser = make_group_optimiser(decay_groups(model), config.optimiser)
        # A task uses some of the weights. With a gradient of zero, instead of none, momentum and
        # weight decay would change the others.
        self._loss = distributed.wrap_ddp(self.network, find_unused=True)

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of a batch of one task and return the figures to log."""
        config = self.config
        rng = Stream.MAP_PRETRAINING.rng(config.seed, iteration)
        names = get_args(Task)
        weights = np.array([getattr(config, name) for name in names])
        task = names[int(rng.choice(len(names), p=weights / weights.sum()))]
        source = self._split
        if rng.random() < config.generated_share and self._generated is not None:
            source = self._generated
        rng = Stream.MAP_PRETRAINING.rng(config.seed, iteration, 1 + distributed.rank())
        loss, figures = self._loss(task, source.batch(iteration), rng)
        loss.backward()
        return figures

    def agent(self, split: str) -> MapAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])


def _class_scores(config: MapPretrainConfig, env: VlnVectorEnv) -> Tensor | None:
    """Return the logits (V, 36, C) of the classes of all views of the training world."""
    if config.class_scores is None:
        return None
    store = open_store(config.class_scores)
    return world_features(env.nav_world, store, torch.device(config.device))


@distributed.destroys_process_group
def pretrain(config: MapPretrainConfig) -> dict[str, Summary]:
    """Pre-train a map agent, evaluate its best weights and write RUN/results.json."""
    return train_and_evaluate(
        *make_agent_trainer(MapPretrainingLearner, config),
        lambda summary: f"SR {100 * summary['SR']:.1f}, SPL {100 * summary['SPL']:.1f}",
    )
