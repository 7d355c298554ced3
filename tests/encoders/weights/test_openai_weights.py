"""Generated files in the formats of OpenAI and transformers, against their source models."""

import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from open_clip.model import CLIP

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights.model_building import build_model
from clipnav.encoders.weights.openai_weights import (
    openai_model_config,
    read_openai_weights,
    write_clip,
)
from clipnav.encoders.weights.transformers_weights import (
    from_transformers,
    read_transformers_clip,
    write_transformers_clip,
)
from clipnav.encoders.weights.weight_files import CONFIG_FILE
from clipnav.storage.errors import UserError

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 2}
VISION = {
    "resnet": {"image_size": 64, "layers": [1, 2, 1, 1], "width": 16, "patch_size": None},
    "vit": {"image_size": 64, "layers": 3, "width": 128, "patch_size": 16},
}
EXTRAS = {"input_resolution": 64, "context_length": 16, "vocab_size": 49408}


def openai_model(tower: str) -> CLIP:
    torch.manual_seed(0)
    model = CLIP(
        embed_dim=32,
        vision_cfg={**VISION[tower], "head_width": 64},  # pyright: ignore[reportArgumentType]
        text_cfg=TEXT,  # pyright: ignore[reportArgumentType]
        quick_gelu=True,
    )
    for name, weight in model.named_parameters():
        if name.endswith("bn3.weight"):
            torch.nn.init.normal_(weight)
    return model.eval()


def save_archive(weights: dict[str, torch.Tensor], path: Path) -> None:
    """Write a TorchScript archive with the names, sizes and half precision of OpenAI's."""

    class Archive(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            tensors = {key: torch.tensor(value) for key, value in EXTRAS.items()}
            tensors |= {k: t.half() if t.is_floating_point() else t for k, t in weights.items()}
            for key, tensor in tensors.items():
                owner: torch.nn.Module = self
                *parents, leaf = key.split(".")
                for parent in parents:
                    if not hasattr(owner, parent):
                        owner.add_module(parent, torch.nn.Module())
                    owner = owner.get_submodule(parent)
                owner.register_buffer(leaf, tensor)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    torch.jit.save(torch.jit.script(Archive()), path)


def random_images() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype(np.uint8)


def assert_same_clip(encoder: ClipEncoder, model: CLIP, atol: float = 1e-5) -> None:
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    batch = torch.tensor((random_images() / 255 - mean) / std).permute(0, 3, 1, 2).float()
    sentences = ["a red sofa", "the kitchen"]
    tokens = open_clip.SimpleTokenizer(context_length=16)(sentences)
    with torch.no_grad():
        images, texts = model.encode_image(batch), model.encode_text(tokens, normalize=True)
    np.testing.assert_allclose(
        encoder.pooled(random_images()), images.numpy(), atol=atol, rtol=1e-4
    )
    np.testing.assert_allclose(encoder.text(sentences), texts.numpy(), atol=atol, rtol=1e-4)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize("tower", VISION)
def test_a_converted_openai_archive_has_the_same_outputs(tower: str, tmp_path: Path):
    model = openai_model(tower).half().float()  # the precision of the archive
    path, folder = tmp_path / "archive.pt", tmp_path / "converted"
    save_archive(model.state_dict(), path)
    weights, openai = read_openai_weights(path)
    assert openai
    assert weights["visual.conv1.weight"].dtype == torch.float16
    write_clip(weights, folder)
    encoder = ClipEncoder.load(str(folder), precision="fp32", device="cpu")
    assert_same_clip(encoder, model)
    assert json.loads((folder / CONFIG_FILE).read_text())["model_cfg"]["quick_gelu"] is True


def test_the_command_converts_a_state_dict(run_command, tmp_path: Path):
    model, path, folder = openai_model("vit"), tmp_path / "plain.pt", tmp_path / "converted"
    torch.save({**model.state_dict(), **{k: torch.tensor(v) for k, v in EXTRAS.items()}}, path)
    printed = run_command("convert-openai-clip", "--weights", path, "--output", folder)
    assert f"--encoder {folder}" in printed
    assert "taken to be OpenAI's" not in printed
    assert_same_clip(ClipEncoder.load(str(folder), precision="fp32", device="cpu"), model)
    # Without OpenAI's extras it can be a file of open_clip, whose models use another activation.
    torch.save(model.state_dict(), path)
    printed = run_command("convert-openai-clip", "--weights", path, "--output", tmp_path / "other")
    assert f"{path}: taken to be OpenAI's, with QuickGELU" in printed
    assert f"--encoder NAME --pretrained {path}" in printed


@pytest.mark.parametrize("name", ["RN50", "RN101", "RN50x4", "ViT-B-32", "ViT-B-16", "ViT-L-14"])
def test_the_configuration_is_derived_from_the_shapes_of_openais_models(name: str):
    config = open_clip.get_model_config(name)
    assert config is not None
    with torch.device("meta"):
        config_of_shapes = openai_model_config(CLIP(**config).state_dict())
    assert config_of_shapes["quick_gelu"] is True
    assert config_of_shapes["embed_dim"] == config["embed_dim"]
    for part in ("vision_cfg", "text_cfg"):
        assert config_of_shapes[part] == {**config_of_shapes[part], **config[part]}


def test_weights_of_another_model_are_refused(tmp_path: Path):
    weights = openai_model("vit").state_dict()
    with pytest.raises(ValueError, match="'text_projection' is missing"):
        openai_model_config({k: v for k, v in weights.items() if k != "text_projection"})
    weights["visual.extra"] = torch.zeros(1)
    with pytest.raises(ValueError, match=r"visual\.extra is not part of the model"):
        write_clip(weights, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@torch.no_grad()
def test_conversion_to_and_from_transformers_keeps_the_outputs(tmp_path: Path):
    from transformers import CLIPModel

    model = openai_model("vit")
    write_clip(model.state_dict(), tmp_path / "converted")
    write_transformers_clip(tmp_path / "converted", tmp_path / "transformers")
    exported = CLIPModel.from_pretrained(tmp_path / "transformers").eval()
    encoder = ClipEncoder.load(str(tmp_path / "converted"), precision="fp32", device="cpu")
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    batch = torch.tensor((random_images() / 255 - mean) / std).permute(0, 3, 1, 2).float()
    tokens = open_clip.SimpleTokenizer(context_length=16)(["a red sofa", "the kitchen"])
    vision = exported.vision_model(pixel_values=batch)
    pooled = exported.visual_projection(vision.pooler_output).numpy()
    np.testing.assert_allclose(encoder.pooled(random_images()), pooled, rtol=1e-4, atol=1e-5)
    text = exported.text_projection(exported.text_model(input_ids=tokens).pooler_output)
    texts = encoder.text(["a red sofa", "the kitchen"])
    expected = torch.nn.functional.normalize(text, dim=-1).numpy()
    np.testing.assert_allclose(texts, expected, rtol=1e-4, atol=1e-5)
    grid = exported.vision_model.post_layernorm(vision.last_hidden_state[:, 1:]).view(2, 4, 4, 128)
    np.testing.assert_allclose(encoder.grid(random_images()), grid.numpy(), rtol=1e-4, atol=1e-5)
    wide = np.random.default_rng(1).integers(0, 256, (1, 96, 64, 3)).astype(np.uint8)
    assert encoder.pooled(wide, (96, 64), "stretch").shape == pooled[:1].shape

    weights, config, preprocessing = read_transformers_clip(tmp_path / "transformers")
    assert config["quick_gelu"]
    write_clip(weights, tmp_path / "back", config, preprocessing)
    back = ClipEncoder.load(str(tmp_path / "back"), precision="fp32", device="cpu")
    assert back.weights_sha256 == encoder.weights_sha256
    again = back.pooled(random_images())
    np.testing.assert_allclose(again, encoder.pooled(random_images()), rtol=1e-4, atol=1e-5)
    restored = from_transformers(exported.state_dict())
    assert restored.keys() == model.state_dict().keys()


def test_conversion_to_and_from_transformers_keeps_the_preprocessing(tmp_path: Path, capsys):
    from transformers import CLIPImageProcessor

    own = {"mean": [0.5, 0.4, 0.3], "std": [0.2, 0.3, 0.25], "interpolation": "bilinear"}
    write_clip(openai_model("vit").state_dict(), tmp_path / "own", preprocessing=own)
    write_transformers_clip(tmp_path / "own", tmp_path / "transformers")
    assert read_transformers_clip(tmp_path / "transformers")[2] == own
    ramp = np.linspace(0, 255, 150 * 100 * 3).reshape(150, 100, 3).astype(np.uint8)
    processor = CLIPImageProcessor.from_pretrained(tmp_path / "transformers")
    pixels = processor(ramp, return_tensors="pt")["pixel_values"]
    preparation = ClipEncoder.load(str(tmp_path / "own"), device="cpu").preparation
    (batch,) = preparation.batches([ramp], None, "center_crop")
    torch.testing.assert_close(pixels, batch.pixels, rtol=0, atol=0.05)

    # CLIPProcessor.save_pretrained of transformers 5 writes one file for images and texts.
    settings = tmp_path / "transformers/preprocessor_config.json"
    processor.save_pretrained(tmp_path / "image")
    saved = json.loads((tmp_path / "image/preprocessor_config.json").read_text())
    (tmp_path / "transformers/processor_config.json").write_text(
        json.dumps({"image_processor": saved, "processor_class": "CLIPProcessor"})
    )
    content = settings.read_text()
    settings.unlink()
    assert read_transformers_clip(tmp_path / "transformers")[2] == own
    (tmp_path / "transformers/processor_config.json").unlink()
    assert read_transformers_clip(tmp_path / "transformers")[2] == {}
    assert "OpenAI's mean, deviation and resizing are assumed" in capsys.readouterr().out

    settings.write_text(content)
    settings.write_text(json.dumps({**json.loads(settings.read_text()), "resample": 1}))
    with pytest.raises(UserError, match=r"preprocessor_config\.json: .*interpolation is .*1"):
        read_transformers_clip(tmp_path / "transformers")
    write_clip(
        openai_model("vit").state_dict(), tmp_path / "longest", None, {"resize_mode": "longest"}
    )
    with pytest.raises(UserError, match="longest"):
        write_transformers_clip(tmp_path / "longest", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def tiny_folder(
    folder: Path, vision: dict[str, object] | None = None, text: dict[str, object] | None = None
) -> Path:
    """Write a small CLIP with some settings of its towers that differ from OpenAI's."""
    config = {
        "embed_dim": 16,
        "vision_cfg": {**VISION["vit"], "width": 64, "layers": 1, **(vision or {})},
        "text_cfg": {"width": 64, "heads": 1, "layers": 1, **(text or {})},
    }
    write_clip(build_model(config, None, "model").state_dict(), folder, config)
    return folder


@pytest.mark.parametrize(
    ("vision", "text", "setting"),
    [
        ({"pool_type": "avg"}, {}, "vision_cfg.pool_type 'avg'"),
        ({"norm_kwargs": {"eps": 0.1, "bias": False}}, {}, "vision_cfg.norm_kwargs"),
        ({"no_ln_pre": True}, {}, "vision_cfg.no_ln_pre True"),
        ({"image_size": [64, 32]}, {}, r"vision_cfg.image_size \[64, 32\]"),
        ({}, {"pool_type": "last"}, "text_cfg.pool_type 'last'"),
        ({}, {"no_causal_mask": True}, "text_cfg.no_causal_mask True"),
    ],
)
def test_towers_that_transformers_would_compute_otherwise_are_refused(
    tmp_path: Path, vision: dict[str, object], text: dict[str, object], setting: str
):
    folder = tiny_folder(tmp_path / "own", vision, text)
    with pytest.raises(UserError, match=f"transformers does not support {setting}"):
        write_transformers_clip(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@torch.no_grad()
def test_hidden_layers_of_other_widths_are_converted_both_ways(tmp_path: Path):
    # int(704 * (960 / 704)) is 959. Context length and vocabulary are open_clip's defaults.
    own = tiny_folder(
        tmp_path / "own", {"width": 704, "mlp_ratio": 960.5 / 704}, {"mlp_ratio": 2.0}
    )
    write_transformers_clip(own, tmp_path / "transformers")
    exported = json.loads((tmp_path / "transformers/config.json").read_text())
    assert exported["vision_config"]["intermediate_size"] == 960
    assert exported["text_config"]["intermediate_size"] == 128
    weights, config, preprocessing = read_transformers_clip(tmp_path / "transformers")
    write_clip(weights, tmp_path / "back", config, preprocessing)
    encoder, back = (
        ClipEncoder.load(str(folder), precision="fp32", device="cpu")
        for folder in (own, tmp_path / "back")
    )
    assert back.weights_sha256 == encoder.weights_sha256
    texts = back.text(["a sofa"]), encoder.text(["a sofa"])
    np.testing.assert_allclose(*texts, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_layer_norms_of_another_epsilon_are_converted_both_ways(tmp_path: Path):
    from transformers import CLIPConfig, CLIPModel

    sizes = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {**sizes, "intermediate_size": 128, "projection_dim": 32, "layer_norm_eps": 0.2}
    vision = {**text, "layer_norm_eps": 0.1, "image_size": 64, "patch_size": 16}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(vision_config=vision, text_config=text, projection_dim=32)).eval()
    model.save_pretrained(tmp_path / "transformers")
    weights, config, preprocessing = read_transformers_clip(tmp_path / "transformers")
    write_clip(weights, tmp_path / "own", config, preprocessing)
    encoder = ClipEncoder.load(str(tmp_path / "own"), precision="fp32", device="cpu")
    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    batch = torch.tensor((random_images() / 255 - mean) / std).permute(0, 3, 1, 2).float()
    pooled = model.visual_projection(model.vision_model(pixel_values=batch).pooler_output).numpy()
    np.testing.assert_allclose(encoder.pooled(random_images()), pooled, rtol=1e-3, atol=1e-5)

    write_transformers_clip(tmp_path / "own", tmp_path / "back")
    back = CLIPModel.from_pretrained(tmp_path / "back").eval()
    tokens = {"input_ids": open_clip.tokenize(["a sofa"]), "pixel_values": batch}
    outputs, expected = back(**tokens), model(**tokens)
    torch.testing.assert_close(back.state_dict(), model.state_dict(), rtol=0, atol=0)
    torch.testing.assert_close(outputs.image_embeds, expected.image_embeds)
    torch.testing.assert_close(outputs.text_embeds, expected.text_embeds)


def test_a_file_must_be_converted_to_a_folder_first(tmp_path: Path):
    (tmp_path / "RN50.pt").touch()
    with pytest.raises(ValueError, match=r"RN50\.pt: a file, .* --output FOLDER"):
        write_transformers_clip(tmp_path / "RN50.pt", tmp_path / "out")


def test_folders_without_a_clip_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"config\.json: the file is missing"):
        read_transformers_clip(tmp_path)
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="'bert', not 'clip'"):
        read_transformers_clip(tmp_path)
    write_clip(openai_model("resnet").state_dict(), tmp_path / "resnet")
    with pytest.raises(ValueError, match=r"do.* not support these towers.* plain ViT"):
        write_transformers_clip(tmp_path / "resnet", tmp_path / "out")
