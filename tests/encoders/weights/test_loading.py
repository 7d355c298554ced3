import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.weights import model_building
from clipnav.encoders.weights.loading import load_model, weights_sha256
from clipnav.encoders.weights.model_config import check_model_config, check_preprocess_config


@pytest.fixture
def named(tiny_transformer: Path, tmp_path: Path) -> str:
    """Name under which open_clip knows the tiny transformer's architecture."""
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


def test_openai_files_use_quick_gelu(named: str, weights: dict[str, torch.Tensor], tmp_path: Path):
    extras = {"input_resolution": 64, "context_length": 16, "vocab_size": 49408}
    plain = tmp_path / "plain.pt"
    torch.save({**weights, **{key: torch.tensor(value) for key, value in extras.items()}}, plain)
    model, _, _ = load_model(named, str(plain))
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(tensor, weights[key])
    assert activation(model) == "QuickGELU"


def test_the_digest_depends_on_settings_that_are_not_in_the_weights(
    tiny_transformer: Path, tmp_path: Path
):
    """The same weights give other features with another activation or another mean colour."""
    config = json.loads((tiny_transformer / "open_clip_config.json").read_text())
    model_cfg, preprocess_cfg = config["model_cfg"], config["preprocess_cfg"]
    vision_cfg = model_cfg["vision_cfg"]
    changes = [
        {},
        {"model_cfg": {**model_cfg, "quick_gelu": True}},
        {"model_cfg": {**model_cfg, "vision_cfg": {**vision_cfg, "head_width": 24}}},
        {"model_cfg": {**model_cfg, "vision_cfg": {**vision_cfg, "pool_type": "avg"}}},
        {"preprocess_cfg": {**preprocess_cfg, "mean": [0.5, 0.5, 0.5]}},
        {"preprocess_cfg": {**preprocess_cfg, "interpolation": "bilinear"}},
    ]
    digests = set()
    for number, change in enumerate(changes):
        folder = tmp_path / str(number)
        shutil.copytree(tiny_transformer, folder)
        (folder / "open_clip_config.json").write_text(json.dumps({**config, **change}))
        encoder = ClipEncoder.load(str(folder), device="cpu")
        digests.add(encoder.weights_sha256)
    assert len(digests) == len(changes)


def test_random_weights_must_be_requested(named: str, tiny_resnet: Path):
    with pytest.raises(ValueError, match=r"tiny-named has no weights .*--pretrained\)$"):
        ClipEncoder.load(named, device="cpu")
    torch.manual_seed(5)
    state = torch.get_rng_state()
    encoder = ClipEncoder.load(named, device="cpu", random_weights=True)
    assert encoder.name == "tiny-named/random"
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(6)
    again = ClipEncoder.load(named, device="cpu", random_weights=True)
    assert again.weights_sha256 == encoder.weights_sha256
    folder = ClipEncoder.load(str(tiny_resnet), device="cpu", random_weights=True)
    assert folder.name == "tiny/random"
    assert folder.weights_sha256 != ClipEncoder.load(str(tiny_resnet)).weights_sha256
    with pytest.raises(ValueError, match="exclude each other"):
        ClipEncoder.load(named, "openai", random_weights=True)


def test_a_folder_with_a_multilingual_text_tower_can_be_moved(
    multilingual_clip: Path, tmp_path: Path
):
    shutil.copytree(multilingual_clip, tmp_path / "made")
    sentences = ["un canapé rouge", "लाल सोफ़े"]
    before = ClipEncoder.load(str(tmp_path / "made"), device="cpu").text(sentences)
    (tmp_path / "made").rename(tmp_path / "moved")
    encoder = ClipEncoder.load(str(tmp_path / "moved"), device="cpu")
    assert before.shape == (2, 24)
    np.testing.assert_array_equal(encoder.text(sentences), before)
    # Padding to the length of another sentence does not change the features.
    alone = encoder.text(sentences[1:])
    np.testing.assert_allclose(alone, before[1:], rtol=1e-4, atol=1e-5)
    assert np.abs(before[0] - before[1]).max() > 1e-3


@pytest.mark.parametrize("quick", [True, False])
def test_tags_set_activation_and_preprocessing(
    quick: bool, named: str, tiny_transformer: Path, monkeypatch: pytest.MonkeyPatch
):
    tag = {"hf_hub": "owner/model/", "quick_gelu": quick, "mean": (0.1, 0.2, 0.3)}
    file = tiny_transformer / "open_clip_model.safetensors"
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: tag)
    monkeypatch.setattr("clipnav.encoders.weights.origins.is_reachable", lambda address: True)
    monkeypatch.setattr(open_clip.pretrained, "download_pretrained", lambda tag: str(file))
    model, _, name = load_model(named, "some_tag")
    assert name == "tiny-named/some_tag"
    assert activation(model) == ("QuickGELU" if quick else "GELU")
    preprocessing: Any = model.visual
    assert preprocessing.preprocess_cfg["mean"] == (0.1, 0.2, 0.3)
    assert preprocessing.preprocess_cfg["size"] == (64, 64)


def test_a_hugging_face_model_is_read_from_its_files(
    tiny_transformer: Path, monkeypatch: pytest.MonkeyPatch
):
    def download(hub_name: str, filename: str = "open_clip_model.safetensors", **_: Any) -> str:
        assert hub_name == "owner/model"
        return str(tiny_transformer / filename)

    monkeypatch.setattr(open_clip.pretrained, "download_pretrained_from_hf", download)
    monkeypatch.setattr(open_clip.factory, "download_pretrained_from_hf", download)
    model, tokenizer, name = load_model("hf-hub:owner/model")
    assert weights_sha256(model) == weights_sha256(load_model(str(tiny_transformer))[0])
    assert tokenizer(["a room"]).shape == (1, 16)
    assert name == "hf-hub:owner/model"


def test_weights_that_cannot_be_downloaded_are_an_error(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(open_clip.pretrained, "download_pretrained", refuse)
    monkeypatch.setattr(open_clip.pretrained, "download_pretrained_from_hf", refuse)
    with pytest.raises(ConnectionError, match=r"hf-hub:a/b \(.*\); download it on a machine"):
        load_model("hf-hub:a/b")
    with pytest.raises(ConnectionError, match="cannot download the weights 'openai' of RN50"):
        load_model("RN50", "openai")


def test_weights_of_another_model_are_refused_before_it_is_built(
    named: str, tiny_resnet: Path, monkeypatch: pytest.MonkeyPatch
):
    built = model_building._build
    devices = []

    def recording(config, source):
        devices.append(torch.empty(0).device.type)
        return built(config, source)

    monkeypatch.setattr(model_building, "_build", recording)
    file = tiny_resnet / "open_clip_model.safetensors"
    with pytest.raises(ValueError, match=r"open_clip_model\.safetensors: the weights do not match"):
        load_model(named, str(file))
    with pytest.raises(
        ValueError, match=r"positional_embedding has shape \(16, 32\), not \(77, 512\)"
    ):
        load_model("ViT-B-32", str(file))
    assert devices == ["meta", "meta"]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"embed_dim": 10**9}, r"model_cfg\.embed_dim is 1000000000, not from 1 to 65536"),
        ({"embed_dim": "32"}, "Expected `int`, got `str`"),
        ({"embedding": 32}, r"model_cfg\.embedding is not a field of open_clip"),
        ({"vision_cfg": []}, r"model_cfg\.vision_cfg is not a JSON object"),
        ({"vision_cfg": {"layers": 10**6}}, r"vision_cfg\.layers is 1000000, not from 1 to 256"),
        ({"vision_cfg": {"width": 30000}}, "the weights do not match the model"),
        ({"vision_cfg": {"head_width": 40}}, None),
        ({"vision_cfg": {"head_width": 60}}, "cannot be divided into heads"),
        ({"vision_cfg": {"image_size": 8192}}, "too many grid cells"),
        ({"vision_cfg": {"image_size": 80}}, "visual.positional_embedding has shape"),
        ({"vision_cfg": {"timm_model_name": "hf-hub:a/b"}}, "timm has no such model"),
        ({"text_cfg": {"heads": 3}}, "width 32 cannot be divided among 3 heads"),
        ({"text_cfg": {"vocab_size": float("nan")}}, "Expected `int`"),
        ({"text_cfg": {"mlp_ratio": float("nan")}}, "mlp_ratio is nan, not from"),
        ({"text_cfg": {"tokenizer_kwargs": {"bpe_path": "/etc"}}}, "bpe_path is not a field"),
    ],
)
def test_invalid_configurations_are_refused(
    change: dict[str, Any], problem: str | None, tiny_transformer: Path, tmp_path: Path
):
    folder = tmp_path / "changed"
    shutil.copytree(tiny_transformer, folder)
    path = folder / "open_clip_config.json"
    config = json.loads(path.read_text())
    for name, value in change.items():
        old = config["model_cfg"].get(name)
        config["model_cfg"][name] = {**old, **value} if isinstance(value, dict) else value
    path.write_text(json.dumps(config))
    if problem is None:  # one head of 48 instead of three of 16 has the same shapes
        load_model(str(folder))
        return
    with pytest.raises(ValueError, match=rf"changed.*{problem}"):
        load_model(str(folder))


def test_all_of_open_clips_own_configurations_pass():
    for name in open_clip.list_models():
        check_model_config(open_clip.get_model_config(name), name)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"meam": [0, 0, 0]}, "meam is not a field"),
        ({"std": [0.1, 0.0, 0.1]}, "above 0"),
        ({"mean": [0.1, 0.1]}, "not one number for each"),
        ({"interpolation": "cubic"}, "not one of bicubic"),
    ],
)
def test_invalid_preprocessing_is_refused(change: dict[str, Any], problem: str):
    with pytest.raises(ValueError, match=rf"folder: preprocess_cfg.*{problem}"):
        check_preprocess_config(change, "folder")
