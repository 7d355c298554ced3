"""Training a speaker, and choosing the one whose words are most like those of people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from agents.acting.environments import (
    feature_metadata,
    fit_scale,
    make_env,
    make_evaluation_envs,
)
from agents.acting.speaking import Described, described_paths
from agents.acting.tokenizers import run_tokenizer
from agents.configs import SpeakerTrainConfig
from agents.envdrop.encoders import PAD
from agents.envdrop.speaker import Speaker
from agents.envdrop.visual import VisualNoise
from agents.learning.training import large_products, make_agent_trainer, prepare
from envs.episodes import Episode, base_language
from envs.metrics.bleu import corpus_bleu
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.tokenizers import Tokenizer, load_tokenizer, split_words
from training import distributed
from training.batches import BucketedBatchOrder
from training.checkpoints import VOCABULARY, load_model, model_metadata, save_model
from training.learners import Summary
from training.optimisers import make_optimiser
from training.settings import read_config

_LANGUAGES = "languages"  # a note beside the weights


class SpeakerLoss(nn.Module):
    """A speaker, called with the paths of a batch and what people say about them.

    Args:
        speaker: What learns to describe.
        config: Settings of the run.
    """

    def __init__(self, speaker: Speaker, config: SpeakerTrainConfig) -> None:
        super().__init__()
        self.speaker = speaker
        self._config = config

    def forward(self, described: Described, languages: Tensor) -> Tensor:
        """Mean cross-entropy of the words of all processes, times the share of this one's."""
        speaker, seen = self.speaker, described.seen
        tokens = torch.from_numpy(described.tokens).to(languages.device)
        noise = None
        if self.training:
            config, width = speaker.config, speaker.visual + speaker.angle
            rate, kind = config.feature_dropout, config.feature_dropout_kind
            scans = torch.from_numpy(described.scans).to(languages.device)
            noise = VisualNoise(rate, kind, speaker.visual, width, scans).rows(seen.rows)
        with large_products(speaker, self._config):
            log_probs = speaker.log_probs(speaker.encode(seen, noise), tokens, languages)
        words = int((tokens[:, 1:] != PAD).sum())
        share = distributed.total(words, tokens.device) / distributed.world_size()
        return -log_probs.float().sum() / share


class Spoken(NamedTuple):
    """What is said of a path, and the log-log_prob of the words that a person says of it."""

    words: list[str]
    log_prob: float
    heard_words: int


class SpeakerLearner:
    """A speaker and the paths that it learns to describe.

    Args:
        config: Settings of the run.
    """

    def __init__(self, config: SpeakerTrainConfig) -> None:
        self.config = config
        self.metric = config.select_metric
        self.env = make_env(config, "train", run_tokenizer(config))
        self.features = DeviceFeatures(self.env, config.device)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.languages = sorted({base_language(e.language) for e in self.env.episodes})
        self.metadata = {**feature_metadata(config), _LANGUAGES: " ".join(self.languages)}
        self.speaker = make_speaker(config, self.env, len(self.env.tokenizer), len(self.languages))
        fit_scale(self.speaker.scale, self.env)
        self.network = SpeakerLoss(self.speaker, config)
        self.clipped: list[nn.Module] = [self.speaker.encoder, self.speaker.decoder]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self._loss = distributed.wrap_ddp(self.network)
        self._spoken = {e.instr_id: base_language(e.language) for e in self.env.episodes}
        self._order = BucketedBatchOrder(
            list(self._spoken),
            [len(episode.instruction) for episode in self.env.episodes],
            config.batch_size * distributed.world_size(),
            config.bucket,
            config.seed,
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of a batch."""
        ids = self._order.batch(iteration)[distributed.rank() :: distributed.world_size()]
        languages = self._numbers([self._spoken[instr_id] for instr_id in ids])
        loss = self._loss(described_paths(self.env, self.features, ids), languages)
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """BLEU of greedy instructions against all of people's for the path, and loss."""
        return {split: self._evaluate_split(env) for split, env in self.evaluation_envs.items()}

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.env.tokenizer.save(run / VOCABULARY)

    def save_model(self, run: Path, iteration: int) -> None:
        """Write the speaker."""
        save_model(run, self.speaker, {**self.metadata, "iteration": str(iteration)})

    def load_model(self, run: Path) -> None:
        """Read the speaker."""
        load_model(run, self.speaker, self.metadata)

    def _evaluate_split(self, env: VlnVectorEnv) -> Summary:
        own = by_path(env.episodes)[distributed.rank() :: distributed.world_size()]
        with torch.inference_mode():
            spoken = self._describe(env, [episodes[0] for episodes in own])
        heard = [[split_words(e.instruction) for e in episodes] for episodes in own]
        parts = distributed.all_gather(list(zip(spoken, heard, strict=True)))
        told = [item for part in parts for item in part]
        said = [spoken.words for spoken, _ in told]
        words = sum(spoken.heard_words for spoken, _ in told)
        return {
            "BLEU": corpus_bleu(said, [heard for _, heard in told]),
            "loss": -sum(spoken.log_prob for spoken, _ in told) / words,
            "words": float(np.mean([len(sentence) for sentence in said])),
        }

    def _describe(self, env: VlnVectorEnv, episodes: Sequence[Episode]) -> list[Spoken]:
        """What the speaker says of paths, and how likely what a person says is to it."""
        features = DeviceFeatures(env, self.config.device)
        told: list[Spoken] = []
        for start in range(0, len(episodes), env.num_envs):
            batch = episodes[start : start + env.num_envs]
            described = described_paths(env, features, [e.instr_id for e in batch])
            languages = self._numbers([base_language(e.language) for e in batch])
            context = self.speaker.encode(described.seen)
            tokens = torch.from_numpy(described.tokens).to(languages.device)
            log_probs = self.speaker.log_probs(context, tokens, languages).sum(1).tolist()
            lengths = (described.tokens[:, 1:] != PAD).sum(1).tolist()
            longest = self.config.longest_decoded
            texts = map(env.tokenizer.decode, self.speaker.generate(context, languages, longest))
            told += map(Spoken, map(split_words, texts), log_probs, lengths)
        return told

    def _numbers(self, languages: Sequence[str]) -> Tensor:
        return language_numbers(self.languages, languages).to(self.config.device)


def language_numbers(known: Sequence[str], languages: Sequence[str]) -> Tensor:
    """(B,) numbers of languages among those that a speaker speaks.

    Raises:
        ValueError: It does not speak one of them.
    """
    odd = set(languages) - set(known)
    if odd:
        raise ValueError(
            f"the speaker speaks {' '.join(known)}, but not {' '.join(sorted(odd))}; train one on "
            "these languages"
        )
    return torch.tensor([known.index(language) for language in languages])


def by_path(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Episodes that describe the same path in the same language, together."""
    paths: dict[tuple[int, str], list[Episode]] = {}
    for episode in episodes:
        paths.setdefault((episode.path_id, base_language(episode.language)), []).append(episode)
    return list(paths.values())


def make_speaker(
    config: SpeakerTrainConfig, env: VlnVectorEnv, vocabulary: int, languages: int
) -> Speaker:
    """Untrained speaker of so many words and languages for an environment."""
    visual = 0 if env.feature_store is None else env.feature_store.width
    angle = config.angle_feature_size
    speaker = Speaker(vocabulary, visual, angle, languages, config.speaker)
    return speaker.to(config.device)


class LoadedSpeaker(NamedTuple):
    """A trained speaker.

    Attributes:
        network: in evaluation mode.
        languages: that it speaks, in their order.
        tokenizer: of its words.
        longest_read: tokens of an instruction that it reads at most.
        longest_decoded: tokens that it says at most.
    """

    network: Speaker
    languages: list[str]
    tokenizer: Tokenizer
    longest_read: int
    longest_decoded: int

    def tokens(self, instructions: Sequence[str]) -> np.ndarray:
        """(B, L) int32 instructions in its words."""
        return np.stack([self.tokenizer.encode(text, self.longest_read) for text in instructions])

    def numbers(self, languages: Sequence[str]) -> Tensor:
        """(B,) numbers of languages, on its device.

        Raises:
            ValueError: It does not speak one of them.
        """
        device = self.network.decoder.word.weight.device
        return language_numbers(self.languages, languages).to(device)


def load_speaker(
    run: Path, env: VlnVectorEnv, notes: Mapping[str, str], device: str
) -> LoadedSpeaker:
    """The speaker of a run.

    Args:
        run: Folder that train_speaker.py wrote.
        env: Environment that it is to speak in.
        notes: Of the features that it is to see (`feature_metadata`).
        device: Where it computes.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: Files are damaged, or do not fit the environment or its features.
    """
    config = read_config(run, SpeakerTrainConfig)
    languages = model_metadata(run).get(_LANGUAGES, "").split()
    tokenizer = load_tokenizer(run / VOCABULARY)
    speaker = make_speaker(config, env, len(tokenizer), len(languages)).to(device)
    load_model(run, speaker, notes)
    lengths = config.max_instruction_length, config.longest_decoded
    return LoadedSpeaker(speaker.eval(), languages, tokenizer, *lengths)


@distributed.destroys_process_group
def train_speaker(config: SpeakerTrainConfig) -> dict[str, Summary]:
    """Train, evaluate the best weights, print their figures and write RUN/results.json."""
    prepare(config)
    learner = SpeakerLearner(config)
    trainer = make_agent_trainer(config, learner)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    results = dict(learner.evaluate())
    trainer.report(results)
    if distributed.rank() == 0:
        for split, summary in results.items():
            figures = ", ".join(f"{name} {value:.3f}" for name, value in summary.items())
            print(f"{split}: {figures}")
        print(f"Run: {trainer.run}")
    return results
