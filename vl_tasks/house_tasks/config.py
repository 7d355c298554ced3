"""Settings of the house tasks."""

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal

from clipnav.training.settings import check_counts, check_numbers
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH, check_languages

# Parts of the cache key; increase them if a configuration gives other files than before.
FORMAT = 6
LANGUAGES_FORMAT = 3  # of the files of further languages


@dataclass(frozen=True)
class HouseTasksConfig:
    """Settings of the generated house tasks."""

    train: int = 4800
    """Number of images of the split train."""
    val_seen: int = 320
    """Number of images of the split val_seen: other viewpoints in the training houses."""
    val_unseen: int = 480
    """Number of images of the split val_unseen: houses without training images."""
    questions: float = 6.0
    """Maximum average number of questions per image."""
    gqa_questions: float = 6.0
    """Maximum average number of balanced GQA-form questions per image."""
    hypotheses: float = 6.0
    """Maximum average number of hypotheses per image."""
    image_size: int = 224
    """Height and width of an image in pixels."""
    houses: int = 92
    """Number of houses; one fifth of them, but not more than the set has, are for val_unseen."""
    set: Literal["mini", "standard"] = "mini"
    """House set: mini, with further training houses from annex, or standard, whose houses are
    larger and have other plans and styles. Missing houses are built in the cache."""
    languages: tuple[str, ...] = (ENGLISH,)
    """Languages of the questions and captions: en, fr, de, es, hi, te. English is always written;
    the other ones are questions with the same ids, and captions."""
    seed: int = 0
    """Random seed for images, questions, hypotheses and captions."""

    def __post_init__(self) -> None:
        check_counts(self, ("image_size",))
        check_counts(self, ("seed",), least=0)
        check_numbers(self, ("questions", "gqa_questions", "hypotheses"))
        check_languages(self.languages)

    @property
    def key(self) -> str:
        """Digest of the settings that the files depend on."""
        settings = asdict(self)
        if self.set == "mini":
            del settings["set"]
        further = sorted(set(settings.pop("languages")) - {ENGLISH})
        text = json.dumps([FORMAT, settings, *([further, LANGUAGES_FORMAT] if further else [])])
        return hashlib.sha256(text.encode()).hexdigest()[:12]
