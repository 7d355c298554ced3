"""Image captioning: cross-entropy, then self-critical training."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.vl_tasks.captioning.cider import CiderD
from clipnav.vl_tasks.captioning.decoding import caption_log_probabilities, sample, write_greedily
from clipnav.vl_tasks.captioning.metrics import evaluate_captions, score_captions
from clipnav.vl_tasks.captioning.settings import CaptionConfig
from clipnav.vl_tasks.captioning.writing import CaptionNetwork
from clipnav.vl_tasks.data.captions import (
    CaptionedImage,
    caption_images,
    caption_vocabulary,
    encode_captions,
    read_captions,
)
from clipnav.vl_tasks.data_folders import data_folder, image_folders
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.grids.sources import fit_scale, open_source
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.java import HINT, java_ready
from clipnav.vl_tasks.text.vocabulary import Vocabulary
from clipnav.vl_tasks.training import FinalScores, Task

Baseline = Literal["greedy", "samples"]


def cross_entropy(network: CaptionNetwork, grids: Grids, captions: Tensor) -> Tensor:
    """Compute the mean cross-entropy of the words of captions and of their ends."""
    scores, counts = caption_log_probabilities(network.captioner, network.scale(grids), captions)
    return -(scores * counts).sum() / counts.sum()


def self_critical(
    network: CaptionNetwork,
    grids: Grids,
    images: np.ndarray,
    statistics: CiderD,
    samples: int,
    baseline: Baseline,
) -> tuple[Tensor, dict[str, float]]:
    """Compute the loss of self-critical sequence training (Rennie et al., arXiv 1612.00563).

    Captions are sampled and scored without dropout, so that the gradient is that of the sampling
    policy; the original implementations sample with dropout.

    Args:
        images: (P,) index of each image in the statistics.
    """
    network.eval()
    captioner, banned = network.captioner, network.banned
    scaled = network.scale(grids)
    with torch.no_grad():
        captions = sample(captioner, scaled, samples, network.max_length, banned)
        rewards = statistics.rewards(np.repeat(images, samples), captions.cpu().numpy())
        rewards = rewards.reshape(-1, samples)  # (P, S)
        figures = {"reward": float(rewards.mean())}
        if baseline == "greedy":
            greedy = write_greedily(captioner, scaled, network.max_length, banned)
            compared = statistics.scores(images, greedy.cpu().numpy())[:, None]
            figures["greedy_reward"] = float(compared.mean())
        else:
            compared = mean_of_others(rewards)
    advantages = torch.from_numpy(rewards - compared).float().flatten().to(captions.device)
    scores, counts = caption_log_probabilities(captioner, scaled, captions, banned)
    # After the end, a banned word's minus infinity times 0 would be nan.
    scores = scores.masked_fill(~counts, 0.0)
    return -(advantages[:, None] * scores).sum() / counts.sum(), figures


def mean_of_others(rewards: np.ndarray) -> np.ndarray:
    """Return, for each sample (P, S), the mean reward of the image's other samples."""
    samples = rewards.shape[1]
    if samples < 2:
        raise UserError(
            "--baseline samples requires several samples per image; set --captions-per-image 2 or "
            "more"
        )
    return (rewards.sum(1, keepdims=True) - rewards) / (samples - 1)


class CaptionTask(Task):
    """Captioner with its training and evaluation images."""

    metric = "CIDEr-D"

    def __init__(self, config: CaptionConfig) -> None:
        if config.select_by == HELD_OUT:
            raise UserError("--select-by held-out: not supported for captions; set --select-by val")
        if config.tokenizer == "java" and not java_ready():
            raise FileNotFoundError(f"--tokenizer java: {HINT}; or set --tokenizer python")
        self.config = config
        folder = data_folder(config)
        path = _captions_file(folder)
        self.examples = read_captions(path, "train")
        self.records = len(self.examples)
        self.splits = {split: read_captions(path, split) for split in config.evaluated_splits}
        if config.submit is not None and config.submit not in self.splits:
            self.splits[config.submit] = read_captions(path, config.submit, secret=True)
        run = config.resume or config.start_from
        if run is not None:
            self.words = Vocabulary.load(run / VOCABULARY)
        else:
            self.words = caption_vocabulary(read_captions(path, secret=True), config.min_count)
        pictures: dict[int, Path] = {}
        if config.vision:
            images = [*self.examples, *(one for split in self.splits.values() for one in split)]
            pictures = caption_images(images, image_folders(config, folder))
        self.source = open_source(config, pictures)
        self.metadata = dict(self.source.metadata)
        self.network = CaptionNetwork(config, self.source.channels, len(self.words))
        self._captions, self._first = encode_captions(self.examples, self.words, config.max_words)
        self._statistics: CiderD | None = None
        if config.phase == "scst":
            # A reference that fills all columns has no end, as in the original.
            references = self._captions[:, : config.max_words]
            self._statistics = CiderD.build(
                references, self._first, len(self.words), end_counts=True
            )
        if config.resume is None and config.start_from is not None:
            load_model(config.start_from, self.network, self.metadata)
        elif config.resume is None and config.standardise:
            fit_scale(self.network.scale, self.source, [one.image_id for one in self.examples])
        self.network.to(config.device)

    def loss(self, rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of the training images `rows`."""
        config, device = self.config, self.config.device
        grids = self.source.batch([self.examples[row].image_id for row in rows]).to(device)
        each = config.captions_per_image
        if self._statistics is None:
            captions = torch.from_numpy(self._drawn(rows, each)).long().to(device)
            return cross_entropy(self.network, grids, captions), {}
        return self_critical(self.network, grids, rows, self._statistics, each, config.baseline)

    def score(self, split: str) -> dict[str, float]:
        """Score greedy captions of a split, with the tokens of the data file."""
        images = self.splits[split]
        references = {one.image_id: [" ".join(c) for c in one.captions] for one in images}
        return score_captions(self.write(images, beams=1), references)

    def write(self, images: Sequence[CaptionedImage], beams: int) -> dict[int, str]:
        """Generate one caption per image, by image id."""
        self.network.eval()
        texts: dict[int, str] = {}
        for rows in in_batches(len(images), self.config.evaluation_batch_size):
            ids = [images[row].image_id for row in rows]
            grids = self.source.batch(ids).to(self.config.device)
            with torch.inference_mode():
                captions = self.network.write(grids, beams).tolist()
            texts |= {
                one: " ".join(self.words.decode(caption))
                for one, caption in zip(ids, captions, strict=True)
            }
        return texts

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.words.save(run / VOCABULARY)

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the scores of a split, of greedy captions and of beam search."""
        config, images = self.config, self.splits[split]
        meteor = False if config.tokenizer == "python" else None
        references: Mapping[int, Sequence[str]] = {one.image_id: one.raw for one in images}
        for beams in sorted({1, config.beams}):
            captions = self.write(images, beams)
            scores = evaluate_captions(captions, references, config.tokenizer, meteor)
            listed = ", ".join(f"{name} {100 * v:.1f}" for name, v in scores.scores.items())
            text = f"{split} ({scores.images} images, beams {beams}): {listed}"
            yield FinalScores(f"{split}, beams {beams}", asdict(scores), text)

    def predictions(self, split: str) -> list[dict[str, Any]]:
        """Return the captions of the images of a split as records of a submission."""
        captions = self.write(self.splits[split], self.config.beams)
        return [{"image_id": key, "caption": text} for key, text in captions.items()]

    def _drawn(self, rows: np.ndarray, each: int) -> np.ndarray:
        """Draw captions (B * each, T) of images, without replacement if there are enough."""
        chosen = []
        for row in rows:
            count = int(self._first[row + 1] - self._first[row])
            order = torch.randperm(count)[:each]
            if count < each:
                order = torch.randint(count, (each,))
            chosen.append(self._first[row] + order.numpy())
        captions = self._captions[np.concatenate(chosen)]
        longest = int((captions != 0).sum(1).max())
        return captions[:, : longest + 1]


def _captions_file(folder: Path) -> Path:
    found = sorted(folder.glob("dataset*.json"))
    if not found:
        raise FileNotFoundError(
            f"{folder}: there is no dataset*.json in Karpathy's format; see docs/vl_tasks.md"
        )
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise UserError(f"{folder}: there are several captions files, {names}; keep one of them")
    return found[0]
