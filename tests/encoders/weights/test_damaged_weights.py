"""Damaged model files: each is read, or refused with one line that names it.

CLIPNAV_FUZZ=N tests N damaged versions of each file instead of three.
"""

import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.openai_weights import read_openai_weights, write_clip
from clipnav.encoders.weights.transformers_weights import (
    read_transformers_clip,
    write_transformers_clip,
)
from clipnav.encoders.weights.weight_files import CONFIG_FILE, WEIGHTS_FILE
from clipnav.storage.errors import UserError
from clipnav.storage.hugging_face import load_hugging_face_tokenizer, load_text_model

pytestmark = pytest.mark.filterwarnings("ignore")
COUNT = int(os.environ.get("CLIPNAV_FUZZ", "3"))
IMAGE = np.zeros((1, 64, 64, 3), np.uint8)
ODD = (None, True, -1, 0, 1, 3, 10**9, 10**30, 1e308, float("nan"), "", "no", [], [0], {}, {"a": 1})


def odd_values(raw: bytes, seed: int, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield versions of a JSON file with one value replaced, or one field removed or renamed."""
    rng = np.random.default_rng(seed)
    paths = list(_paths(json.loads(raw), ()))
    for _ in range(count):
        changed = json.loads(raw)
        *path, last = paths[rng.integers(len(paths))]
        owner = changed
        for name in path:
            owner = owner[name]
        value = ODD[rng.integers(len(ODD))]
        if isinstance(owner, dict) and rng.integers(8) == 0:
            owner[f"{last}x"] = owner.pop(last)
        elif isinstance(owner, dict) and rng.integers(8) == 0:
            del owner[last]
        else:
            owner[last] = value
        yield f"{(*path, last)} = {value!r}", json.dumps(changed).encode()


def _paths(value: Any, path: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value)
    for name, child in children if isinstance(value, (dict, list)) else ():
        yield (*path, name)
        if isinstance(child, (dict, list)):
            yield from _paths(child, (*path, name))


@pytest.fixture
def survive(damaged_versions, tmp_path: Path):
    """Read damaged versions of a file; check and count the outcomes."""

    def check(source: Path, file: str, read: Callable[[Path], Any]) -> Counter[str]:
        folder = tmp_path / source.name
        shutil.copytree(source, folder)
        raw = (folder / file).read_bytes()
        odd = odd_values(raw, seed=2, count=COUNT) if file.endswith(".json") else ()
        outcomes: Counter[str] = Counter()
        read(folder)
        for damage, content in chain(damaged_versions(raw, seed=1, count=COUNT), odd):
            (folder / file).write_bytes(content)
            try:
                read(folder)
                outcomes["read"] += 1
            except (UserError, OSError) as error:
                message = str(error)
                assert str(folder) in message, (damage, message)
                assert "\n" not in message, (damage, message)
                outcomes[type(error).__name__] += 1
            except BaseException as error:
                raise AssertionError(f"{file}, {damage}: {error!r}") from error
        print(f"{source.name}/{file}: {dict(outcomes)}")
        assert sum(outcomes.values()) == COUNT * (2 if odd else 1)
        return outcomes

    return check


def encode(folder: Path) -> None:
    ClipEncoder.load(str(folder), precision="fp32", device="cpu").pooled(IMAGE)


@pytest.mark.parametrize("file", [CONFIG_FILE, WEIGHTS_FILE])
def test_damaged_open_clip_folders(file: str, survive, tiny_clip: Path):
    outcomes = survive(tiny_clip, file, encode)
    assert outcomes["UserError"]


@pytest.mark.parametrize("file", ["text/config.json", "tokenizer.json", "tokenizer_config.json"])
def test_damaged_text_towers(file: str, survive, multilingual_clip: Path):
    outcomes = survive(multilingual_clip, file, encode)
    assert outcomes["UserError"]


def test_damaged_weights_for_a_name(survive, tiny_transformer: Path, tmp_path: Path):
    config = json.loads((tiny_transformer / CONFIG_FILE).read_text())["model_cfg"]
    path = tmp_path / "tiny-damaged.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)

    def read(folder: Path) -> None:
        ClipEncoder.load("tiny-damaged", str(folder / WEIGHTS_FILE), "fp32", "cpu").pooled(IMAGE)

    assert survive(tiny_transformer, WEIGHTS_FILE, read)["UserError"]


@pytest.fixture(scope="module")
def openai_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP in OpenAI's layout, as an archive, as a tensor file, and converted."""
    folder = tmp_path_factory.mktemp("openai")
    torch.manual_seed(0)
    text: Any = {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1}
    vision: Any = {"image_size": 32, "layers": 1, "width": 64, "head_width": 64, "patch_size": 16}
    weights = CLIP(8, vision, text, quick_gelu=True).state_dict()
    # Otherwise most damage would hit the token embeddings.
    weights = {name: tensor.half() for name, tensor in weights.items()}
    torch.save(weights, folder / "plain.pt")
    archive = torch.nn.Module()
    for name, tensor in weights.items():
        owner = archive
        *parents, leaf = name.split(".")
        for parent in parents:
            if not hasattr(owner, parent):
                owner.add_module(parent, torch.nn.Module())
            owner = owner.get_submodule(parent)
        owner.register_buffer(leaf, tensor)
    torch.jit.save(torch.jit.script(archive), folder / "archive.pt")
    write_clip(weights, folder / "converted")
    write_transformers_clip(folder / "converted", folder / "transformers")
    preprocessor = {"image_mean": [0.5] * 3, "image_std": [0.2] * 3, "size": 32, "crop_size": 32}
    (folder / "transformers/preprocessor_config.json").write_text(json.dumps(preprocessor))
    return folder


@pytest.mark.parametrize("file", ["archive.pt", "plain.pt"])
def test_damaged_openai_files(file: str, survive, openai_files: Path):
    def read(folder: Path) -> None:
        weights, _ = read_openai_weights(folder / file)
        write_clip(weights, folder / "out", source=str(folder / file))

    assert survive(openai_files, file, read)["UserError"]


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "preprocessor_config.json"])
def test_damaged_transformers_clips(file: str, survive, openai_files: Path):
    def read(folder: Path) -> None:
        weights, config, preprocessing = read_transformers_clip(folder)
        write_clip(weights, folder / "out", config, preprocessing, str(folder))

    assert survive(openai_files / "transformers", file, read)["UserError"]


@pytest.mark.parametrize(
    "file", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
)
def test_damaged_text_models(file: str, survive, tiny_text_model: Path):
    def read(folder: Path) -> None:
        ids = load_hugging_face_tokenizer(str(folder))("a red sofa")["input_ids"]
        load_text_model(str(folder))(torch.tensor([ids]))

    assert survive(tiny_text_model, file, read)["UserError"]
