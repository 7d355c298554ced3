import json
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import load_file

from encoders.clip import ClipEncoder
from encoders.loading import load_model, weights_sha256
from encoders.local_dir import write_local_dir


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


def write_multilingual_clip(folder: Path) -> None:
    """A tiny CLIP with an XLM-R text tower in its subfolder `text`, tokenizer beside the model."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast, XLMRobertaConfig

    sentences = ["a red sofa", "un canapé rouge", "लाल सोफ़े के पास रुकें"]
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=90, special_tokens=special, unk_token="<unk>")
    tokenizer.train_from_iterator(sentences, trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        unk_token="<unk>",
    ).save_pretrained(folder)
    XLMRobertaConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        pad_token_id=1,
    ).save_pretrained(folder / "text")
    config = {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 64, "patch_size": 16},
        "text_cfg": {
            "hf_model_name": "text",
            "hf_tokenizer_name": "text",
            "hf_proj_type": "mlp",
            "hf_pooler_type": "mean_pooler",
            "context_length": 12,
        },
    }
    absolute = {**config["text_cfg"], "hf_model_name": str(folder / "text")}
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(
        embed_dim=24,
        vision_cfg=config["vision_cfg"],
        text_cfg={**absolute, "hf_model_pretrained": False},  # pyright: ignore
    )
    write_local_dir(folder, model.state_dict(), config, {})


def test_a_multilingual_text_tower_lies_in_the_folder_wherever_that_is(tmp_path: Path):
    write_multilingual_clip(tmp_path / "made")
    sentences = ["un canapé rouge", "लाल सोफ़े"]
    before = ClipEncoder.load(str(tmp_path / "made"), device="cpu").text(sentences)
    (tmp_path / "made").rename(tmp_path / "moved")
    encoder = ClipEncoder.load(str(tmp_path / "moved"), device="cpu")
    assert before.shape == (2, 24)
    np.testing.assert_array_equal(encoder.text(sentences), before)
    # Padding of a longer neighbour does not matter, other words do.
    alone = encoder.text(sentences[1:])
    np.testing.assert_allclose(alone, before[1:], rtol=1e-4, atol=1e-5)
    assert np.abs(before[0] - before[1]).max() > 1e-3


@pytest.mark.parametrize(
    ("name", "tag", "quick"),
    [("ViT-B-32", "openai", True), ("ViT-B-32", "laion2b_s34b_b79k", False)],
)
def test_tags_bring_their_activation(name, tag, quick, monkeypatch: pytest.MonkeyPatch):
    class Asked(Exception):
        pass

    def ask(*arguments, **options):
        raise Asked(arguments, options)

    monkeypatch.setattr(open_clip, "create_model", ask)
    monkeypatch.setattr("encoders.loading.is_reachable", lambda address: True)
    with pytest.raises(Asked) as asked:
        load_model(name, tag)
    assert asked.value.args == ((name,), {"pretrained": tag, "force_quick_gelu": quick})


def test_what_cannot_be_fetched_says_so(monkeypatch: pytest.MonkeyPatch):
    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.setattr(open_clip, "create_model", refuse)
    monkeypatch.setattr("encoders.loading.is_reachable", lambda address: True)
    with pytest.raises(ConnectionError, match="hf-hub:a/b; fetch it where there is a network"):
        load_model("hf-hub:a/b", None)
    with pytest.raises(ConnectionError, match="cannot fetch the weights 'openai' of RN50"):
        load_model("RN50", "openai")
