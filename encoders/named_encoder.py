"""Encoders as comparisons name them on the command line."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from storage.features.store_file import OTHER_FORMATS

# In these names the colon does not separate a tag.
_PREFIXES = ("local-dir:", "hf-hub:")
_STORE_SUFFIXES = (".safetensors", *OTHER_FORMATS)
_RANDOM = ":random"


@dataclass(frozen=True)
class NamedEncoder:
    """An encoder of the command line: its name in the tables, its source and its weights.

    Attributes:
        name: Name in the tables.
        source: Name or folder of a model, or a feature store if `is_store`.
        pretrained: Tag or file of the weights of an open_clip name.
        random_weights: Whether the weights are random.
    """

    name: str
    source: str
    pretrained: str | None = None
    random_weights: bool = False

    @classmethod
    def parse(cls, text: str) -> "NamedEncoder":
        """Parse "house_clip", "MODEL:TAG", "FOLDER", "MODEL:random" or "STORE", or "NAME=" and one.

        The name is that of the folder or file, or the text, if none is given.
        """
        name, equals, source = text.rpartition("=")
        random = source.endswith(_RANDOM)
        model = source.removesuffix(_RANDOM)
        if Path(model).is_dir() or model.startswith(_PREFIXES):
            own = Path(model).name + (_RANDOM if random else "")
            return cls(name if equals else own, model, random_weights=random)
        if Path(source).suffix in _STORE_SUFFIXES and ":" not in source:
            return cls(name if equals else Path(source).stem, source)
        model, _, tag = model.partition(":")
        return cls(name if equals else source, model, tag or None, random)

    @property
    def is_store(self) -> bool:
        """Whether the source is a feature store."""
        return Path(self.source).suffix in _STORE_SUFFIXES

    @property
    def file(self) -> str:
        """File name of the feature store."""
        return re.sub(r"[^\w.+-]+", "-", self.name) + ".safetensors"


def named_encoders(texts: Sequence[str]) -> list[NamedEncoder]:
    """Parse the encoders of a command line.

    Raises:
        ValueError: There are no encoders, or two have the same name.
    """
    named = [NamedEncoder.parse(text) for text in texts]
    if not named or len({encoder.file for encoder in named}) < len(named):
        raise ValueError(
            f"--encoders {' '.join(texts)}: no encoder, or two of one name; give at least one, and "
            "different names with NAME=ENCODER"
        )
    return named
