"""Encoders as a single word of the command line: model and weights, and a name in comparisons."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from clipnav.storage.errors import UserError
from clipnav.storage.features.store_file import OTHER_FORMATS

if TYPE_CHECKING:
    import torch

    from clipnav.encoders.clip import ClipEncoder

# In these names the colon does not separate a tag.
_PREFIXES = ("local-dir:", "hf-hub:")
_STORE_SUFFIXES = (".safetensors", *OTHER_FORMATS)
_RANDOM = ":random"
_DRIVE = re.compile(r"^[A-Za-z]:[\\/]")  # of a path on Windows


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
        """Parse "NAME=" and an encoder, or an encoder alone; see `parse_unnamed`.

        The encoder begins at the first "=" that an existing path follows, as paths such as
        "runs/lr=0.1/house_clip" contain one, too; without such a path, at the last "=".
        """
        parts = text.split("=")
        ends = [("=".join(parts[:start]), "=".join(parts[start:])) for start in range(len(parts))]
        paths = (end for end in ends if Path(end[1].removesuffix(_RANDOM)).exists())
        name, source = next(paths, ends[-1])
        encoder = cls.parse_unnamed(source)
        return replace(encoder, name=name) if name else encoder

    @classmethod
    def parse_unnamed(cls, source: str) -> "NamedEncoder":
        """Parse "house_clip", "MODEL:TAG", "FOLDER", "MODEL:random" or "STORE".

        The name is that of the folder or file, or the text.
        """
        random = source.endswith(_RANDOM)
        model = source.removesuffix(_RANDOM)
        is_store = Path(source).suffix in _STORE_SUFFIXES
        is_windows_path = _DRIVE.match(model) is not None and not is_store
        if Path(model).is_dir() or model.startswith(_PREFIXES) or is_windows_path:
            name = Path(model).name + (_RANDOM if random else "")
            return cls(name, model, random_weights=random)
        if is_store and ":" not in _DRIVE.sub("", source):
            return cls(Path(source).stem, source)
        model, _, tag = model.partition(":")
        return cls(source, model, tag or None, random)

    @property
    def is_store(self) -> bool:
        """Whether the source is a feature store."""
        return Path(self.source).suffix in _STORE_SUFFIXES

    @property
    def file(self) -> str:
        """File name of the feature store."""
        return re.sub(r"[^\w.+-]+", "-", self.name) + ".safetensors"

    def load(
        self, precision: str = "auto", device: "str | torch.device | None" = None
    ) -> "ClipEncoder":
        """Load the encoder, see `clipnav.encoders.clip.ClipEncoder.load`."""
        from clipnav.encoders.clip import ClipEncoder

        if self.is_store:
            raise UserError(
                f"{self.source}: a feature store cannot encode pictures; give an encoder, such as "
                "house_clip"
            )
        return ClipEncoder.load(
            self.source,
            self.pretrained,
            precision,
            device,
            random_weights=self.random_weights,
        )


def named_encoders(texts: Sequence[str]) -> list[NamedEncoder]:
    """Parse the encoders of a command line."""
    named = [NamedEncoder.parse(text) for text in texts]
    if not named or len({encoder.file for encoder in named}) < len(named):
        raise UserError(
            f"--encoders {' '.join(texts)}: no encoder, or two of one name; give at least one, and "
            "different names with NAME=ENCODER"
        )
    return named
