import json
from pathlib import Path

import open_clip
import pytest
import torch
from safetensors.torch import load_file

from encoders.clip import ClipEncoder
from encoders.loading import load_model, weights_sha256


@pytest.fixture
def named(tiny_transformer: Path, tmp_path: Path) -> str:
    """The tiny transformer's architecture under a name, as open_clip's own models have."""
    config = json.loads((tiny_transformer / "open_clip_config.json").read_text())["model_cfg"]
    path = tmp_path / "tiny-named.json"
    path.write_text(json.dumps(config))
    open_clip.add_model_config(path)
    return path.stem


@pytest.fixture
def weights(tiny_transformer: Path) -> dict[str, torch.Tensor]:
    return load_file(tiny_transformer / "open_clip_model.safetensors")


def activation(model) -> str:
    return type(model.visual.transformer.resblocks[0].mlp.gelu).__name__


def test_weights_come_from_a_file(named: str, tiny_transformer: Path):
    file = tiny_transformer / "open_clip_model.safetensors"
    model, _, name = load_model(named, str(file))
    folder_model, _, _ = load_model(str(tiny_transformer), None)
    assert weights_sha256(model) == weights_sha256(folder_model)
    assert name == "tiny-named/open_clip_model.safetensors"
    assert activation(model) == "GELU"


def test_openai_files_bring_their_activation(
    named: str, weights: dict[str, torch.Tensor], tmp_path: Path
):
    extras = {"input_resolution": 64, "context_length": 16, "vocab_size": 49408}
    plain = tmp_path / "plain.pt"
    torch.save({**weights, **{key: torch.tensor(value) for key, value in extras.items()}}, plain)
    model, _, _ = load_model(named, str(plain))
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, weights[key])
    assert activation(model) == "QuickGELU"


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_openai_archives_are_read_without_unpickling(
    named: str, weights: dict[str, torch.Tensor], tmp_path: Path
):
    class Archive(torch.nn.Module):
        def __init__(self, tensors: dict[str, torch.Tensor]):
            super().__init__()
            for key, tensor in tensors.items():
                owner = self
                *parents, leaf = key.split(".")
                for parent in parents:
                    if not hasattr(owner, parent):
                        owner.add_module(parent, torch.nn.Module())
                    owner = getattr(owner, parent)
                owner.register_buffer(leaf, tensor)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    path = tmp_path / "archive.pt"
    sizes = {"input_resolution": torch.tensor(64)}
    torch.jit.save(torch.jit.script(Archive({**weights, **sizes})), path)
    model, _, _ = load_model(named, str(path))
    torch.testing.assert_close(model.state_dict()["visual.proj"], weights["visual.proj"])


def test_random_weights_are_announced(named: str):
    with pytest.warns(UserWarning, match="tiny-named has random weights"):
        encoder = ClipEncoder.load(named, device="cpu")
    assert encoder.name == "tiny-named/random"


def test_a_folder_brings_its_own_weights(tiny_resnet: Path):
    with pytest.raises(ValueError, match="leave out 'openai'"):
        load_model(str(tiny_resnet), "openai")
