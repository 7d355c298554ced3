"""Malicious model files: each creates a file, the canary, if any code in it runs.

The last test runs the same files on purpose, which shows that they work.
"""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from clipnav.agents.layers.pretrained import PretrainedEncoder, hugging_face_model
from clipnav.agents.settings import FollowerConfig
from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.openai_weights import read_openai_weights
from clipnav.encoders.weights.transformers_weights import read_transformers_clip
from clipnav.envs.tokenizers import PretrainedTokenizer, load_tokenizer

pytestmark = pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning", "error:Detected pickle protocol:UserWarning"
)
CONFIG, WEIGHTS = "open_clip_config.json", "open_clip_model.safetensors"
Attempt = Callable[[], Any]


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


class Trap:
    """Object that creates the canary when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


class Writes(nn.Module):
    """Module that creates the canary when PyTorch's loader restores it."""

    def __init__(self, canary: str) -> None:
        super().__init__()
        self.canary = canary

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.canary, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.canary = state[0]
        written = torch.from_file(state[0], True, 4, dtype=torch.uint8).fill_(88)
        self.training = state[1] and bool(written.any())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def put_code(folder: Path, canary: Path, file: str, **classes: Any) -> None:
    """Write Python code into a folder, and a configuration that names classes in it."""
    (folder / "evil.py").write_text(f"open({str(canary)!r}, 'w').close()\n")
    edit(folder / file, auto_map=classes)


def torchscript(canary: Path) -> Path:
    path = canary.with_name("archive.pt")
    torch.jit.save(torch.jit.script(Writes(str(canary))), path)
    canary.unlink(missing_ok=True)  # saving the archive has restored the module once
    return path


def pickled(canary: Path, name: str = "weights.pt", by_torch: bool = True) -> Path:
    path = canary.with_name(name)
    content = {"state_dict": Trap(canary), "as large as a model": torch.zeros(30_000)}
    torch.save(content, path) if by_torch else path.write_bytes(pickle.dumps(content))
    return path


def check(attempt: Attempt, canary: Path, message: str) -> None:
    """Check that an attempt fails with a message of one line, and that no code ran."""
    with pytest.raises((ValueError, OSError), match=message) as caught:
        attempt()
    assert not canary.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "make", [torchscript, pickled, lambda canary: pickled(canary, "w.safetensors")]
)
def test_weight_files_run_no_code(
    make: Callable[[Path], Path], canary: Path, run_command, monkeypatch
):
    path = make(canary)
    file_name = rf"{path.name}: "
    check(lambda: read_openai_weights(path), canary, file_name)
    check(lambda: ClipEncoder.load("ViT-B-32", str(path), device="cpu"), canary, file_name)
    output = canary.with_name("converted")
    arguments = ("--weights", path, "--output", output)
    check(lambda: run_command("convert-openai-clip", *arguments), canary, file_name)
    assert not output.exists()
    # Files that open_clip downloads are read in the same way.
    monkeypatch.setattr("clipnav.encoders.weights.origins.is_reachable", lambda address: True)
    monkeypatch.setattr(open_clip.pretrained, "download_pretrained", lambda _: str(path))
    check(lambda: ClipEncoder.load("RN50", "openai", device="cpu"), canary, file_name)


def test_a_bare_pickle_is_refused(canary: Path):
    path = pickled(canary, by_torch=False)
    check(lambda: read_openai_weights(path), canary, r"weights\.pt: .*not a file of torch\.save")


def test_pickled_weights_in_a_folder_are_ignored_or_refused(tiny_transformer: Path, canary: Path):
    folder = canary.with_name("clip")
    shutil.copytree(tiny_transformer, folder)
    for name in ("open_clip_pytorch_model.bin", "open_clip_pytorch_model.pth", "model.pth"):
        shutil.copy(pickled(canary), folder / name)
    assert ClipEncoder.load(str(folder), device="cpu").embed_dim == 32
    assert not canary.exists()
    (folder / WEIGHTS).unlink()
    check(lambda: ClipEncoder.load(str(folder)), canary, rf"{WEIGHTS} is missing")
    shutil.copy(pickled(canary), folder / WEIGHTS)
    check(lambda: ClipEncoder.load(str(folder)), canary, rf"{WEIGHTS}: damaged")


def test_a_tokenizer_with_code_is_refused(multilingual_clip: Path, canary: Path):
    folder = canary.with_name("clip")
    shutil.copytree(multilingual_clip, folder)
    put_code(folder, canary, "tokenizer_config.json", AutoTokenizer=["evil.Evil", "evil.Evil"])
    check(
        lambda: ClipEncoder.load(str(folder)), canary, r"tokenizer_config\.json: names Python code"
    )
    config = json.loads((folder / CONFIG).read_text())
    config["model_cfg"]["text_cfg"]["tokenizer_kwargs"] = {"trust_remote_code": True}
    (folder / CONFIG).write_text(json.dumps(config))
    check(lambda: ClipEncoder.load(str(folder)), canary, "trust_remote_code is not a field")


def test_a_text_tower_with_code_is_refused(multilingual_clip: Path, canary: Path):
    folder = canary.with_name("clip")
    shutil.copytree(multilingual_clip, folder)
    put_code(folder / "text", canary, "config.json", AutoConfig="evil.Evil", AutoModel="evil.Evil")
    check(lambda: ClipEncoder.load(str(folder)), canary, r"text/config\.json: names Python code")
    edit(folder / "text/config.json", auto_map=None, attn_implementation="owner/kernel")
    check(lambda: ClipEncoder.load(str(folder)), canary, "names code to download")


def encoder_of(folder: Path) -> PretrainedEncoder:
    return PretrainedEncoder(hugging_face_model(str(folder)), FollowerConfig())


def test_a_text_model_with_code_is_refused(tiny_text_model: Path, canary: Path):
    folder = canary.with_name("model")
    shutil.copytree(tiny_text_model, folder)
    (folder / "model.safetensors").rename(folder / "kept")
    shutil.copy(pickled(canary), folder / "pytorch_model.bin")
    check(
        lambda: encoder_of(folder), canary, r"model: transformers cannot read it .*write the folder"
    )
    (folder / "kept").rename(folder / "model.safetensors")
    assert encoder_of(folder).words.in_features == 32
    put_code(folder, canary, "config.json", AutoConfig="evil.Evil", AutoModel="evil.Evil")
    check(lambda: encoder_of(folder), canary, r"config\.json: names Python code")
    edit(folder / "config.json", model_type="evil")
    check(lambda: encoder_of(folder), canary, r"config\.json: names Python code")


def test_a_text_models_tokenizer_with_code_is_refused(tiny_text_model: Path, canary: Path):
    folder = canary.with_name("model")
    shutil.copytree(tiny_text_model, folder)
    put_code(folder, canary, "tokenizer_config.json", AutoTokenizer=["evil.Evil", "evil.Evil"])
    check(lambda: PretrainedTokenizer(str(folder)), canary, "names Python code")
    vocabulary = canary.with_name("vocabulary.json")
    vocabulary.write_text(json.dumps({"pretrained": str(folder)}))
    check(lambda: load_tokenizer(vocabulary), canary, "names Python code")


def test_a_transformers_clip_with_code_is_refused(tiny_text_model: Path, canary: Path):
    folder = canary.with_name("clip")
    shutil.copytree(tiny_text_model, folder)
    edit(folder / "config.json", model_type="clip")
    put_code(folder, canary, "config.json", AutoConfig="evil.Evil", AutoModel="evil.Evil")
    check(lambda: read_transformers_clip(folder), canary, r"config\.json: names Python code")
    edit(folder / "config.json", auto_map=None)
    shutil.copy(pickled(canary), folder / "model.safetensors")
    check(lambda: read_transformers_clip(folder), canary, r"clip/")
    (folder / "model.safetensors").unlink()
    shutil.copy(pickled(canary), folder / "pytorch_model.bin")
    check(
        lambda: read_transformers_clip(folder), canary, r"model\.safetensors: the file is missing"
    )


def test_the_malicious_files_run_if_they_are_trusted(
    tiny_text_model: Path, canary: Path, monkeypatch: pytest.MonkeyPatch
):
    from transformers import AutoTokenizer

    folder, cache = canary.with_name("model"), str(canary.with_name("modules"))
    shutil.copytree(tiny_text_model, folder)
    put_code(folder, canary, "tokenizer_config.json", AutoTokenizer=["evil.Evil", "evil.Evil"])
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", cache)
    with pytest.raises(AttributeError, match="Evil"):
        AutoTokenizer.from_pretrained(str(folder), trust_remote_code=True)
    assert canary.exists()
    path = torchscript(canary)
    torch.jit.load(path)
    assert canary.exists()
    canary.unlink()
    torch.load(pickled(canary), weights_only=False)
    assert canary.exists()
    assert load_file(tiny_text_model / "model.safetensors")
