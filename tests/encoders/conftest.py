"""Tiny CLIPs in the formats that real ones come in."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from clipnav.encoders.weights.weight_files import write_local_dir

TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
VISION = {
    "resnet": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 16, "patch_size": None},
    "transformer": {"image_size": 64, "layers": 3, "width": 48, "head_width": 16, "patch_size": 16},
    "uneven": {"image_size": 70, "layers": 3, "width": 48, "head_width": 16, "patch_size": 16},
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


@pytest.fixture(scope="session")
def uneven_transformer(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP whose image size is no multiple of its patch size."""
    return write_tiny_clip(tmp_path_factory.mktemp("clips") / "tiny", "uneven")


@pytest.fixture(scope="session")
def tiny_text_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a tiny XLM-R of transformers with its tokenizer, as save_pretrained writes it."""
    from transformers import XLMRobertaModel

    folder = tmp_path_factory.mktemp("texts") / "tiny_text"
    write_tokenizer(folder)
    torch.manual_seed(0)
    XLMRobertaModel(text_config()).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def multilingual_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny CLIP with an XLM-R text tower in its subfolder `text`, tokenizer beside the model."""
    import open_clip

    folder = tmp_path_factory.mktemp("clips") / "multilingual"
    write_tokenizer(folder)
    text_config().save_pretrained(folder / "text")
    config: dict[str, Any] = {
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
    absolute: dict[str, Any] = {**config["text_cfg"], "hf_model_name": str(folder / "text")}
    absolute["hf_model_pretrained"] = False
    torch.manual_seed(0)
    model = open_clip.CustomTextCLIP(24, config["vision_cfg"], absolute)  # pyright: ignore
    write_local_dir(folder, model.state_dict(), config, {})
    return folder


def write_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

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


def text_config() -> Any:
    from transformers import XLMRobertaConfig

    return XLMRobertaConfig(
        vocab_size=100,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        max_position_embeddings=40,
        pad_token_id=1,
    )
