"""Training of CLEAR's language representation on paired sentences."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from clipnav.agents.clear.language_data import PairBatches, PathInstructions, split_episodes
from clipnav.agents.clear.language_network import (
    LanguageRepresentation,
    embed,
    make_language_network,
)
from clipnav.agents.clear.losses import nt_xent
from clipnav.agents.clear.retrieval import mean_summary, ranks, summary
from clipnav.agents.clear.settings import LanguageConfig
from clipnav.envs.tokenizers import (
    PretrainedTokenizer,
    SubwordTokenizer,
    Tokenizer,
    load_run_tokenizer,
)
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.checkpoints import VOCABULARY
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import decay_groups, make_group_optimiser
from clipnav.training.streams import Stream


class LanguageLearner(SavedNetwork):
    """Contrastive learning over the instructions of one path."""

    noise = Stream.LANGUAGE_NOISE
    untrained = "initial"  # what `evaluate_untrained` evaluates
    network: LanguageRepresentation

    def __init__(self, config: LanguageConfig) -> None:
        self.config = config
        self.selection = Selection(config.select_by, config.select_metric)
        self.metadata = {}
        files = world_files(config.world, config.data_dir)
        episodes = split_episodes(config, files, "train")
        self.tokenizer = _tokenizer(config, [episode.instruction for episode in episodes])
        length = config.max_instruction_length
        train = PathInstructions(episodes, self.tokenizer, length)
        world_size = distributed.world_size()
        size, seed = config.batch_size, config.seed
        self._batches = PairBatches(train, config.partner, size, seed, world_size)
        self.evaluation = {
            split: PathInstructions(split_episodes(config, files, split), self.tokenizer, length)
            for split in config.evaluation_splits
        }
        self.network = make_language_network(config, self.tokenizer).to(config.device)
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_group_optimiser(decay_groups(self.network), config.optimiser)
        self._parallel = distributed.wrap_ddp(self.network)

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch of pairs and return the figures to log."""
        world_size = distributed.world_size()
        first, second = self._batches.batch(iteration, distributed.rank(), world_size)
        tokens = torch.cat([first, second]).to(self.config.device)
        # One call for both, because DistributedDataParallel expects one per update.
        anchors, partners = self._parallel(tokens).chunk(2)
        anchors, partners = distributed.gather_rows(anchors), distributed.gather_rows(partners)
        if self.config.centre:
            mean = torch.cat([anchors, partners]).mean(0)
            anchors, partners = anchors - mean, partners - mean
        loss = nt_xent(anchors, partners, self.config.temperature, self.config.symmetric)
        weight = self.config.contrastive_weight
        (weight * world_size * loss).backward()
        return {"loss": weight * loss.item(), "contrastive": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of every split and of its pairs of languages."""
        summaries: dict[str, Summary] = {}
        for split, data in self.evaluation.items():
            summaries |= retrieval(self.network, data, split, self.config)
        return summaries

    def evaluate_untrained(self) -> Mapping[str, Summary]:
        """Return the retrieval figures of the initial weights, which replace the trained ones."""
        torch.manual_seed(self.config.seed)
        initial = make_language_network(self.config, self.tokenizer)
        self.network.load_state_dict(initial.state_dict())
        return self.evaluate()

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.tokenizer.save(run / VOCABULARY)


def retrieval(
    network: LanguageRepresentation, data: PathInstructions, split: str, config: LanguageConfig
) -> dict[str, Summary]:
    """Return the retrieval figures of a split, and of its pairs of languages.

    An instruction searches for that of its path among those of all paths of the split. `log_prob`
    is the negative contrastive loss in batches of the size of the training.
    """
    embeddings = embed(network, data.tokens, config.centre)
    figures: dict[str, Summary] = {}
    for task in data.tasks():
        queries, candidates = embeddings[task.queries], embeddings[task.candidates]
        own = np.arange(len(queries))
        figures_of_task = summary(ranks(queries.numpy(), candidates.numpy(), own), len(candidates))
        losses = [
            nt_xent(one, other, config.temperature, config.symmetric).item() * len(one)
            for one, other in zip(
                queries.split(config.batch_size), candidates.split(config.batch_size), strict=True
            )
        ]
        figures[f"{split}/{task.name}"] = {
            **figures_of_task,
            "log_prob": -sum(losses) / len(queries),
        }
    if not figures:
        raise UserError(
            f"split {split} has no two paths with two instructions each; choose other "
            "--evaluation-splits, or more --languages"
        )
    return {split: mean_summary(list(figures.values())), **(figures if len(figures) > 1 else {})}


def _tokenizer(config: LanguageConfig, sentences: list[str]) -> Tokenizer:
    """Return the saved tokenizer of a run that is resumed, or build that of a new run."""
    if config.resume is not None:
        return load_run_tokenizer(config.resume / VOCABULARY)
    if config.encoder.model is not None:
        return PretrainedTokenizer(config.encoder.model)
    return SubwordTokenizer.build(sentences, config.encoder.vocabulary_size)
