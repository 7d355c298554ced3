"""Settings of the translation of questions."""

from dataclasses import dataclass
from pathlib import Path

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_splits
from clipnav.vl_tasks.settings.runs import check_codes


@dataclass(frozen=True)
class TranslationConfig:
    """Settings of a translation."""

    model: str
    """Marian model from English: a folder of transformers, or a name on Hugging Face such as
    Helsinki-NLP/opus-mt-en-fr."""
    language: str
    """Code of the target language, such as fr."""
    data: Path = Path("data/vqa")
    """Data folder; the translations are written to its folder languages/LANGUAGE."""
    splits: tuple[str, ...] = ("train", "val")
    """Splits to translate."""
    prefix: str = ""
    """Text before each question, such as ">>fra<<" for a model of several target languages."""
    batch_size: int = 64
    """Number of questions in a batch."""
    beams: int = 4
    """Beam width."""
    max_length: int = 64
    """Maximum number of tokens of a translation."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""
    threads: int | None = None
    """Number of CPU threads of torch; default: torch's own."""

    def __post_init__(self) -> None:
        check_counts(self, ("batch_size", "beams", "max_length", "threads"))
        check_splits(self, ("splits",))
        check_codes((self.language,), "--language")
        if self.language == "en":
            raise UserError("--language en: the questions are in English; give another language")
