"""Answering questions about any picture with the model of a run."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from storage.runs.checkpoints import VOCABULARY, load_model
from storage.runs.settings import read_config
from vl_tasks.configs import VqaConfig
from vl_tasks.features import pictures_source
from vl_tasks.sentences import Sentences
from vl_tasks.vocabulary import Vocabulary
from vl_tasks.vqa.answers import AnswerVocabulary
from vl_tasks.vqa.learning import ANSWERS
from vl_tasks.vqa.networks import VqaNetwork


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
    config = read_config(run, VqaConfig)
    words = Vocabulary.load(run / VOCABULARY)
    answers = AnswerVocabulary.load(run / ANSWERS)
    source = pictures_source(config, {0: image}, device)
    network = VqaNetwork(config, source.channels, len(words), len(answers))
    load_model(run, network, dict(source.notes))
    network.to(device).eval()
    sentences = Sentences(questions, words, config.words)
    tokens = sentences.batch(np.arange(len(questions)), whole=config.faithful).to(device)
    grids = source.batch([0] * len(questions)).to(device)
    with torch.inference_mode():
        best = network(grids, tokens).sigmoid().topk(min(count, len(answers)))
    return [
        [(answers.answers[k], score) for score, k in zip(scores, classes, strict=True)]
        for scores, classes in zip(best.values.tolist(), best.indices.tolist(), strict=True)
    ]
