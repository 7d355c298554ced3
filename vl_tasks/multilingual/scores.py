"""Scores of answers in several languages: accuracy of each, and consistency among them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.multilingual.questions import LanguageQuestion, by_language
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.vqa.accuracy import VqaScores, score_predictions


@dataclass(frozen=True)
class MultilingualScores:
    """Scores of a split, in percent.

    Attributes:
        accuracy: Mean official accuracy over the languages.
        languages: Official scores of each language.
        consistency: Share of the questions that all languages have whose answers are the same in
            all languages; None with one language, or without such questions.
        agreement: Share of these questions whose answers are those of the first language, by
            further language.
        shared: Number of questions that all languages have.
    """

    accuracy: float
    languages: dict[str, VqaScores]
    consistency: float | None
    agreement: dict[str, float]
    shared: int

    @property
    def text(self) -> str:
        """The scores in a line."""
        parts = ", ".join(f"{name} {one.overall:.2f}" for name, one in self.languages.items())
        variant = next(iter(self.languages.values())).variant
        count = sum(one.questions for one in self.languages.values())
        line = (
            f"accuracy {self.accuracy:.2f} ({variant}, {count} questions in "
            f"{len(self.languages)} language{'s' * (len(self.languages) > 1)}): {parts}"
        )
        return line if self.consistency is None else f"{line}; consistency {self.consistency:.2f}"


def score_languages(
    questions: Sequence[LanguageQuestion],
    predictions: Mapping[str, Mapping[int, str]],
    variant: Variant = "V2",
) -> MultilingualScores:
    """Score answers in several languages."""
    groups = by_language(questions)
    if not groups:
        raise UserError("no question to score")
    languages = {
        name: score_predictions(own, predictions.get(name, {}), variant)
        for name, own in groups.items()
    }
    accuracy = sum(one.overall for one in languages.values()) / len(languages)
    shared = set.intersection(*({one.question_id for one in own} for own in groups.values()))
    if len(groups) < 2 or not shared:
        return MultilingualScores(accuracy, languages, None, {}, len(shared))
    first, *others = (predictions[name] for name in groups)
    same = [sum(first[key] == other[key] for key in shared) for other in others]
    everywhere = sum(all(first[key] == other[key] for other in others) for key in shared)
    agreement = {
        name: 100 * count / len(shared) for name, count in zip([*groups][1:], same, strict=True)
    }
    consistency = 100 * everywhere / len(shared)
    return MultilingualScores(accuracy, languages, consistency, agreement, len(shared))
