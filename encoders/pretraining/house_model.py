"""The model of the house CLIP: architecture, scale of its features, README of its folder."""

from dataclasses import asdict
from typing import Any

import torch

from clipnav.encoders.pretraining.contrastive import scale_pooled_features
from clipnav.encoders.pretraining.learner import image_features
from clipnav.encoders.pretraining.settings import PretrainConfig
from clipnav.encoders.pretraining.view_sampler import ViewSampler

CONTEXT_LENGTH = 24  # tokens; the longest caption has 20
_LABELS = {"all": "room type and visible objects", "largest": "their largest object"}
_README = """\
The image tower of this open_clip folder was {training}, with
clipnav pretrain-house-clip --objective {objective} (seed {seed}).
Its features are scaled to a root mean square of 1.

THE TEXT TOWER IS UNTRAINED: its features of sentences are meaningless. Use this model for images
only; it is a control for comparisons of encoders, see clipnav compare-encoders.
"""


def build_model(config: PretrainConfig) -> tuple[Any, Any, dict[str, Any]]:
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
    configs = {"model_cfg": model_config, "preprocess_cfg": preprocess_config}
    return model, SimpleTokenizer(context_length=CONTEXT_LENGTH), configs


def scale_to_unit(model: Any, sampler: ViewSampler) -> float:
    """Scale pooled features to a root mean square of 1, the range that agents expect."""
    images, _, _ = sampler.views(0)
    with torch.inference_mode():
        features = image_features(model.visual, images)
    factor = float(1 / features.square().mean().sqrt())
    scale_pooled_features(model, factor)
    return factor


def readme(config: PretrainConfig, iterations: int) -> str:
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
