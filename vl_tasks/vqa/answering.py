"""Answering questions about any picture with the model of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from training.checkpoints import VOCABULARY, load_model
from training.devices import check_device
from training.settings import read_config
from vl_tasks.grids.regions import RegionSource
from vl_tasks.grids.sources import pictures_source
from vl_tasks.settings.configs import VqaConfig
from vl_tasks.text.sentences import Sentences
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.vqa.answers import AnswerVocabulary
from vl_tasks.vqa.learning import ANSWERS, Source
from vl_tasks.vqa.networks import VqaNetwork


@dataclass(frozen=True)
class OpenedRun:
    """The model of a run and what it needs to answer questions about one picture, number 0.

    Attributes:
        config: The run's.
        words: Of its questions.
        answers: That it knows.
        source: Sees the picture.
        network: In evaluation mode.
        device: Where it computes.
    """

    config: VqaConfig
    words: Vocabulary
    answers: AnswerVocabulary
    source: Source
    network: VqaNetwork
    device: str

    def tokens(self, questions: Sequence[str]) -> torch.Tensor:
        """Questions as the network reads them."""
        sentences = Sentences(questions, self.words, self.config.words)
        return sentences.batch(np.arange(len(questions)), whole=self.config.faithful).to(
            self.device
        )


def open_run(
    run: Path, image: Path, device: str = "cpu", precision: str | None = None
) -> OpenedRun:
    """Load the model of a run for a picture.

    Args:
        run: Folder of the run.
        image: The picture, or the .npz of its regions where the model sees those.
        device: Where to compute.
        precision: Of the encoder, if not the run's.

    Raises:
        FileNotFoundError: The folder is no run.
        ValueError: The run is of another task or damaged.
    """
    config = read_config(run, VqaConfig)
    if precision is not None:
        config = replace(config, grids=replace(config.grids, precision=precision))
    words = Vocabulary.load(run / VOCABULARY, config.tokenizer)
    answers = AnswerVocabulary.load(run / ANSWERS)
    source: Source
    if config.vision and config.regions is not None:
        check_device(device)
        source = RegionSource({0: image})
    else:
        source = pictures_source(config, {0: image}, device)
    network = VqaNetwork(config, source.channels, len(words), len(answers))
    load_model(run, network, dict(source.metadata))
    return OpenedRun(config, words, answers, source, network.to(device).eval(), device)


def answer_questions(
    run: Path, image: Path, questions: Sequence[str], count: int = 5, device: str = "cpu"
) -> list[list[tuple[str, float]]]:
    """The likeliest answers to each question, with the score 0..1 that the model gives them.

    Args:
        run: Folder of the run.
        image: The picture.
        questions: About it.
        count: How many answers to each.
        device: Where to compute.

    Raises:
        FileNotFoundError: The folder is no run, or the picture is not there.
        ValueError: The run is of another task or damaged, or the picture cannot be read.
    """
    opened = open_run(run, image, device)
    answers = opened.answers
    tokens = opened.tokens(questions)
    grids = opened.source.batch([0] * len(questions)).to(device)
    with torch.inference_mode():
        best = opened.network(grids, tokens).sigmoid().topk(min(count, len(answers)))
    return [
        [(answers.answers[k], score) for score, k in zip(scores, classes, strict=True)]
        for scores, classes in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
