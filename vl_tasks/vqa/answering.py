"""Answer questions about any image with the model of a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from training.checkpoints import VOCABULARY, load_model
from training.devices import check_device
from training.settings import read_config
from vl_tasks.grids.regions import RegionSource
from vl_tasks.grids.sources import uncached_source
from vl_tasks.settings.configs import VqaConfig
from vl_tasks.text.sentences import Sentences
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.vqa.answers import AnswerVocabulary
from vl_tasks.vqa.inputs import Source
from vl_tasks.vqa.learning import ANSWERS
from vl_tasks.vqa.networks import VqaNetwork


@dataclass(frozen=True)
class OpenedRun:
    """Model of a run with its vocabularies, and the features of one image (image id 0).

    Attributes:
        config: Settings of the run.
        words: Vocabulary of the questions.
        answers: Answer vocabulary.
        source: Features of the image.
        network: Network in evaluation mode.
        device: Device of the network.
    """

    config: VqaConfig
    words: Vocabulary
    answers: AnswerVocabulary
    source: Source
    network: VqaNetwork
    device: str

    def tokens(self, questions: Sequence[str]) -> torch.Tensor:
        """Return the token ids (B, T) of questions."""
        sentences = Sentences(questions, self.words, self.config.words)
        return sentences.batch(np.arange(len(questions)), whole=self.config.faithful).to(
            self.device
        )


def open_run(
    run: Path, image: Path, device: str = "cpu", precision: str | None = None
) -> OpenedRun:
    """Load the model of a run for one image.

    Args:
        run: Folder of the run.
        image: Image file, or .npz file of region features for a model that uses regions.
        device: Device of the model.
        precision: Precision of the encoder; default: the run's setting.

    Raises:
        FileNotFoundError: The folder is not a run.
        ValueError: The run belongs to another task or is damaged.
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
        source = uncached_source(config, {0: image}, device)
    network = VqaNetwork(config, source.channels, len(words), len(answers))
    load_model(run, network, dict(source.metadata))
    return OpenedRun(config, words, answers, source, network.to(device).eval(), device)


def answer_questions(
    run: Path, image: Path, questions: Sequence[str], count: int = 5, device: str = "cpu"
) -> list[list[tuple[str, float]]]:
    """Return the most probable answers to each question, with their scores 0..1.

    Args:
        run: Folder of the run.
        image: Image file, or .npz file of region features for a model that uses regions.
        questions: Questions about the image.
        count: Number of answers per question.
        device: Device of the model.

    Raises:
        FileNotFoundError: The folder is not a run, or the image file does not exist.
        ValueError: The run belongs to another task or is damaged, or the image cannot be read.
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
