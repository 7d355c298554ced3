"""Train the small CLIP that comes with the project, on the built-in training houses.

pretrain_house_clip.py                     render, train, export to encoders/house_clip, score
pretrain_house_clip.py --samples 2560 --houses 2 --held-out 1 --output /tmp/tiny    a quick look

Panoramas of the training houses are rendered once into the cache. The held-out training houses are
not trained on; on their views the exported model is scored zero-shot.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

if TYPE_CHECKING:
    from envs.houses.training_panoramas import HousePictures
    from envs.houses.zero_shot import ZeroShotScores

CONTEXT_LENGTH = 24  # tokens; the longest caption has 20


@dataclass(frozen=True)
class PretrainArguments:
    """Trains a CLIP on views of the built-in houses and exports it for open_clip."""

    output: Path = Path(__file__).resolve().parents[1] / "encoders" / "house_clip"
    """Folder that gets open_clip_config.json and open_clip_model.safetensors."""
    run_dir: Path = Path("runs/house_clip")
    """Folder that gets metrics.jsonl and TensorBoard events."""
    seed: int = 0
    """Of weights, views and captions."""
    samples: int = 256_000
    """Views to train on."""
    batch: int = 64
    """Views in a gradient step. What is learnt from a number of views grows with the steps."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    houses: int = 32
    """How many of the training houses are used, held-out ones included."""
    held_out: int = 4
    """How many of these are kept for scoring."""
    extra_positions: int = 30
    """Panoramas rendered in each house between its viewpoints, beside those at them."""
    panorama_width: int = 1024
    """Columns of the panoramas."""
    image_size: int = 128
    """Pixels of a side of the model's input; a multiple of 32."""
    visual_width: int = 16
    """Channels after the stem of the ResNet; its last feature map has 32 times as many."""
    visual_layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Blocks in each stage of the ResNet."""
    embed_dim: int = 128
    """Width of pooled features."""
    workers: int = 2
    """Processes that render."""
    threads: int = 0
    """Threads that train; torch's own choice when 0."""


def main(arguments: PretrainArguments) -> None:
    """Run the command."""
    import torch

    from envs.houses.house_set import TRAIN_SCANS
    from envs.houses.training_panoramas import render_houses

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    pictures = render_houses(
        TRAIN_SCANS[: arguments.houses],
        panorama_dir(),
        arguments.extra_positions,
        arguments.panorama_width,
        arguments.workers,
    )
    kept = len(pictures) - arguments.held_out
    size = train_and_export(pictures[:kept], arguments)
    print(f"{arguments.output}: {size / 1e6:.1f} MB")
    if arguments.held_out:
        print(f"zero-shot on {arguments.held_out} held-out houses")
        print(score(arguments.output, pictures[kept:], arguments.image_size))


def train_and_export(pictures: Sequence["HousePictures"], arguments: PretrainArguments) -> int:
    """Train on the views of some houses; returns the bytes of the exported weights."""
    import torch

    from encoders.contrastive import TrainConfig, export_local_dir, train_clip
    from envs.houses.view_sampler import SamplerConfig, ViewSampler

    torch.manual_seed(arguments.seed)
    model, tokenizer, config = build_model(arguments)
    sampler = ViewSampler(
        pictures, arguments.image_size, arguments.seed, SamplerConfig(views=arguments.batch)
    )
    words: set[int] = set()

    def tokenize(texts: list[str]) -> torch.Tensor:
        tokens = tokenizer(texts)
        words.update(tokens.unique().tolist())
        return tokens

    steps = max(1, arguments.samples // arguments.batch)
    training = TrainConfig(learning_rate=arguments.learning_rate)
    log_training(train_clip(model, tokenize, sampler.batches(), steps, training), steps, arguments)
    scale_to_unit(model, sampler)
    return export_local_dir(
        model, config["model_cfg"], config["preprocess_cfg"], arguments.output, words
    )


def panorama_dir() -> Path:
    """Folder of rendered panoramas, beside the houses that they show."""
    from envs.houses.house import house_cache_dir

    return house_cache_dir() / "panoramas"


def build_model(arguments: PretrainArguments) -> tuple[Any, Any, dict[str, Any]]:
    """A model with random weights, its tokenizer, and its configuration for open_clip."""
    from dataclasses import asdict

    from open_clip.model import CLIP, set_model_preprocess_cfg
    from open_clip.tokenizer import SimpleTokenizer
    from open_clip.transform import PreprocessCfg

    vision = {
        "image_size": arguments.image_size,
        "layers": list(arguments.visual_layers),
        "width": arguments.visual_width,
        "patch_size": None,
    }
    text = {
        "context_length": CONTEXT_LENGTH,
        "vocab_size": 49408,  # of CLIP's own tokenizer
        "width": 64,
        "heads": 2,
        "layers": 2,
    }
    model_config = {"embed_dim": arguments.embed_dim, "vision_cfg": vision, "text_cfg": text}
    preprocess_config = asdict(PreprocessCfg(size=arguments.image_size))
    model = CLIP(**model_config)
    set_model_preprocess_cfg(model, preprocess_config)
    config = {"model_cfg": model_config, "preprocess_cfg": preprocess_config}
    return model, SimpleTokenizer(context_length=CONTEXT_LENGTH), config


def log_training(
    figures: Iterator[dict[str, float]], steps: int, arguments: PretrainArguments
) -> None:
    """Train to the end, showing a bar with images a second and writing what happens."""
    from tqdm import tqdm

    from storage.runs.log import RunLog

    arguments.run_dir.mkdir(parents=True, exist_ok=True)
    log = RunLog(arguments.run_dir, iteration=-1)
    total = steps * arguments.batch
    with tqdm(total=total, desc="training", unit="view", unit_scale=True) as bar:
        for one in figures:
            bar.update(arguments.batch)
            bar.set_postfix(loss=f"{one['loss']:.3f}")
            if one["step"] % 10 == 0 or one["step"] == steps - 1:
                log.write("pretrain", int(one["step"]), one)
    log.close()


def scale_to_unit(model: Any, sampler: Any) -> None:
    """Bring pooled features to a root mean square of 1, the range that followers are used to."""
    import torch

    from encoders.contrastive import scale_pooled_features

    batch = sampler.batch(0)
    mean = torch.tensor(model.visual.image_mean).view(3, 1, 1)
    std = torch.tensor(model.visual.image_std).view(3, 1, 1)
    with torch.inference_mode():
        features = model.encode_image((batch.images - mean) / std)
    scale_pooled_features(model, float(1 / features.square().mean().sqrt()))


def score(folder: Path, houses: Sequence["HousePictures"], image_size: int) -> "ZeroShotScores":
    """Zero-shot scores of an exported model on all views of all viewpoints of some houses."""
    import numpy as np

    from encoders.clip import ClipEncoder
    from envs.houses.colours import COLOUR_NAMES
    from envs.houses.view_sampler import extraction_views
    from envs.houses.zero_shot import zero_shot_scores

    encoder = ClipEncoder.load(str(folder))
    features, facts = [], []
    for house in houses:
        for views, known in extraction_views(house, image_size):
            features.append(encoder.pooled(views))
            facts += known
    return zero_shot_scores(np.concatenate(features), facts, encoder.text, COLOUR_NAMES)


if __name__ == "__main__":
    from complaints import complaints_in_a_line

    with complaints_in_a_line():
        main(tyro.cli(PretrainArguments))
