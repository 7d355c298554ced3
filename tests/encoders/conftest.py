"""Tiny CLIPs in the formats that real ones come in."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "transformer": {"image_size": 64, "layers": 3, "width": 48, "head_width": 16, "patch_size": 16},
}


def write_tiny_clip(folder: Path, tower: str) -> Path:
    from open_clip.model import CLIP

    torch.manual_seed(0)
    config = {"embed_dim": 32, "vision_cfg": VISION[tower], "text_cfg": TEXT}
    model = CLIP(**config)
    for name, weight in model.named_parameters():
        if name.endswith("bn3.weight"):
            # Zero at the start of training, which would leave residual blocks without effect.
            torch.nn.init.normal_(weight)
    folder.mkdir(parents=True)
    preprocess = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.25, 0.3]}
    (folder / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": config, "preprocess_cfg": preprocess})
    )
    weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return folder


@pytest.fixture(scope="session", params=["resnet", "transformer"])
def tiny_clip(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clips") / request.param, request.param)


@pytest.fixture(scope="session")
def tiny_resnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clips") / "tiny", "resnet")


@pytest.fixture(scope="session")
def tiny_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_clip(tmp_path_factory.mktemp("clips") / "tiny", "transformer")
