"""Outputs of a frozen VQA model on questions, computed once and cached on disk.

An entry of the cache is a safetensors file below $CLIPNAV_CACHE/vqa_outputs. Its name is a digest
of the weights, the settings, the vocabularies, the questions and the versions of the images.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from clipnav.storage import atomic_write, cache_dir, file_sha256
from clipnav.storage.locks import waiting_lock
from clipnav.storage.progress import progress_bar
from clipnav.storage.tensor_files import header_bytes, read_header
from clipnav.training.checkpoints import MODEL, VOCABULARY
from clipnav.vl_tasks.classification.inputs import FeatureInputs
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.clip_vil_p.data.grouped_order import exact_batches
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTunedNetwork, FineTuning
from clipnav.vl_tasks.clip_vil_p.optimisers import autocast
from clipnav.vl_tasks.data.images import image_version
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.networks.attention import JointVectors
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.vqa.answering import open_run
from clipnav.vl_tasks.vqa.settings import VqaConfig

Named = dict[str, Tensor]
SCORES = "scores"
# Order in which a selector joins the embedded outputs.
INPUTS = ("image", "question", "fused", SCORES)
_FORMAT = "clipnav vqa outputs 2"
# Settings of a run that its outputs do not depend on.
_WITHOUT_INFLUENCE = (
    "data images optimiser iterations minutes batch_size evaluate_every evaluation_batch_size "
    "select_by evaluation_splits submit output track config resume seed threads device start_from "
    "preset reduction answers min_count train_splits variant glove regions"
).split()


def joint_vectors(
    inputs: FeatureInputs | FineTuning, questions: Sequence[Question]
) -> Iterator[tuple[np.ndarray, Named]]:
    """Yield numbers (B,) and outputs (B, width) float32 by name, each question exactly once.

    A model without vision has no image vector.
    """
    inputs.network.eval()
    config = inputs.config
    if isinstance(inputs, FineTuning):
        sentences, settings = inputs.encode(questions), config.clip_vil_p
        keys = exact_batches(sentences.portrait, config.evaluation_batch_size)
        for rows, pictures, pieces in load_batches(sentences.maker.make, keys, settings.workers):
            with torch.inference_mode(), autocast(settings.precision, config.device):
                joined = join_stream(
                    inputs.network, pictures.to(config.device), pieces.to(config.device)
                )
            yield rows, _named(*joined, vision=True)
    else:
        encoded = inputs.encode(questions)
        for rows in in_batches(len(questions), config.evaluation_batch_size):
            with torch.inference_mode():
                joined = inputs.network.join(*inputs.batch(questions, encoded, rows))
            yield rows, _named(*joined, vision=config.vision)


def join_stream(
    network: FineTunedNetwork, pictures: Pictures, pieces: Tensor
) -> tuple[JointVectors, Tensor]:
    """Compute the vectors of sentences (B, T) about images, and the logits (B, classes).

    The vectors of image and question are maxima over grid cells and word pieces, as reliable_vqa
    has them for single-stream transformers.
    """
    grid, mask = network.trunk(pictures)
    states = network.stream(pieces, grid, mask, None)
    image = _masked_max(states.cells, mask.flatten(1))
    question = _masked_max(states.words, pieces != 0)
    return JointVectors(image, question, states.pooled), network.head(states.pooled)


def _masked_max(states: Tensor, mask: Tensor) -> Tensor:
    """Return the maximum (B, C) of states (B, N, C) where the mask (B, N) is True."""
    return states.masked_fill(~mask[..., None], -torch.inf).amax(1)


def _named(vectors: JointVectors, logits: Tensor, vision: bool) -> Named:
    named = {**vectors._asdict(), SCORES: logits}
    if not vision:
        del named["image"]
    return {name: values.float().cpu() for name, values in named.items()}


@dataclass(frozen=True, eq=False)
class Outputs:
    """Outputs of a model on N questions, memory-mapped.

    Attributes:
        arrays: Logits ("scores") and, if the model has them, vectors "image", "question" and
            "fused": (N, width) float32 by name.
    """

    arrays: Mapping[str, np.ndarray]

    @property
    def widths(self) -> dict[str, int]:
        """Width of each array by name, in the order of `INPUTS`."""
        return {name: self.arrays[name].shape[1] for name in INPUTS if name in self.arrays}

    def batch(self, rows: np.ndarray, names: Sequence[str] = INPUTS) -> dict[str, Tensor]:
        """Return the outputs (B, width) of questions by name."""
        return {
            name: torch.from_numpy(np.array(self.arrays[name][rows]))
            for name in names
            if name in self.arrays
        }


def model_digest(run: Path) -> str:
    """Return the SHA-256 of the weights of a run."""
    if not (run / MODEL).is_file():
        raise FileNotFoundError(f"{run / MODEL}: no such file; train the run first, or resume it")
    return file_sha256(run / MODEL)


def outputs_of(
    run: Path,
    config: VqaConfig,
    questions: Sequence[Question],
    images: Mapping[int, Path],
    device: str = "cpu",
) -> Outputs:
    """Return the outputs of a run on questions; compute them if they are not cached."""
    path = cache_dir() / "vqa_outputs" / f"{_key(run, config, questions, images)}.safetensors"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        with waiting_lock(path):
            if not path.is_file():
                _compute(path, run, questions, images, device)
    return Outputs(_mapped(path))


def compute_outputs(
    run: Path, questions: Sequence[Question], images: Mapping[int, Path], device: str = "cpu"
) -> Outputs:
    """Return the outputs of a run on a few questions without the cache; see `outputs_of`."""
    arrays: dict[str, np.ndarray] = {}
    for rows, batch in joint_vectors(open_run(run, images, device).inputs, questions):
        for name, values in batch.items():
            shape = (len(questions), values.shape[1])
            arrays.setdefault(name, np.zeros(shape, np.float32))[rows] = values
    return Outputs(arrays)


def _key(
    run: Path, config: VqaConfig, questions: Sequence[Question], images: Mapping[int, Path]
) -> str:
    settings = {k: v for k, v in asdict(config).items() if k not in _WITHOUT_INFLUENCE}
    files = [run / name for name in (MODEL, ANSWERS, VOCABULARY) if (run / name).is_file()]
    parts = [
        _FORMAT,
        json.dumps(settings, default=str, sort_keys=True),
        *(file_sha256(path) for path in files),
        json.dumps([[one.image_id, one.text] for one in questions]),
        *(f"{number} {image_version(images[number])}" for number in sorted(images)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _compute(
    path: Path, run: Path, questions: Sequence[Question], images: Mapping[int, Path], device: str
) -> None:
    """Write an entry of the cache."""
    inputs = open_run(run, images, device, cached=True).inputs
    batches = joint_vectors(inputs, questions)
    rows, first = next(batches)
    shapes = {name: (len(questions), values.shape[1]) for name, values in first.items()}
    header = header_bytes({n: ("F32", s) for n, s in shapes.items()}, {"format": _FORMAT})
    with (
        atomic_write(path) as beside,
        progress_bar(total=len(questions), desc="answering", unit="questions") as bar,
    ):
        size = len(header) + 4 * sum(count * width for count, width in shapes.values())
        with beside.open("wb") as file:
            file.write(header)
            file.flush()
            # Writing to a memory map on a full disk would end the process.
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
        for written in _fill(beside, chain([(rows, first)], batches)):
            bar.update(written)


def _fill(path: Path, batches: Iterable[tuple[np.ndarray, Named]]) -> Iterator[int]:
    """Write batches into a file, and yield the number of rows of each.

    The memory maps end with the iteration, because Windows cannot move a mapped file.
    """
    arrays = _mapped(path, "r+")
    for numbers, batch in batches:
        for name, values in batch.items():
            arrays[name][numbers] = values
        yield len(numbers)
    for array in arrays.values():
        array.flush()


def _mapped(path: Path, mode: Literal["r", "r+"] = "r") -> dict[str, np.memmap]:
    header, start = read_header(path)
    return {
        name: np.memmap(path, "<f4", mode, start + entry["data_offsets"][0], tuple(entry["shape"]))
        for name, entry in header.items()
        if name != "__metadata__"
    }
