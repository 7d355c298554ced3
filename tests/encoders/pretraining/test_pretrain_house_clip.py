"""The pre-training command on a synthetic house, and its output files."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest

from encoders.clip import ClipEncoder
from encoders.pretraining import command
from encoders.pretraining.arguments import PretrainArguments
from encoders.pretraining.house_model import CONTEXT_LENGTH
from envs.houses import house_set
from envs.houses.building.sets import GALLERY
from envs.houses.meshes.scene import ObjectInfo
from envs.houses.rendering import training_panoramas
from envs.houses.rendering.training_panoramas import HousePictures


@pytest.fixture(scope="module")
def house() -> HousePictures:
    """Two panoramas with a red sofa in each of four directions."""
    ids = np.zeros((2, 64, 128), np.int16)
    ids[:, 26:40, ::32] = ids[:, 26:40, 1::32] = ids[:, 26:40, 2::32] = 1
    colours = np.array([[190, 190, 180], [220, 20, 20]], np.uint8)
    things = [
        ObjectInfo(k, name, colour, "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
        for k, (name, colour) in enumerate([("wall", "grey"), ("sofa", "red")])
    ]
    depth = np.ones((2, 64, 128), np.float16)
    return HousePictures("house_00", colours[ids], ids, depth, 1, tuple(things), ("living room",))


def test_training_leaves_an_open_clip_folder(house: HousePictures, tmp_path: Path):
    arguments = PretrainArguments(
        output=tmp_path / "clip",
        run_dir=tmp_path / "run",
        samples=32,
        batch=16,
        image_size=64,
        embed_dim=32,
    )
    size, _ = command.train_and_export([house], arguments)
    assert size <= 12e6
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [0, 1]
    model = open_clip.create_model(f"local-dir:{tmp_path / 'clip'}", require_pretrained=True)
    assert sum(weight.numel() for weight in model.parameters()) < 6e6
    encoder = ClipEncoder.load(str(tmp_path / "clip"), device="cpu")
    assert (encoder.embed_dim, encoder.image_size) == (32, (64, 64))
    scores = command.score(arguments, [house])
    assert scores.room_accuracy == 1  # there is one room type only
    assert scores.room_views > 0


@pytest.mark.parametrize("objective", ["supervised", "random"])
def test_towers_without_captions_are_exported_with_unit_features(
    house: HousePictures, tmp_path: Path, objective: str
):
    sizes = {"samples": 16, "batch": 8, "image_size": 32, "embed_dim": 32, "visual_width": 8}
    arguments = PretrainArguments(objective=objective, run_dir=tmp_path, **sizes)
    _, classifier = command.train_and_export([house], arguments)
    assert arguments.model_dir == tmp_path / f"house_{objective}"
    assert "TEXT TOWER IS UNTRAINED" in (arguments.model_dir / "README.md").read_text()
    encoder = ClipEncoder.load(str(arguments.model_dir), device="cpu", precision="fp32")
    views = command.training_views([house], arguments).views(0)[0]
    pixels = (views.permute(0, 2, 3, 1) * 255).round().byte().numpy()
    features = encoder.pooled(pixels)
    assert np.sqrt(np.square(features).mean()) == pytest.approx(1, abs=0.02)
    if objective == "random":
        assert classifier is None
        return
    network, names = classifier
    assert names.things == ("sofa",)
    # The exported features equal those that the classifier reads.
    tower = network_features(network, views)
    assert np.abs(features - tower).max() < 0.05
    assert command.score(arguments, [house], classifier).room_accuracy == 1


def network_features(network, views) -> np.ndarray:
    from encoders.pretraining.schedules import image_features

    return image_features(network.visual, views).detach().numpy()


def test_folders_are_named_after_objective_and_set():
    def folders(**settings) -> tuple[str, str]:
        arguments = PretrainArguments(**settings)
        return str(arguments.run), arguments.model_dir.name

    assert folders() == ("runs/house_clip", "house_clip")
    assert PretrainArguments().model_dir.parent.name == "encoders"
    assert folders(set="mini") == ("runs/house_clip_mini", "house_clip_mini")
    assert folders(set="standard") == ("runs/house_clip_standard", "house_clip_standard")
    assert folders(objective="random") == ("runs/house_random", "house_random")


def test_missing_houses_are_built_first(tmp_path, monkeypatch):
    class Rendering(Exception):
        pass

    def render(scans, *_):
        raise Rendering(scans)

    built = []
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house_set, "build_set", lambda *args: built.append(args))
    monkeypatch.setattr(training_panoramas, "render_houses", render)
    scans = ("gallery_00", "gallery_01")
    with pytest.raises(Rendering, match="gallery_01"):
        command.main(PretrainArguments(houses=2, held_out=1, workers=3))
    assert built == [(GALLERY, scans, 3)]
    with pytest.raises(Rendering):  # the graphs of mini are in the repository
        command.main(PretrainArguments(set="mini"))
    assert len(built) == 1


@pytest.mark.parametrize(("houses", "held_out"), [(2, 8), (8, 8), (None, -1)])
def test_holding_out_all_houses_is_refused(monkeypatch, houses, held_out):
    for module, name in ((house_set, "build_set"), (training_panoramas, "render_houses")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("must not be called"))
    with pytest.raises(ValueError, match=f"--held-out {held_out} of "):
        command.main(PretrainArguments(houses=houses, held_out=held_out))


def test_captions_fit_the_context():
    from envs.houses.views.captions import SYNONYMS

    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=77)
    longest = sorted((name for names in SYNONYMS.values() for name in names), key=len)[-2:]
    text = f"you can see a yellow {longest[0]} and an orange {longest[1]}"
    assert (tokenizer([text]) > 0).sum() <= CONTEXT_LENGTH
