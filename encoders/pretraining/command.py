"""The command that pre-trains the house CLIP: render, train, export and score."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from encoders.clip import ClipEncoder
from encoders.pretraining.arguments import MAY_CHANGE, PretrainArguments
from encoders.pretraining.contrastive import Contrastive, export_local_dir
from encoders.pretraining.house_model import build_model, readme, scale_to_unit
from encoders.pretraining.run import prepare_run, run_pretraining
from encoders.pretraining.schedules import Pretraining, PretrainingConfig
from encoders.pretraining.supervised import Supervised
from encoders.pretraining.view_labels import LabelNames, label_scores, labelled_batches
from encoders.pretraining.view_sampler import SamplerConfig, ViewSampler, extraction_views
from encoders.pretraining.zero_shot import zero_shot_scores
from envs.houses.rendering.training_panoramas import HousePictures
from storage import write_text
from storage.locks import sole_writer

_SCORING = {"contrastive": "zero-shot", "supervised": "by its own classifier"}

# A trained supervised network with the names of its labels.
Classifier = tuple[Supervised, LabelNames]


def main(arguments: PretrainArguments) -> None:
    """Run the command."""
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for folder in arguments.outputs:
        folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(*arguments.outputs):
        pretrain(arguments)


def pretrain(arguments: PretrainArguments) -> None:
    """Build and render the houses, train, export and score.

    Raises:
        ValueError: No house remains to train on.
    """
    from envs.houses.building.sets import HOUSE_SETS
    from envs.houses.house_set import build_set
    from envs.houses.rendering.training_panoramas import render_houses

    house_set = HOUSE_SETS[arguments.set]
    scans = house_set.scans["train"][: arguments.houses]
    if not 0 <= arguments.held_out < len(scans):
        raise ValueError(
            f"--held-out {arguments.held_out} of {len(scans)} houses is negative or leaves no "
            f"house to train on; give 0 to {len(scans) - 1}, or more --houses"
        )
    graphs = house_set.connectivity_dir
    if not all((graphs / f"{scan}_connectivity.json").is_file() for scan in scans):
        build_set(house_set, scans, arguments.workers)
    houses = render_houses(
        scans,
        panorama_dir(),
        arguments.extra_positions,
        arguments.panorama_width,
        arguments.workers,
    )
    count = len(houses) - arguments.held_out
    size, classifier = train_and_export(houses[:count], arguments)
    print(f"{arguments.model_dir}: {size / 1e6:.1f} MB")
    if arguments.held_out and arguments.objective != "random":
        print(f"on {arguments.held_out} held-out houses, {_SCORING[arguments.objective]}")
        print(score(arguments, houses[count:], classifier))


def train_and_export(
    houses: Sequence[HousePictures], arguments: PretrainArguments
) -> tuple[int, Classifier | None]:
    """Train on the views of some houses.

    Returns:
        Size of the exported weights in bytes; and, for the objective supervised, the network with
        the names of its labels.
    """
    torch.manual_seed(arguments.seed)
    model, tokenizer, config = build_model(arguments)
    sampler = training_views(houses, arguments)
    half = arguments.precision == "bf16"
    words: set[int] = set()
    classifier = None
    if arguments.objective == "contrastive":
        objective = Contrastive(model, tokenizer, half)
        train(objective, sampler.batches, arguments)
        words = objective.words
    elif arguments.objective == "supervised":
        names = LabelNames.of(houses)
        classifier = (Supervised(model, len(names.rooms), len(names.things), half), names)
        train(classifier[0], partial(labelled_batches, sampler, names), arguments)
    factor = scale_to_unit(model.eval(), sampler)
    if classifier is not None:
        classifier[0].undo_feature_scale(factor)
    folder = arguments.model_dir
    size = export_local_dir(model, config["model_cfg"], config["preprocess_cfg"], folder, words)
    if arguments.objective != "contrastive":
        write_text(folder / "README.md", readme(arguments))
    return size, classifier


def train(
    objective: Any, batches: Callable[[int], Iterable[Any]], arguments: PretrainArguments
) -> None:
    """Train an objective to the end; resume if the run folder contains a saved state."""
    prepare_run(arguments.run, arguments, MAY_CHANGE)
    config = PretrainingConfig(learning_rate=arguments.learning_rate)
    run_pretraining(
        Pretraining(objective, arguments.steps, config),
        batches,
        arguments.run,
        arguments.batch,
        arguments.save_every,
    )


def training_views(houses: Sequence[HousePictures], arguments: PretrainArguments) -> ViewSampler:
    """Return the sampler of the views that every objective trains on."""
    config = SamplerConfig(views=arguments.batch)
    return ViewSampler(houses, arguments.image_size, arguments.seed, config)


def panorama_dir() -> Path:
    """Return the cache folder of rendered panoramas, beside those of the houses."""
    from envs.houses.building.house import house_cache_dir

    return house_cache_dir() / "panoramas"


def score(
    arguments: PretrainArguments,
    houses: Sequence[HousePictures],
    classifier: Classifier | None = None,
) -> object:
    """Score all views of all viewpoints of some houses; return printable scores.

    Args:
        arguments: Arguments of the command, which contain the folder of the exported model.
        houses: Houses to score on.
        classifier: Network to score instead of the exported model's zero-shot predictions.
    """
    from envs.houses.materials.colours import COLOUR_NAMES

    viewpoints = [
        viewpoint for house in houses for viewpoint in extraction_views(house, arguments.image_size)
    ]
    facts = [view for _, viewpoint_facts in viewpoints for view in viewpoint_facts]
    if classifier is not None:
        network, names = classifier
        logits = [network.classify(views) for views, _ in viewpoints]
        rooms, things = (np.concatenate(part) for part in zip(*logits, strict=True))
        return label_scores(rooms, things, facts, names)
    encoder = ClipEncoder.load(str(arguments.model_dir))
    features = np.concatenate([encoder.pooled(views) for views, _ in viewpoints])
    return zero_shot_scores(features, facts, encoder.text, COLOUR_NAMES)
