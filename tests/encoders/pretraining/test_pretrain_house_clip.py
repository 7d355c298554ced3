"""The pre-training command on a synthetic house, and its output files."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
from safetensors.torch import load_file

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.pretraining import command
from clipnav.encoders.pretraining.command import CONTEXT_LENGTH
from clipnav.encoders.pretraining.settings import (
    PretrainEncoderConfig,
    default_optimiser,
    parse_pretraining,
)
from clipnav.envs.houses import house_set
from clipnav.envs.houses.rendering import training_panoramas
from clipnav.envs.houses.rendering.training_panoramas import HousePictures
from clipnav.envs.models.scene import ObjectInfo
from clipnav.storage.errors import UserError


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


@pytest.fixture
def rendered(monkeypatch, house: HousePictures):
    """Replace two rendered houses by the synthetic one."""
    monkeypatch.setattr(training_panoramas, "render_houses", lambda *_: [house, house])


def test_the_command_trains_exports_and_scores(rendered, tmp_path: Path):
    run, clip = tmp_path / "run", tmp_path / "clip"
    config = PretrainEncoderConfig(
        set="mini",
        output=run,
        export=clip,
        iterations=2,
        optimiser=default_optimiser(2),
        batch_size=16,
        image_size=64,
        embed_dim=32,
        houses=2,
        held_out=1,
    )
    command.main(config)
    assert (clip / "open_clip_model.safetensors").stat().st_size <= 12e6
    model = open_clip.create_model(f"local-dir:{clip}", require_pretrained=True)
    assert sum(weight.numel() for weight in model.parameters()) < 6e6
    encoder = ClipEncoder.load(str(clip), device="cpu")
    assert (encoder.embed_dim, encoder.image_size) == (32, (64, 64))
    results = json.loads((run / "results.json").read_text())
    assert results["iterations"] == 2
    assert results["results"]["held-out"]["room_accuracy"] == 1  # there is one room type only
    assert results["results"]["held-out"]["room_views"] > 0
    with pytest.raises(FileExistsError, match="already contains a run; resume it with --resume"):
        command.main(config)


def test_resuming_a_finished_run_exports_the_same_model(rendered, tmp_path: Path):
    sizes = {"batch_size": 8, "image_size": 32, "embed_dim": 32, "visual_width": 8}
    run, other = tmp_path / "run", tmp_path / "other"
    config = PretrainEncoderConfig(
        set="mini", output=run, iterations=1, houses=2, held_out=1, **sizes
    )
    command.main(config)
    command.main(parse_pretraining(["--resume", str(run), "--export", str(other)]))
    first = load_file(run / "house_clip_mini" / "open_clip_model.safetensors")
    second = load_file(other / "open_clip_model.safetensors")
    assert all((first[name] == second[name]).all() for name in first)
    assert json.loads((run / "config.json").read_text())["output"] == str(run)


def test_training_goes_on_from_a_model_for_smaller_images(house: HousePictures, tmp_path: Path):
    sizes = {"batch_size": 8, "embed_dim": 32, "visual_width": 8, "iterations": 1}
    small = PretrainEncoderConfig(image_size=32, output=tmp_path, **sizes)
    command.train_and_export([house], small, tmp_path)
    first = load_file(tmp_path / "house_clip" / "open_clip_model.safetensors")
    large = PretrainEncoderConfig(image_size=96, initial=tmp_path / "house_clip", **sizes)
    model, _, _ = command.build_model(large)
    changed = {name for name, weight in model.state_dict().items() if not weight.equal(first[name])}
    assert changed == {"visual.attnpool.positional_embedding"}
    positions = model.visual.attnpool.positional_embedding
    assert len(positions) == 1 + 3 * 3
    # Interpolation of the one cell of 32 pixels: it is repeated.
    before = first["visual.attnpool.positional_embedding"]
    assert np.allclose(positions[1:].detach(), before[1:].expand(9, -1), atol=1e-6)
    with pytest.raises(UserError, match="mismatches in all"):
        command.build_model(PretrainEncoderConfig(initial=tmp_path / "house_clip"))


def test_a_run_that_stopped_while_rendering_can_be_resumed(tmp_path: Path, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(training_panoramas, "render_houses", stop)
    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        command.main(PretrainEncoderConfig(set="mini", seed=5, output=run))
    config = parse_pretraining(["--resume", str(run)])
    assert (config.seed, config.output, config.resume) == (5, run, None)


@pytest.mark.parametrize("objective", ["supervised", "random"])
def test_towers_without_captions_are_exported_with_unit_features(
    house: HousePictures, tmp_path: Path, objective: str
):
    sizes = {"batch_size": 8, "image_size": 32, "embed_dim": 32, "visual_width": 8}
    config = PretrainEncoderConfig(objective=objective, output=tmp_path, iterations=2, **sizes)
    _, classifier = command.train_and_export([house], config, tmp_path)
    model_dir = tmp_path / f"house_{objective}"
    assert "TEXT TOWER IS UNTRAINED" in (model_dir / "README.md").read_text()
    encoder = ClipEncoder.load(str(model_dir), device="cpu", precision="fp32")
    views = command.training_views([house], config).views(0)[0]
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
    assert command.score(model_dir, [house], 32, classifier).room_accuracy == 1


def test_a_tower_of_few_views_with_one_label_each_is_exported_and_scored(rendered, tmp_path: Path):
    run = tmp_path / "run"
    sizes = {"batch_size": 8, "image_size": 32, "embed_dim": 32, "visual_width": 8}
    labels = {"objective": "supervised", "labels": "largest", "labelled_fraction": 0.25}
    config = PretrainEncoderConfig(
        set="mini", output=run, iterations=4, houses=2, held_out=1, **labels, **sizes
    )
    command.main(config)
    model_dir = run / "house_supervised_largest_25pct_mini"
    readme = (model_dir / "README.md").read_text()
    assert "trained on 8 views by their largest object in 4 updates of 8 views" in readme
    assert "--objective supervised --labels largest --labelled-fraction 0.25" in readme
    assert ClipEncoder.load(str(model_dir)).embed_dim == 32
    scores = json.loads((run / "results.json").read_text())["results"]["held-out"]
    # There is one category of objects only.
    assert (scores["accuracy"], scores["baseline"]) == (1, 1)
    assert scores["views"] > 0
    with pytest.raises(ValueError, match="differ in iterations: 4 against 8"):
        parse_pretraining(["--resume", str(run), "--iterations", "8"])


def network_features(network, views) -> np.ndarray:
    from clipnav.encoders.pretraining.learner import image_features

    return image_features(network.visual, views).detach().numpy()


@pytest.mark.parametrize(("houses", "held_out"), [(2, 8), (8, 8), (None, -1)])
def test_holding_out_all_houses_is_refused(monkeypatch, tmp_path, houses, held_out):
    for module, name in ((house_set, "build_set"), (training_panoramas, "render_houses")):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("must not be called"))
    with pytest.raises(ValueError, match=f"--held-out {held_out} of "):
        command.main(
            PretrainEncoderConfig(houses=houses, held_out=held_out, output=tmp_path / "run")
        )
    assert not (tmp_path / "run").exists()


def test_more_houses_than_the_set_has_are_refused(tmp_path):
    config = PretrainEncoderConfig(set="mini", houses=33, output=tmp_path / "run")
    with pytest.raises(ValueError, match="--houses 33: the set mini has only 26 houses"):
        command.main(config)
    assert not (tmp_path / "run").exists()


def test_captions_fit_the_context():
    from clipnav.envs.houses.views.captions import SYNONYMS

    tokenizer = open_clip.tokenizer.SimpleTokenizer(context_length=77)
    longest = sorted((name for names in SYNONYMS.values() for name in names), key=len)[-2:]
    text = f"you can see a yellow {longest[0]} and an orange {longest[1]}"
    assert (tokenizer([text]) > 0).sum() <= CONTEXT_LENGTH
