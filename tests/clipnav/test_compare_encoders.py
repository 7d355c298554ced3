"""The command that compares encoders, from pictures to the table, in a world of two buildings."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from clipnav.commands.agents.compare_encoders import CompareEncodersArguments, contestants
from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.weight_files import write_local_dir
from clipnav.storage.features.opening import open_store
from tests.skyboxes import write_skyboxes


def write_clip(folder: Path, seed: int) -> Path:
    from open_clip.model import CLIP

    torch.manual_seed(seed)
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 16}
    text = {"context_length": 8, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text}
    write_local_dir(folder, CLIP(**config).state_dict(), config, {"size": 32})
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Path]:
    folder = tmp_path_factory.mktemp("clips")
    return [write_clip(folder / name, seed) for seed, name in enumerate(["first", "second"])]


@pytest.fixture(scope="module")
def skyboxes(tmp_path_factory) -> Path:
    return write_skyboxes(tmp_path_factory.mktemp("scans"))


def test_from_pictures_to_the_table_and_not_twice(
    run_command, clips, skyboxes, tiny_world, tmp_path
):
    output, features = tmp_path / "comparison", tiny_world / "features.safetensors"
    command = [
        *(
            "compare-encoders",
            "--encoders",
            clips[0],
            f"mine={features}",
            "--seeds",
            "1",
        ),
        *("--ablations", "empty-instructions", "--world", "matterport", "--data-dir", tiny_world),
        *("--scan-dir", skyboxes, "--splits", "val_unseen", "--output", output),
        *("--", "--iterations", "1", "--batch-size", "4", "--follower.hidden-size", "16"),
    ]
    printed = run_command(*command)
    report = json.loads((output / "comparison.json").read_text())
    rows = ["first", "mine", "first, empty-instructions", "random agent", "forward agent"]
    assert list(report["val_unseen"]) == rows
    lines, width = printed.splitlines()[1 : 1 + len(rows)], max(map(len, rows))
    assert [line[12 : 12 + width].strip() for line in lines] == rows
    assert (output / "comparison.md").read_text().count("| val_unseen |") == len(rows)
    assert (output / "comparison.png").read_bytes().startswith(b"\x89PNG")
    made = output / "features" / "first.safetensors"
    weights = open_store(made).metadata["weights_sha256"]
    assert weights == ClipEncoder.load(str(clips[0])).weights_sha256
    for name, store in (("first", made), ("mine", features)):
        config = json.loads((output / "runs" / f"{name}-0" / "config.json").read_text())
        assert config["features"] == str(store)
        assert (config["select_by"], config["iterations"]) == ("val_unseen", 1)
    ablated = json.loads(
        (output / "runs" / "first-empty-instructions-0" / "config.json").read_text()
    )
    assert ablated["instruction_ablation"] == "empty"

    written = {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")}
    assert len(written) == 4
    assert run_command(*command) == printed
    assert {path: path.stat().st_mtime_ns for path in output.rglob("*.safetensors")} == written


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (("--splits", "nowhere"), "nowhere"),
        (("--", "--iterations", "0"), "--iterations 0: must be at least 1"),
        (("--", "--reward", "none"), "invalid choice"),
        (("--", "--features", "mine"), "--features after --.*set --encoders"),
        (("--scan-dir", "scans"), "--scan-dir scans has no effect with --world houses"),
        (("--ablations", "no-vision", "no-vision"), "one occurs twice"),
    ],
)
def test_errors_are_reported_before_features_are_computed(
    run_command, clips, tmp_path, monkeypatch, capsys, flags, problem
):
    monkeypatch.setattr("clipnav.encoders.extraction.encoding.encode_viewpoints_with", None)
    with pytest.raises((ValueError, OSError, SystemExit)) as caught:
        run_command("compare-encoders", "--encoders", clips[0], "--output", tmp_path / "o", *flags)
    message = f"{caught.value} {' '.join(capsys.readouterr().err.split())}"
    assert re.search(problem, message)
    assert not (tmp_path / "o").exists()


def test_encoders_that_cannot_be_compared_are_refused(run_command, clips, tmp_path):
    store = tmp_path / "mine.safetensors"
    for encoders, problem in {
        (store,): f"{store}: no such feature store",
        (clips[0], f"first={clips[1]}"): "no encoder, or two of one name",
        (f"x={tmp_path / 'no'}",): "neither a folder nor a model of open_clip",
    }.items():
        with pytest.raises((ValueError, FileNotFoundError), match=problem):
            run_command("compare-encoders", "--encoders", *encoders, "--output", tmp_path)


@pytest.mark.long
def test_features_of_efficientnet_are_extracted(run_command, skyboxes, tiny_world, tmp_path):
    path = tmp_path / "imagenet.safetensors"
    run_command(
        *("extract-features", "--world", "matterport", "--data-dir", tiny_world),
        *("--scan-dir", skyboxes, "--scans", "barn", "--precision", "fp32"),
        *("--encoder", "efficientnet-lite0", "--output", path),
    )
    store = open_store(path)
    assert store.views.shape == (6, 36, 1280)
    assert store.metadata["encoder"] == "efficientnet-lite0"
    assert np.asarray(store.views).std(0).max() > 0.01  # the viewpoints differ


def test_ablations_do_without_flags_that_have_no_effect_on_them():
    arguments = CompareEncodersArguments(ablations=("no-vision", "empty-instructions"))
    shared = ["--follower.feature-dropout", ".2", "--max-instruction-length", "40"]
    seen, blind, deaf = contestants(arguments, {"mine": Path("mine.safetensors")}, shared)
    features = ["--features", "mine.safetensors"]
    assert list(seen.arguments) == [*shared, *features]
    assert list(blind.arguments) == [*shared[2:], *features, "--no-vision"]
    assert list(deaf.arguments) == [*shared[:2], *features, "--instruction-ablation", "empty"]
