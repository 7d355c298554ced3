"""The command that pre-trains the house CLIP: render, train, export and score."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.pretraining.contrastive import (
    Contrastive,
    export_local_dir,
    scale_pooled_features,
)
from clipnav.encoders.pretraining.learner import EncoderLearner, image_features
from clipnav.encoders.pretraining.settings import PretrainEncoderConfig
from clipnav.encoders.pretraining.supervised import (
    LabelNames,
    LabelScores,
    SingleLabel,
    SingleLabelScores,
    Supervised,
    label_scores,
    labelled_batch,
    single_label_batch,
    single_label_scores,
)
from clipnav.encoders.pretraining.view_sampler import (
    SamplerConfig,
    ViewSampler,
    extraction_views,
    tint,
)
from clipnav.encoders.pretraining.zero_shot import ZeroShotScores, zero_shot_scores
from clipnav.encoders.towers.positions import Positions
from clipnav.encoders.weights.model_building import check_shapes
from clipnav.encoders.weights.weight_files import WEIGHTS_FILE, read_weights
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.houses.views.view_facts import ViewFacts
from clipnav.storage import write_text
from clipnav.storage.errors import UserError, pluralise
from clipnav.storage.locks import exclusive_lock
from clipnav.training.distributed import set_up_torch
from clipnav.training.run_folder import run_folder
from clipnav.training.settings import CONFIG, to_json
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer

CONTEXT_LENGTH = 24  # tokens; the longest caption has 20
_POSITIONS = "visual.attnpool.positional_embedding"
_LABELS = {"all": "room type and visible objects", "largest": "their largest object"}
_README = """\
The image tower of this open_clip folder was {training}, with
clipnav pretrain-house-clip --objective {objective} (seed {seed}).
Its features are scaled to a root mean square of 1.

THE TEXT TOWER IS UNTRAINED: its features of sentences are meaningless. Use this model for images
only; it is a control for comparisons of encoders, see clipnav compare-encoders.
"""
_ORDER, _AUGMENTATION = 1, 2
_SCORING = {"contrastive": "zero-shot", "supervised": "by its own classifier"}


def build_model(config: PretrainEncoderConfig) -> tuple[Any, Any, dict[str, Any]]:
    """Build a model with random weights."""
    from open_clip.model import CLIP, set_model_preprocess_cfg
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transform import PreprocessCfg

    vision = {
        "image_size": config.image_size,
        "layers": list(config.visual_layers),
        "width": config.visual_width,
        "patch_size": None,
    }
    text = {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": 49408,  # CLIP's own tokenizer
        "width": 64,
        "heads": 2,
        "layers": 2,
    }
    model_config = {"embed_dim": config.embed_dim, "vision_cfg": vision, "text_cfg": text}
    preprocess_config = asdict(PreprocessCfg(size=config.image_size))
    model = CLIP(**model_config)
    set_model_preprocess_cfg(model, preprocess_config)
    if config.initial is not None:
        _load_initial(model, config.initial)
    configs = {"model_cfg": model_config, "preprocess_cfg": preprocess_config}
    return model, SimpleTokenizer(context_length=CONTEXT_LENGTH), configs


def _load_initial(model: Any, folder: Path) -> None:
    """Load the weights of an exported model, with its table of positions resized to the model's."""
    weights, _ = read_weights(folder / WEIGHTS_FILE)
    side = math.isqrt(len(model.visual.attnpool.positional_embedding) - 1)
    table = weights.get(_POSITIONS)
    if table is not None:
        weights[_POSITIONS] = Positions(table.float())(side, side)
    hint = "give the --visual-width, --visual-layers and --embed-dim of its run"
    check_shapes(weights, model, f"--initial {folder}", hint)
    model.load_state_dict(weights)


def _scale_to_unit(model: Any, sampler: ViewSampler) -> float:
    """Scale pooled features to a root mean square of 1, the range that agents expect."""
    images, _, _ = sampler.views(0)
    with torch.inference_mode():
        features = image_features(model.visual, images)
    factor = float(1 / features.square().mean().sqrt())
    scale_pooled_features(model, factor)
    return factor


def readme(config: PretrainEncoderConfig, iterations: int) -> str:
    """Return the README of a model whose text tower is not trained."""
    if config.objective == "random":
        return _README.format(training="not trained", objective="random", seed=config.seed)
    views = min(iterations, config.labelled_batches or iterations) * config.batch_size
    training = (
        f"trained on {views} views by {_LABELS[config.labels]} in {iterations} updates of "
        f"{config.batch_size} views"
    )
    objective = (
        f"{config.objective} --labels {config.labels} --labelled-fraction "
        f"{config.labelled_fraction:g}"
    )
    return _README.format(training=training, objective=objective, seed=config.seed)


class LabelledViews:
    """Batches of the views that have labels: the first batches of a sampler, in several passes.

    The first pass is the sampler's own order, without changes. The following passes have a random
    order of the batches, and mirror and tint each view at random. Labels, and the facts that they
    are read from, do not depend on the two; sides of objects do, so do not read them.
    """

    def __init__(self, sampler: ViewSampler, batches: int, seed: int = 0) -> None:
        self._sampler, self._batches, self._seed = sampler, batches, seed

    def views(self, index: int) -> tuple[torch.Tensor, list[ViewFacts], np.random.Generator]:
        """Return the views of an iteration, their facts and a generator, as `ViewSampler.views`."""
        number, position = divmod(index, self._batches)
        if not number:
            return self._sampler.views(index)
        order = Stream.VIEWS.rng(self._seed, number, _ORDER)
        images, facts, _ = self._sampler.views(int(order.permutation(self._batches)[position]))
        rng = Stream.VIEWS.rng(self._seed, index, _AUGMENTATION)
        mirrored = torch.from_numpy(rng.random(len(images)) < 0.5)
        images[mirrored] = images[mirrored].flip(-1)
        tint(images, np.zeros(len(images), bool), rng)
        return images, facts, rng


class Classifier(NamedTuple):
    """A trained supervised network with the names of its labels."""

    network: Supervised | SingleLabel
    names: LabelNames

    def scores(
        self, viewpoints: Sequence[tuple[np.ndarray, list[ViewFacts]]]
    ) -> LabelScores | SingleLabelScores:
        """Score the views of viewpoints, given with their facts."""
        facts = [view for _, viewpoint_facts in viewpoints for view in viewpoint_facts]
        logits = [self.network.classify(views) for views, _ in viewpoints]
        parts = [np.concatenate(part) for part in zip(*logits, strict=True)]
        if isinstance(self.network, SingleLabel):
            return single_label_scores(parts[0], facts, self.names)
        return label_scores(parts[0], parts[1], facts, self.names)


def main(config: PretrainEncoderConfig) -> None:
    """Run the command."""
    scans = _training_scans(config)
    run = run_folder(config)
    if config.resume is None:
        config = dataclasses.replace(config, output=run)
    folders = {run, config.model_dir(run)}
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(*folders):
        if config.resume is None:
            # Before the houses are rendered, so that --resume can continue from there.
            write_text(run / CONFIG, to_json(config))
        pretrain(config, run, scans)


def pretrain(config: PretrainEncoderConfig, run: Path, scans: Sequence[str]) -> None:
    """Build and render the houses of `scans`, train, export and score."""
    from clipnav.envs.houses.house_set import build_missing
    from clipnav.envs.houses.rendering.training_panoramas import render_houses

    build_missing(scans, config.workers)
    positions = (config.viewpoints, config.extra_positions)
    houses = render_houses(scans, _panorama_dir(), positions, config.panorama_width, config.workers)
    count = len(houses) - config.held_out
    trainer, classifier = train_and_export(houses[:count], config, run)
    results = {}
    if config.held_out and trainer is not None:
        scores = score(config.model_dir(run), houses[count:], config.image_size, classifier)
        results["held-out"] = dataclasses.asdict(scores)
        print(f"on {pluralise(config.held_out, 'held-out house')}, {_SCORING[config.objective]}")
        print(scores)
    if trainer is not None:
        trainer.report(results)
    print(f"Run: {run}")


def _training_scans(config: PretrainEncoderConfig) -> Sequence[str]:
    """Return the houses that are used, held-out ones included."""
    from clipnav.envs.houses.building.sets import HOUSE_SETS

    scans = HOUSE_SETS[config.set].scans["train"]
    if config.houses is not None and config.houses > len(scans):
        raise UserError(
            f"--houses {config.houses}: the set {config.set} has only {len(scans)} houses to train "
            "on; give a smaller number"
        )
    scans = scans[: config.houses]
    if not 0 <= config.held_out < len(scans):
        raise UserError(
            f"--held-out {config.held_out} of {len(scans)} houses is negative or leaves no "
            f"house to train on; give 0 to {len(scans) - 1}, or more --houses"
        )
    return scans


def train_and_export(
    houses: Sequence[HousePictures], config: PretrainEncoderConfig, run: Path
) -> tuple[Trainer | None, Classifier | None]:
    """Train on the views of some houses, and export the model."""
    set_up_torch("cpu", config.threads, "highest", config.seed)
    model, tokenizer, configs = build_model(config)
    sampler = training_views(houses, config)
    half = config.precision == "bf16"
    trainer, classifier, words = None, None, []
    if config.objective == "contrastive":
        objective = Contrastive(model, tokenizer, half)
        if config.initial is not None:  # embeddings of words that never occurred are zero
            objective.seen |= model.token_embedding.weight.any(1)
        trainer = train(config, objective, sampler.batch)
        words = objective.words
    elif config.objective == "supervised":
        names = LabelNames.of(houses)
        batches = config.labelled_batches
        views = LabelledViews(sampler, batches, config.seed) if batches else sampler
        if config.labels == "largest":
            network = SingleLabel(model, len(names.things), half)
            batch = partial(single_label_batch, views, names)
        else:
            network = Supervised(model, len(names.rooms), len(names.things), half)
            batch = partial(labelled_batch, views, names)
        trainer = train(config, network, batch)
        classifier = Classifier(network.eval(), names)
    factor = _scale_to_unit(model.eval(), sampler)
    if classifier is not None:
        classifier.network.undo_feature_scale(factor)
    folder = config.model_dir(run)
    size = export_local_dir(model, configs["model_cfg"], configs["preprocess_cfg"], folder, words)
    if config.objective != "contrastive":
        iterations = 0 if trainer is None else trainer.iteration
        write_text(folder / "README.md", readme(config, iterations))
    print(f"{folder}: {size / 1e6:.1f} MB")
    return trainer, classifier


def train(config: PretrainEncoderConfig, objective: Any, batch: Callable[[int], Any]) -> Trainer:
    """Train an objective to the end.

    Args:
        config: Settings of the run.
        objective: Objective as for `EncoderLearner`.
        batch: Function that returns the batch of an iteration.
    """
    learner = EncoderLearner(objective, batch, config.optimiser)
    trainer = Trainer(config, learner, partial(iteration_seed, config.seed, Stream.ENCODER_NOISE))
    trainer.train()
    return trainer


def training_views(houses: Sequence[HousePictures], config: PretrainEncoderConfig) -> ViewSampler:
    """Return the sampler of the views that every objective trains on."""
    views = SamplerConfig(views=config.batch_size)
    return ViewSampler(houses, config.image_size, config.seed, views)


def _panorama_dir() -> Path:
    """Return the cache folder of rendered panoramas, beside those of the houses."""
    from clipnav.envs.houses.building.house import house_cache_dir

    return house_cache_dir() / "panoramas"


def score(
    model_dir: Path,
    houses: Sequence[HousePictures],
    image_size: int,
    classifier: Classifier | None = None,
) -> ZeroShotScores | LabelScores | SingleLabelScores:
    """Score all views of all viewpoints of some houses."""
    from clipnav.envs.houses.materials.colours import COLOUR_NAMES

    viewpoints = [
        viewpoint for house in houses for viewpoint in extraction_views(house, image_size)
    ]
    if classifier is not None:
        return classifier.scores(viewpoints)
    facts = [view for _, viewpoint_facts in viewpoints for view in viewpoint_facts]
    encoder = ClipEncoder.load(str(model_dir))
    features = np.concatenate([encoder.pooled(views) for views, _ in viewpoints])
    return zero_shot_scores(features, facts, encoder.text, COLOUR_NAMES)
