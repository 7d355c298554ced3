"""CPU seconds and memory of a pre-training step of CLIP-ViL_p, compared with a baseline.

The sizes are those of the published RN50 model: images of 384 x 640, 100 drawn cells, BERT-base,
30,522 word pieces and 9,500 answers. Pixels and sentences are random. Our steps and those of the
baseline take turns in one process, with one thread; memory is measured in processes of their own.
Decoding of images is not included.
"""

import dataclasses
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from statistics import median
from typing import Any, NamedTuple

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, report
from plain_clip_vil_p import PlainNetwork, PlainTrainer
from transformers import BertConfig

from clipnav.encoders.weights.loading import load_image_tower
from clipnav.training.optimisers import clip_gradient
from clipnav.vl_tasks.clip_vil_p.building import build_bert
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import NONE, Batch
from clipnav.vl_tasks.clip_vil_p.data.pictures import Pictures
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork, total_loss
from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream
from clipnav.vl_tasks.clip_vil_p.networks.trunk import Trunk
from clipnav.vl_tasks.clip_vil_p.optimisers import JointOptimiser, autocast
from clipnav.vl_tasks.settings.networks import Precision
from clipnav.vl_tasks.specs import parse_task

BAR = 2 / 3  # CPU seconds of a step as a fraction of the baseline's
LENGTH = 20  # word pieces of the longest sentence
_PRECISIONS = ("fp32", "medium", "bf16")  # ours; the baseline computes in float32
_BASELINE = "baseline"


@dataclass(frozen=True)
class PretrainingBenchmark(BenchmarkConfig):
    """Measure a step of pre-training."""

    batch: int = 4
    """Pairs in a batch."""
    steps: int = 3
    """Steps per figure, after one to warm up."""
    seed: int = 0
    """Random seed."""


class Sizes(NamedTuple):
    """Sizes of networks and inputs."""

    encoder: str = "RN50"
    stream: tuple[int, int, int, int] = (768, 12, 12, 3072)
    pieces: int = 30_522
    answers: int = 9500
    height: int = 384
    width: int = 640
    cells: int | None = 100


SMALL = Sizes("house_clip", (32, 1, 2, 48), 200, 20, 64, 96, 4)


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(PretrainingBenchmark)
    if config.quick:
        config = dataclasses.replace(config, steps=1)
    figures = []
    for name in _PRECISIONS:
        ours, baseline = _in_process(compare, name, config)
        figures.append(Figure(f"step, {name}", ours, "CPU seconds"))
        figures.append(Figure(f"step, baseline beside {name}", baseline, "CPU seconds"))
        figures.append(Figure(f"{name} / baseline", ours / baseline, "", BAR, at_most=True))
    for name in (*_PRECISIONS, _BASELINE):
        figures.append(Figure(f"memory, {name}", _in_process(memory, name, config), "MiB"))
    report("vl_pretraining", figures, config.json)


def _in_process(work: Callable[..., Any], name: str, config: PretrainingBenchmark) -> Any:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(work, name, config).result()


def compare(name: str, config: PretrainingBenchmark) -> tuple[float, float]:
    """Return the median CPU seconds of our step and of the baseline's, which take turns."""
    steps = [make_step(kind, config) for kind in (name, _BASELINE)]
    times: list[list[float]] = [[], []]
    for number in range(config.steps + 1):
        for step, spent in zip(steps, times, strict=True):
            start = time.process_time()
            step()
            if number:  # the first step warms up
                spent.append(time.process_time() - start)
    return median(times[0]), median(times[1])


def memory(name: str, config: PretrainingBenchmark) -> float:
    """Return the peak memory in MiB of two steps."""
    step = make_step(name, config)
    step()
    step()
    return peak_memory()


def make_step(name: str, config: PretrainingBenchmark) -> Callable[[], None]:
    """Build a network, and return the function that trains it for one step."""
    torch.set_num_threads(1)
    torch.manual_seed(config.seed)
    sizes = SMALL if config.quick else Sizes()
    batch = random_batch(sizes, config.batch, config.seed)
    if name == _BASELINE:
        trainer = PlainTrainer(plain_network(our_network(sizes), sizes))
        train = partial(trainer.step, batch, LENGTH)
    else:
        train = _our_step(sizes, batch, name)

    def step() -> None:
        torch.set_float32_matmul_precision("medium" if name == "medium" else "highest")
        train()

    return step


def random_batch(sizes: Sizes, size: int, seed: int) -> Batch:
    """Make a batch with COCO's lengths of sentences: 8 to 18 word pieces."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(8, 19, size)
    pieces = rng.integers(5, sizes.pieces, (size, LENGTH))
    pieces[np.arange(LENGTH) >= lengths[:, None]] = 0
    masked = (rng.random((size, LENGTH)) < 0.15) & (pieces != 0)
    masked[:, 1] = True
    words = np.where(masked, pieces, NONE)
    longest = lengths.max()
    pixels = rng.integers(0, 256, (size, 3, sizes.height, sizes.width), np.uint8)
    boxes = np.tile([0, 0, sizes.height, sizes.width], (size, 1))
    answers = np.where(rng.random(size) < 0.5, rng.integers(sizes.answers, size=size), NONE)
    answers[0] = 1
    return Batch(
        Pictures(torch.from_numpy(pixels), torch.from_numpy(boxes)),
        torch.from_numpy(pieces[:, :longest].copy()),
        torch.from_numpy(words[:, :longest].copy()),
        torch.from_numpy(rng.integers(0, 2, size)),
        torch.from_numpy(answers),
    )


def our_network(sizes: Sizes, dropout: float = 0.1) -> PretrainingNetwork:
    """Build our network with random weights."""
    visual, _ = load_image_tower(sizes.encoder, random_weights=True)
    hidden, layers, heads, feed_forward = sizes.stream
    bert = build_bert(
        BertConfig(
            vocab_size=sizes.pieces,
            hidden_size=hidden,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            intermediate_size=feed_forward,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
        )
    )
    trunk = Trunk(visual, faithful=True)
    stream = SingleStream(bert, trunk.channels, 25, faithful=True)
    return PretrainingNetwork(trunk, stream, sizes.answers, sizes.cells)


def plain_network(network: PretrainingNetwork, sizes: Sizes) -> PlainNetwork:
    """Build the baseline's network with the weights of ours."""
    visual: Any = load_image_tower(sizes.encoder, random_weights=True)[0]
    visual.attnpool = torch.nn.Identity()
    visual.load_state_dict(network.trunk.visual.state_dict())
    return PlainNetwork(network, visual, sizes.cells)


def _our_step(sizes: Sizes, batch: Batch, precision: Any):
    network = our_network(sizes).train()
    network.to(memory_format=network.trunk.tower.layout)  # pyright: ignore
    preset = parse_task("pretrain-vl", ["--preset", "rn50-stage-2"])
    kind: Precision = precision
    optimisers = preset.optimiser, preset.trunk_optimiser
    optimiser = JointOptimiser(network, network.trunk, *optimisers, kind)

    def step() -> None:
        optimiser.zero_grad()
        with autocast(kind, "cpu"):
            scores = network(batch)
        total_loss(scores, batch.counts()).backward()
        clip_gradient(network, preset.optimiser)
        optimiser.step()

    return step


if __name__ == "__main__":
    main()
