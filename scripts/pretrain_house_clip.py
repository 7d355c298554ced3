"""Train the small CLIP that comes with the project, on houses in which nobody walks.

$ pretrain_house_clip.py                            # the one in encoders/house_clip
$ pretrain_house_clip.py --set standard             # on the training houses of agents, into runs/
$ pretrain_house_clip.py --objective supervised     # the same tower taught by labels, not sentences
$ pretrain_house_clip.py --samples 2560 --houses 2 --held-out 1 --output /tmp/tiny    # a quick look

Builds the houses, trains, exports and scores.

Panoramas of the houses are rendered once into the cache. The last ones are held out: they are not
trained on; on their views what was learnt is scored. A training that was interrupted goes on
where it stopped when the same command is given again.
"""

from complaints import friendly_errors

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from training.settings import check_counts

if TYPE_CHECKING:
    from encoders.pretraining.supervised import Supervised
    from encoders.pretraining.view_labels import LabelNames
    from encoders.pretraining.view_sampler import ViewSampler
    from envs.houses.rendering.training_panoramas import HousePictures

CONTEXT_LENGTH = 24  # tokens; the longest caption has 20
# What may change when a training goes on. All else would make it another one.
MAY_CHANGE = frozenset({"output", "run_dir", "save_every", "workers", "threads"})
HOW = {"contrastive": "zero-shot", "supervised": "by its own classifier"}
# Said in the folder of a model whose text tower nobody trained.
README = """\
The image tower of this open_clip folder was {how}, with
scripts/pretrain_house_clip.py --objective {objective} (seed {seed}). Its features are scaled to a
root mean square of 1.

THE TEXT TOWER IS UNTRAINED: what it makes of sentences means nothing. Use this model for pictures
only; it exists to compare encoders, see scripts/compare_encoders.py.
"""
TAUGHT = {
    "supervised": "trained on {samples} views by their kind of room and things",
    "random": "not trained",
}


@dataclass(frozen=True)
class PretrainArguments:
    """How a CLIP is trained on views of which houses."""

    set: Literal["gallery", "mini", "standard"] = "gallery"
    """Whose pictures: of houses that are there for this alone, or of the training houses of agents.
    An encoder that knows these better than unseen ones may mislead agents that train in them."""
    objective: Literal["contrastive", "supervised", "random"] = "contrastive"
    """What the image tower learns: which sentences are true of a view, as CLIP does; the view's
    kind of room and things; or nothing, to compare with. All three begin with the same weights, and
    the first two see the same views. Where there are no sentences the text tower stays untrained:
    such a model encodes pictures only."""
    output: Path | None = None
    """Folder that gets open_clip_config.json and open_clip_model.safetensors; by default
    encoders/house_clip for contrastive on the gallery, and otherwise one in the run's folder."""
    run_dir: Path | None = None
    """Folder of settings, state of training, metrics.jsonl and TensorBoard events; by default one
    in runs/ that is named after set and objective."""
    seed: int = 0
    """Of weights, views and captions."""
    samples: int = 640_000
    """Views to train on."""
    batch: int = 64
    """Views in a gradient step. What is learnt from a number of views grows with the steps."""
    learning_rate: float = 1e-3
    """Peak of the schedule."""
    houses: int | None = None
    """How many of the training houses are used, held-out ones included; all by default."""
    held_out: int = 8
    """How many of these are kept for scoring."""
    extra_positions: int = 8
    """Panoramas rendered in each house between its viewpoints, beside those at them."""
    panorama_width: int = 768
    """Columns of the panoramas. A view of 60 degrees is a sixth of them wide."""
    image_size: int = 128
    """Pixels of a side of the model's input; a multiple of 32."""
    visual_width: int = 16
    """Channels after the stem of the ResNet; its last feature map has 32 times as many."""
    visual_layers: tuple[int, int, int, int] = (1, 1, 1, 1)
    """Blocks in each stage of the ResNet."""
    embed_dim: int = 128
    """Width of pooled features."""
    precision: Literal["fp32", "bf16"] = "fp32"
    """Of the towers; bf16 is nearly twice as fast on processors that multiply it."""
    save_every: int = 250
    """Steps after which the state of training is written."""
    workers: int = 2
    """Processes that render."""
    threads: int = 0
    """Threads that train; torch's own choice when 0."""

    def __post_init__(self) -> None:
        sizes = ("panorama_width", "image_size", "visual_width", "embed_dim")
        check_counts(self, ("samples", "batch", "houses", "save_every", "workers", *sizes))
        check_counts(self, ("extra_positions", "threads"), least=0)

    @property
    def name(self) -> str:
        """What the model is called, after objective and set."""
        kind = "clip" if self.objective == "contrastive" else self.objective
        return f"house_{kind}" + ("" if self.set == "gallery" else f"_{self.set}")

    @property
    def run(self) -> Path:
        """Folder of the training."""
        return self.run_dir or Path("runs") / self.name

    @property
    def model_dir(self) -> Path:
        """Folder of the exported model."""
        shipped = Path(__file__).resolve().parents[1] / "encoders" / "house_clip"
        return self.output or (shipped if self.name == shipped.name else self.run / self.name)

    @property
    def outputs(self) -> list[Path]:
        """Folders that are written."""
        return [self.model_dir] if self.objective == "random" else [self.run, self.model_dir]

    @property
    def steps(self) -> int:
        """Gradient steps."""
        return max(1, self.samples // self.batch)


def main(arguments: PretrainArguments) -> None:
    """Run the command."""
    import torch

    from storage.locks import sole_writer

    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    for folder in arguments.outputs:
        folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(*arguments.outputs):
        pretrain(arguments)


def pretrain(arguments: PretrainArguments) -> None:
    """Build and render the houses, train, export and score.

    Raises:
        ValueError: No house is left to train on.
    """
    from envs.houses.building.sets import HOUSE_SETS
    from envs.houses.house_set import build_set
    from envs.houses.rendering.training_panoramas import render_houses

    house_set = HOUSE_SETS[arguments.set]
    scans = house_set.scans["train"][: arguments.houses]
    if not 0 <= arguments.held_out < len(scans):
        raise ValueError(
            f"--held-out {arguments.held_out} of {len(scans)} houses leaves none to train on or is "
            "no number of them; give fewer, or more --houses"
        )
    graphs = house_set.connectivity_dir
    if not all((graphs / f"{scan}_connectivity.json").is_file() for scan in scans):
        build_set(house_set, scans, arguments.workers)
    pictures = render_houses(
        scans,
        panorama_dir(),
        arguments.extra_positions,
        arguments.panorama_width,
        arguments.workers,
    )
    kept = len(pictures) - arguments.held_out
    size, classifier = train_and_export(pictures[:kept], arguments)
    print(f"{arguments.model_dir}: {size / 1e6:.1f} MB")
    if arguments.held_out and arguments.objective != "random":
        print(f"on {arguments.held_out} held-out houses, {HOW[arguments.objective]}")
        print(score(arguments, pictures[kept:], classifier))


# A trained image tower with what it was taught by, which scores it.
Classifier = tuple["Supervised", "LabelNames"]


def train_and_export(
    pictures: Sequence["HousePictures"], arguments: PretrainArguments
) -> tuple[int, "Classifier | None"]:
    """Train on the views of some houses.

    Returns:
        Bytes of the exported weights; and for the objective supervised its network, with the names
        of its labels.
    """
    import torch

    from encoders.pretraining.contrastive import Contrastive, export_local_dir
    from encoders.pretraining.supervised import Supervised
    from encoders.pretraining.view_labels import LabelNames, labelled_batches
    from storage import write_text

    torch.manual_seed(arguments.seed)
    model, tokenizer, config = build_model(arguments)
    sampler = training_views(pictures, arguments)
    half = arguments.precision == "bf16"
    words: set[int] = set()
    classifier = None
    if arguments.objective == "contrastive":
        objective = Contrastive(model, tokenizer, half)
        train(objective, sampler.batches, arguments)
        words = objective.words
    elif arguments.objective == "supervised":
        names = LabelNames.of(pictures)
        classifier = (Supervised(model, len(names.rooms), len(names.things), half), names)
        train(classifier[0], partial(labelled_batches, sampler, names), arguments)
    factor = scale_to_unit(model.eval(), sampler)
    if classifier is not None:
        classifier[0].features_were_scaled(factor)
    folder = arguments.model_dir
    size = export_local_dir(model, config["model_cfg"], config["preprocess_cfg"], folder, words)
    if arguments.objective != "contrastive":
        how = TAUGHT[arguments.objective].format(samples=arguments.steps * arguments.batch)
        text = README.format(how=how, objective=arguments.objective, seed=arguments.seed)
        write_text(folder / "README.md", text)
    return size, classifier


def train(
    objective: Any, batches: Callable[[int], Iterable[Any]], arguments: PretrainArguments
) -> None:
    """Train an objective to the end, from where an earlier call stopped."""
    from encoders.pretraining.run import claim_run, run_pretraining
    from encoders.pretraining.schedules import Pretraining, TrainConfig

    claim_run(arguments.run, arguments, MAY_CHANGE)
    training = TrainConfig(learning_rate=arguments.learning_rate)
    run_pretraining(
        Pretraining(objective, arguments.steps, training),
        batches,
        arguments.run,
        arguments.batch,
        arguments.save_every,
    )


def training_views(
    pictures: Sequence["HousePictures"], arguments: PretrainArguments
) -> "ViewSampler":
    """The stream of views that every objective learns from."""
    from encoders.pretraining.view_sampler import SamplerConfig, ViewSampler

    config = SamplerConfig(views=arguments.batch)
    return ViewSampler(pictures, arguments.image_size, arguments.seed, config)


def panorama_dir() -> Path:
    """Folder of rendered panoramas, beside the houses that they show."""
    from envs.houses.building.house import house_cache_dir

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


def scale_to_unit(model: Any, sampler: "ViewSampler") -> float:
    """Bring pooled features to a root mean square of 1, the range that followers are used to.

    Returns:
        What they were multiplied by.
    """
    import torch

    from encoders.pretraining.contrastive import scale_pooled_features
    from encoders.pretraining.schedules import image_features

    images, _, _ = sampler.views(0)
    with torch.inference_mode():
        features = image_features(model.visual, images)
    factor = float(1 / features.square().mean().sqrt())
    scale_pooled_features(model, factor)
    return factor


def score(
    arguments: PretrainArguments,
    houses: Sequence["HousePictures"],
    classifier: Classifier | None = None,
) -> object:
    """Scores on all views of all viewpoints of some houses, to be printed.

    Args:
        arguments: They name the exported model, which is scored by words.
        houses: Whose views.
        classifier: ScoredSubmission in place of the exported model.
    """
    import numpy as np

    from encoders.clip import ClipEncoder
    from encoders.pretraining.view_labels import label_scores
    from encoders.pretraining.view_sampler import extraction_views
    from encoders.pretraining.zero_shot import zero_shot_scores
    from envs.houses.materials.colours import COLOUR_NAMES

    shown = [one for house in houses for one in extraction_views(house, arguments.image_size)]
    facts = [known for _, some in shown for known in some]
    if classifier is not None:
        network, names = classifier
        logits = [network.classify(views) for views, _ in shown]
        rooms, things = (np.concatenate(part) for part in zip(*logits, strict=True))
        return label_scores(rooms, things, facts, names)
    encoder = ClipEncoder.load(str(arguments.model_dir))
    features = np.concatenate([encoder.pooled(views) for views, _ in shown])
    return zero_shot_scores(features, facts, encoder.text, COLOUR_NAMES)


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(PretrainArguments, description=__doc__))
