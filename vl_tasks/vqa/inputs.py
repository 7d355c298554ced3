"""Inputs of VQA networks: features of frozen encoders, or the images themselves."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from clipnav.training import distributed
from clipnav.training.checkpoints import VOCABULARY
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning, ImageSentences
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.grids.regions import RegionSource
from clipnav.vl_tasks.grids.sources import BlindSource, GridSource, fit_scale
from clipnav.vl_tasks.settings.configs import QuestionConfig
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.sentences import Sentences, initialise_from_glove
from clipnav.vl_tasks.text.vocabulary import Vocabulary
from clipnav.vl_tasks.vqa.answers import AnswerVocabulary
from clipnav.vl_tasks.vqa.networks import VqaNetwork

Source = GridSource | RegionSource | BlindSource


class ImageQuestion(Protocol):
    """A question about an image."""

    @property
    def text(self) -> str:
        """Text of the question."""
        ...

    @property
    def question_id(self) -> Any:
        """Id of the question."""
        ...

    @property
    def image_id(self) -> Any:
        """Id of the image."""
        ...


class FeatureInputs:
    """A network over features of images and token ids of questions.

    Args:
        config: Settings of the run.
        source: Features of the images.
        words: Vocabulary of the questions.
        classes: Number of answers.
    """

    def __init__(
        self, config: QuestionConfig, source: Source, words: Vocabulary, classes: int
    ) -> None:
        self.config, self.source, self.words = config, source, words
        network = VqaNetwork(config, source.channels, len(words), classes)
        self.network = network.to(config.device)
        self.metadata = dict(source.metadata)

    def initialise(self, images: Sequence[Any]) -> None:
        """Fit the feature scale to images, and load GloVe embeddings, in a new network."""
        if self.config.standardise:
            fit_scale(self.network.scale, self.source, images)
        if self.config.glove is not None:
            initialise_from_glove(self.network.reasoner.word_vectors, self.config.glove, self.words)

    def encode(self, questions: Sequence[ImageQuestion]) -> Sentences:
        """Convert questions to token ids."""
        return Sentences([one.text for one in questions], self.words, self.config.max_words)

    def batch(
        self, questions: Sequence[ImageQuestion], encoded: Sentences, rows: np.ndarray
    ) -> tuple[Grids, Tensor]:
        """Return grids and token ids (B, T) of the questions `rows`, on the device."""
        device = self.config.device
        grids = self.source.batch([questions[row].image_id for row in rows])
        return grids.to(device), encoded.batch(rows, whole=self.config.faithful).to(device)

    def compute(
        self, questions: Sequence[ImageQuestion], encoded: Sentences, rows: np.ndarray
    ) -> Tensor:
        """Compute the logits of the questions `rows`; see `VqaNetwork`."""
        return self.network(*self.batch(questions, encoded, rows))

    def logits(self, questions: Sequence[ImageQuestion]) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, classes) of all questions."""
        self.network.eval()
        encoded = self.encode(questions)
        for rows in in_batches(len(questions), self.config.evaluation_batch_size):
            with torch.inference_mode():
                logits = self.compute(questions, encoded, rows)
            yield rows, logits

    def start(self, run: Path) -> None:
        """Write the vocabulary of a new run."""
        self.words.save(run / VOCABULARY)


class FineTuningInputs(FineTuning):
    """A pre-trained CLIP-ViL_p over images and questions.

    Args:
        config: Settings of the run.
        answers: Answer vocabulary.
        images: Image files by id.
        run: Folder of an existing run of the task; None for a new one.
        texts: Training questions, see `FineTuning`.
    """

    def __init__(
        self,
        config: QuestionConfig,
        answers: AnswerVocabulary,
        images: Mapping[Any, Path],
        run: Path | None,
        texts: Sequence[str] = (),
    ) -> None:
        super().__init__(config, answers.answers, run, texts)
        self._images = images
        if self.known is not None and distributed.rank() == 0:
            print(f"{self.known} of {len(answers)} answers have pre-trained weights")

    def encode(self, questions: Sequence[ImageQuestion]) -> ImageSentences:
        """Prepare questions about images."""
        paths = [self._images[one.image_id] for one in questions]
        return self.sentences(paths, [one.text for one in questions])

    def logits(self, questions: Sequence[ImageQuestion]) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, classes) of all questions, each exactly once."""
        return self.logits_of(self.encode(questions))


def best_answers(
    inputs: FeatureInputs | FineTuningInputs,
    answers: AnswerVocabulary,
    questions: Sequence[ImageQuestion],
) -> dict[Any, str]:
    """Return the most probable answer to each question by question id."""
    return {
        questions[row].question_id: answers.answers[k]
        for rows, logits in inputs.logits(questions)
        for row, k in zip(rows, logits.argmax(1).tolist(), strict=True)
    }
