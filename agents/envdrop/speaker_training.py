"""Training of a speaker; BLEU against human instructions selects the best weights."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.environments import (
    feature_metadata,
    fit_scale,
    make_env,
    make_evaluation_envs,
)
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.envdrop.path_recording import DescribedPaths, record_paths
from clipnav.agents.envdrop.settings import SpeakerTrainConfig
from clipnav.agents.envdrop.speaker import Speaker
from clipnav.agents.layers.encoders import PAD
from clipnav.agents.layers.visual import VisualNoise
from clipnav.agents.learning.agent_learner import (
    AgentLearner,
    make_agent_trainer,
    mixed_precision,
    train_and_evaluate,
)
from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.metrics.bleu import corpus_bleu
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer, split_words
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.checkpoints import VOCABULARY, load_model, model_metadata
from clipnav.training.learners import Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.settings import read_config

_LANGUAGES = "languages"  # key in the metadata of the weights


class SpeakerLoss(nn.Module):
    """The cross-entropy of human instructions under a speaker."""

    def __init__(self, speaker: Speaker, config: SpeakerTrainConfig) -> None:
        super().__init__()
        self.speaker = speaker
        self._config = config

    def forward(self, paths: DescribedPaths, languages: Tensor) -> Tensor:
        """Return the loss of this rank; its mean over ranks is the mean over all words."""
        speaker, views = self.speaker, paths.views
        tokens = torch.from_numpy(paths.tokens).to(languages.device)
        noise = None
        if self.training:
            config, width = speaker.config, speaker.visual + speaker.angle
            rate, kind = config.feature_dropout, config.feature_dropout_kind
            scans = torch.from_numpy(paths.scans).to(languages.device)
            noise = VisualNoise(rate, kind, speaker.visual, width, scans).rows(views.rows)
        with mixed_precision(speaker, self._config):
            log_probs = speaker.log_probs(speaker.encode(views, noise), tokens, languages)
        words = int((tokens[:, 1:] != PAD).sum())
        return -log_probs.float().sum() / distributed.mean_over_ranks(words, tokens.device)


class GeneratedInstruction(NamedTuple):
    """A generated instruction, with the speaker's score of a human instruction of the same path.

    Attributes:
        log_prob: Log-probability of the human instruction.
        reference_tokens: Number of tokens of the human instruction, without the start token.
    """

    words: list[str]
    log_prob: float
    reference_tokens: int


class SpeakerLearner(AgentLearner):
    """A speaker, and the paths to learn from."""

    network: SpeakerLoss

    def __init__(self, config: SpeakerTrainConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.env = make_env(config, "train", run_tokenizer(config))
        self.features = DeviceFeatures(self.env, config.device)
        self.evaluation_envs = make_evaluation_envs(config, self.env.tokenizer)
        self.languages = sorted({base_language(e.language) for e in self.env.episodes})
        languages = " ".join(self.languages)
        self.data_metadata = {**feature_metadata(config), _LANGUAGES: languages}
        self.speaker = self.saved = make_speaker(
            config, self.env, len(self.env.tokenizer), len(self.languages)
        )
        if config.resume is None:  # otherwise the trainer restores it
            fit_scale(self.speaker.scale, self.env)
        self.network = SpeakerLoss(self.speaker, config)
        self.clipped: list[nn.Module] = [self.speaker.encoder, self.speaker.decoder]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        self._loss = distributed.wrap_ddp(self.network)
        self._episode_languages = {e.instr_id: base_language(e.language) for e in self.env.episodes}
        self._order = BucketedBatchOrder(
            list(self._episode_languages),
            [len(episode.instruction) for episode in self.env.episodes],
            config.batch_size * distributed.world_size(),
            config.bucket,
            config.seed,
        )

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of a batch and return the figures to log."""
        ids = self._order.batch(iteration)[distributed.rank() :: distributed.world_size()]
        languages = self._language_ids([self._episode_languages[instr_id] for instr_id in ids])
        loss = self._loss(record_paths(self.env, self.features, ids), languages)
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return BLEU, loss and mean length of greedy instructions on the evaluation splits.

        BLEU compares with all human instructions of a path. "BLEU_shortest" has the brevity penalty
        of EnvDrop, and is to be compared with the BLEU of published speakers.
        """
        return {split: self._evaluate_split(env) for split, env in self.evaluation_envs.items()}

    def _evaluate_split(self, env: VlnVectorEnv) -> Summary:
        share = by_path(env.episodes)[distributed.rank() :: distributed.world_size()]
        with torch.inference_mode():
            generated = self._generate(env, [episodes[0] for episodes in share])
        references = [[split_words(e.instruction) for e in episodes] for episodes in share]
        parts = distributed.all_gather(list(zip(generated, references, strict=True)))
        pairs = [pair for part in parts for pair in part]
        sentences = [generated.words for generated, _ in pairs]
        references = [own for _, own in pairs]
        tokens = sum(generated.reference_tokens for generated, _ in pairs)
        return {
            "BLEU": corpus_bleu(sentences, references),
            "BLEU_shortest": corpus_bleu(sentences, references, "shortest"),
            "loss": -sum(generated.log_prob for generated, _ in pairs) / tokens,
            "words": float(np.mean([len(sentence) for sentence in sentences])),
        }

    def _generate(
        self, env: VlnVectorEnv, episodes: Sequence[Episode]
    ) -> list[GeneratedInstruction]:
        """Generate an instruction for the path of each episode, and score the human one."""
        features = DeviceFeatures(env, self.config.device)
        generated: list[GeneratedInstruction] = []
        for start in range(0, len(episodes), env.num_envs):
            batch = episodes[start : start + env.num_envs]
            paths = record_paths(env, features, [e.instr_id for e in batch])
            languages = self._language_ids([base_language(e.language) for e in batch])
            context = self.speaker.encode(paths.views)
            tokens = torch.from_numpy(paths.tokens).to(languages.device)
            log_probs = self.speaker.log_probs(context, tokens, languages).sum(1).tolist()
            lengths = (paths.tokens[:, 1:] != PAD).sum(1).tolist()
            longest = self.config.longest_decoded
            texts = map(env.tokenizer.decode, self.speaker.generate(context, languages, longest))
            generated += map(GeneratedInstruction, map(split_words, texts), log_probs, lengths)
        return generated

    def _language_ids(self, languages: Sequence[str]) -> Tensor:
        return language_ids(self.languages, languages).to(self.config.device)


def language_ids(known: Sequence[str], languages: Sequence[str]) -> Tensor:
    """Return the indices (B,) of languages among those of a speaker."""
    unknown = set(languages) - set(known)
    if unknown:
        raise UserError(
            f"the speaker was trained on {' '.join(known) or 'no language'}, not on "
            f"{' '.join(sorted(unknown))}; train one on these languages"
        )
    return torch.tensor([known.index(language) for language in languages])


def by_path(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Group the episodes that describe the same path in the same language."""
    paths: dict[tuple[int, str], list[Episode]] = {}
    for episode in episodes:
        paths.setdefault((episode.path_id, base_language(episode.language)), []).append(episode)
    return list(paths.values())


def make_speaker(
    config: SpeakerTrainConfig, env: VlnVectorEnv, vocabulary: int, languages: int
) -> Speaker:
    """Build an untrained speaker for an environment."""
    visual = 0 if env.feature_store is None else env.feature_store.width
    angle = config.angle_feature_size
    speaker = Speaker(vocabulary, visual, angle, languages, config.speaker)
    return speaker.to(config.device)


class LoadedSpeaker(NamedTuple):
    """A trained speaker.

    Attributes:
        longest_encoded: Maximum number of tokens of a given instruction.
        longest_decoded: Maximum number of tokens of a generated instruction.
    """

    network: Speaker
    languages: list[str]
    tokenizer: Tokenizer
    longest_encoded: int
    longest_decoded: int

    def token_ids(self, instructions: Sequence[str]) -> np.ndarray:
        """Return the token ids (B, L) int32 of instructions."""
        length = self.longest_encoded
        return np.stack([self.tokenizer.encode(text, length) for text in instructions])

    def language_ids(self, languages: Sequence[str]) -> Tensor:
        """Return the ids (B,) of languages, on the device of the speaker."""
        device = self.network.decoder.word.weight.device
        return language_ids(self.languages, languages).to(device)


def load_speaker(
    run: Path, env: VlnVectorEnv, metadata: Mapping[str, str], device: str
) -> LoadedSpeaker:
    """Load the speaker of a run."""
    config = replace(read_config(run, SpeakerTrainConfig), device=device)
    if config.angle_feature_size != env.angle_feature_size:
        raise UserError(
            f"{run}: the speaker reads angle features of width {config.angle_feature_size}, but "
            f"those of this run have width {env.angle_feature_size}; give the same "
            "--angle-feature-size to both trainings"
        )
    languages = model_metadata(run).get(_LANGUAGES, "").split()
    language_ids(languages, [base_language(episode.language) for episode in env.episodes])
    tokenizer = load_run_tokenizer(run / VOCABULARY)
    speaker = make_speaker(config, env, len(tokenizer), len(languages))
    load_model(run, speaker, metadata)
    lengths = config.max_instruction_length, config.longest_decoded
    return LoadedSpeaker(speaker.eval(), languages, tokenizer, *lengths)


@distributed.destroys_process_group
def train_speaker(config: SpeakerTrainConfig) -> dict[str, Summary]:
    """Train a speaker, evaluate its best weights, print the results and write RUN/results.json."""
    return train_and_evaluate(
        *make_agent_trainer(SpeakerLearner, config),
        lambda summary: ", ".join(f"{name} {value:.3f}" for name, value in summary.items()),
    )
