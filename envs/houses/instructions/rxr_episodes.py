"""RxR-style episodes of a built-in house: long paths described in English, Hindi and Telugu.

Each path has a separate plan for each language. A text is kept only if all interpretations of the
symbolic follower end within 3 m of the goal, and if the text of the previous episode in the same
language (of either English variety) does not lead there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clipnav.envs.houses.instructions.rxr_paths import candidate_paths, choose_paths
from clipnav.envs.houses.instructions.writing import TextWriter, WrittenText
from clipnav.envs.houses.language.acts import Act
from clipnav.envs.houses.language.speech import time_words
from clipnav.envs.houses.language.symbolic_follower import follow
from clipnav.envs.houses.survey.routes import Routes
from clipnav.envs.houses.survey.visibility import Survey

FIRST_PATH_ID = 100_000  # greater than the ids of the R2R-style episodes of mini
# Each path gets one text in a language of each group.
GROUPS: tuple[tuple[str, ...], ...] = (("en-US", "en-IN"), ("hi-IN",), ("te-IN",))

Json = dict[str, Any]


def rxr_records(
    survey: Survey,
    routes: Routes,
    counts: Mapping[str, int],
    house_number: int,
    rng: np.random.Generator,
) -> dict[str, list[Json]]:
    """Return the guide annotations of a house for each split, in RxR's format.

    A record has RxR's fields and "alignment": for each clause a list [first character, last
    character + 1, first position in the path, last position, mentioned objects ...].
    """
    writer = _Writer(survey, routes, rng)
    candidates = candidate_paths(routes)
    taken: set[tuple[int, int]] = set()
    records: dict[str, list[Json]] = {}
    for split_number, (split, count) in enumerate(counts.items()):
        episodes = choose_paths(survey, candidates, count, taken, writer.write, rng)
        first_id = FIRST_PATH_ID + 1000 * house_number + 500 * split_number
        records[split] = [
            _record(split, first_id + number, group, text_fields)
            for number, texts in enumerate(episodes)
            for group, text_fields in enumerate(texts)
        ]
    return records


class _Writer:
    """Writer of the instructions of one house."""

    def __init__(self, survey: Survey, routes: Routes, rng: np.random.Generator) -> None:
        self._survey, self._rng = survey, rng
        self._texts = TextWriter(survey, routes, rng)
        # Acts and goal of the previous text of each group, which must not fit the next path.
        self._previous: dict[int, tuple[Sequence[Act], int]] = {}

    def write(self, path: tuple[int, ...]) -> list[Json] | None:
        """Write a path's instruction in each language group; None if one of them fails."""
        heading = round(float(self._rng.uniform(0, 2 * np.pi)), 3)
        texts = []
        for group, tags in enumerate(GROUPS):
            if not self._is_needed(path, heading, group):
                return None
            tag = tags[int(self._rng.integers(len(tags)))]
            written = self._texts.long(tag, path, heading)
            if written is None:
                return None
            texts.append(written)
        self._previous = {group: (text.acts, path[-1]) for group, text in enumerate(texts)}
        return [self._text_fields(path, heading, text) for text in texts]

    def _is_needed(self, path: tuple[int, ...], heading: float, group: int) -> bool:
        """Return whether the text of the previous episode does not lead to this goal."""
        acts, goal = self._previous.get(group, ((), -1))
        if not acts or self._texts.is_hit(goal, path):
            return True
        end = follow(self._texts.sight, acts, path[0], heading).path[-1]
        return not self._texts.is_hit(end, path)

    def _text_fields(self, path: tuple[int, ...], heading: float, written: WrittenText) -> Json:
        instruction, annotator = written.instruction, written.annotator
        text, spans = instruction.text, instruction.spans
        return {
            "annotator_id": annotator.number,
            "language": written.tag,
            "scan": self._survey.scan,
            "path": [self._survey.viewpoints[viewpoint] for viewpoint in path],
            "heading": heading,
            "instruction": text,
            "timed_instruction": time_words(text, spans, written.tag, annotator.rate, self._rng),
            "alignment": instruction.alignment,
        }


def _record(split: str, path_id: int, group: int, text_fields: Json) -> Json:
    """Return a record with RxR's fields in RxR's order.

    In RxR, "edit_distance" compares the transcript with the recognised speech; here they are equal.
    """
    values = {
        **text_fields,
        "split": split,
        "path_id": path_id,
        "instruction_id": 10 * path_id + group,
        "edit_distance": 0.0,
    }
    return {name: values[name] for name in _FIELDS}


_FIELDS = (
    "split",
    "instruction_id",
    "annotator_id",
    "language",
    "path_id",
    "scan",
    "path",
    "heading",
    "instruction",
    "timed_instruction",
    "edit_distance",
    "alignment",
)
