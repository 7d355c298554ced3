"""Load models of transformers that answer in words, with or without picture input."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clipnav.storage.chat_templates import ChatTemplate
from clipnav.storage.extras import check_extra
from clipnav.storage.hugging_face import check_folder, reading
from clipnav.training.devices import check_device

_SLOW = 5e8  # parameters
_GGUF = ".gguf"
_GGUF_REMEDY = "download the file again, or name a folder of transformers"


@dataclass(frozen=True)
class LoadedModel:
    """Model with what prepares its input.

    Attributes:
        name: Name on the Hugging Face hub, folder or file.
        model: The model, in evaluation mode.
        template: Chat template.
        reads_pictures: Whether pictures can be part of a prompt.
    """

    name: str
    model: Any
    template: ChatTemplate
    reads_pictures: bool

    @property
    def processor(self) -> Any:
        """The processor of a model that reads pictures, otherwise the tokenizer."""
        return self.template.processor

    @property
    def tokenizer(self) -> Any:
        """The tokenizer, which a processor contains."""
        return self.processor.tokenizer if self.reads_pictures else self.processor

    @property
    def ends(self) -> list[int]:
        """Tokens that end an answer, first the tokenizer's."""
        named = self.model.generation_config.eos_token_id or []
        named = [named] if isinstance(named, int) else named
        return list(dict.fromkeys([self.tokenizer.eos_token_id, *named]))

    @property
    def identity(self) -> str:
        """Name that changes with the weights."""
        path = Path(self.name)
        if not path.exists():
            return f"transformers:{self.name}@{getattr(self.model.config, '_commit_hash', None)}"
        files = sorted(file for file in (path, *path.glob("*")) if file.is_file())
        states = [f"{file.name}:{file.stat().st_size}:{file.stat().st_mtime_ns}" for file in files]
        return f"transformers:{path.resolve()} {' '.join(states)}"


def load_model(name: str, device: str) -> LoadedModel:
    """Load a model, whose configuration says whether it reads pictures."""
    from transformers import (
        MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
        AutoConfig,
        AutoModelForCausalLM,
        AutoModelForImageTextToText,
        AutoProcessor,
        AutoTokenizer,
    )

    check_device(device)
    if name.endswith(_GGUF):
        if not Path(name).is_file():
            raise FileNotFoundError(f"{name}: no such file; name a GGUF file, or a folder")
        for package in ("gguf", "accelerate"):
            check_extra(package, "gguf", f"--local-model {name}")
        source: dict[str, Any] = {"gguf_file": Path(name).name}
        remedy = {"remedy": _GGUF_REMEDY}
        folder = str(Path(name).parent)
    else:
        source, remedy, folder = {}, {}, name
        check_folder(name)
    source["trust_remote_code"] = False
    with reading(name, **remedy):
        config: Any = AutoConfig.from_pretrained(folder, **source)
        reads_pictures = type(config) in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING
        kind: Any = AutoModelForImageTextToText if reads_pictures else AutoModelForCausalLM
        prepares: Any = AutoProcessor if reads_pictures else AutoTokenizer
        processor = prepares.from_pretrained(folder, **source)
        model = kind.from_pretrained(folder, dtype="auto", **source)
    template = ChatTemplate(name, processor)
    loaded = LoadedModel(name, model.to(device).eval(), template, reads_pictures)
    loaded.tokenizer.padding_side = "left"
    if loaded.tokenizer.pad_token is None:
        loaded.tokenizer.pad_token = loaded.tokenizer.eos_token
    parameters = sum(weight.numel() for weight in model.parameters())
    slow = "; a decision can take minutes" if device == "cpu" and parameters > _SLOW else ""
    print(f"{name}: {parameters / 1e6:.3g} million parameters on {device}{slow}")
    return loaded
