"""RxR-style episodes of a built-in house: long paths described in English, Hindi and Telugu.

Each path has a separate plan for each language. A text is kept only if all interpretations of the
symbolic follower end within 3 m of the goal, and if the text of the previous episode in the same
language (of either English variety) does not lead there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from clipnav.envs.houses.instructions.rxr_paths import choose_paths
from clipnav.envs.houses.language.acts import Act
from clipnav.envs.houses.language.grammar import Language, parse
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.language.plan import Planner, with_statements
from clipnav.envs.houses.language.rxr_realiser import realise_acts
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.speech import time_words
from clipnav.envs.houses.language.symbolic_follower import follow
from clipnav.envs.houses.survey.clauses import Instruction
from clipnav.envs.houses.survey.routes import Routes
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.metrics import SUCCESS_THRESHOLD

FEWEST_WORDS, MOST_WORDS = 60, 110
PLANS, WORDINGS = 12, 6  # attempts per text, and per plan
STATEMENTS = (2, 6)  # range of the initial number of statements; the end is exclusive
FIRST_PATH_ID = 100_000  # greater than the ids of the R2R-style episodes of mini
# Speech rates of the simulated speakers of a language; `annotator_id` identifies the speaker.
RATES = (0.85, 0.95, 1.05, 1.2)
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
    taken: set[tuple[int, int]] = set()
    records: dict[str, list[Json]] = {}
    for split_number, (split, count) in enumerate(counts.items()):
        episodes = choose_paths(survey, routes, count, taken, writer.write, rng)
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
        self._survey, self._routes, self._rng = survey, routes, rng
        self._sight = Sight(survey)
        self._planner = Planner(self._sight)
        # Acts and goal of the previous text of each group, which must not fit the next path.
        self._previous: dict[int, tuple[list[Act], int]] = {}

    def write(self, path: tuple[int, ...]) -> list[Json] | None:
        """Write a path's instruction in each language group; None if one of them fails."""
        heading = round(float(self._rng.uniform(0, 2 * np.pi)), 3)
        texts = []
        parsed: dict[int, tuple[list[Act], int]] = {}
        for group, tags in enumerate(GROUPS):
            tag = tags[int(self._rng.integers(len(tags)))]
            written = self._instruction(language_of(tag), path, heading, group)
            if written is None:
                return None
            instruction, acts = written
            parsed[group] = acts, path[-1]
            texts.append(self._text_fields(tag, path, heading, instruction))
        self._previous.update(parsed)
        return texts

    def _instruction(
        self, language: Language, path: tuple[int, ...], heading: float, group: int
    ) -> tuple[Instruction, list[Act]] | None:
        """Return an unambiguous text of the right length and its parsed acts, or None."""
        for _ in range(PLANS):
            instruction = self._draft(language, path, heading)
            if instruction is None:
                continue
            acts = parse(language, instruction.text)
            if (
                acts
                and self._is_clear(acts, path, heading)
                and self._is_needed(path, heading, group)
            ):
                return instruction, acts
        return None

    def _draft(
        self, language: Language, path: tuple[int, ...], heading: float
    ) -> Instruction | None:
        plan = self._planner.plan(language, path, heading, self._rng)
        if plan is None:
            return None
        statements = int(self._rng.integers(*STATEMENTS))
        for _ in range(WORDINGS):
            steps = with_statements(plan, statements, self._rng)
            instruction = realise_acts(language, steps, self._rng)
            words = len(instruction.text.split(" "))
            if FEWEST_WORDS <= words <= MOST_WORDS:
                return instruction
            statements = max(0, statements + (1 if words < FEWEST_WORDS else -1))
        return None

    def _is_clear(self, acts: Sequence[Act], path: tuple[int, ...], heading: float) -> bool:
        """Return whether all interpretations of the acts end within 3 m of the goal."""
        followed = follow(self._sight, acts, path[0], heading)
        return followed.is_complete and all(self._is_hit(end, path) for end in followed.ends)

    def _is_needed(self, path: tuple[int, ...], heading: float, group: int) -> bool:
        """Return whether the text of the previous episode does not lead to this goal."""
        acts, goal = self._previous.get(group, ([], -1))
        if not acts or self._is_hit(goal, path):
            return True
        return not self._is_hit(follow(self._sight, acts, path[0], heading).path[-1], path)

    def _is_hit(self, end: int, path: tuple[int, ...]) -> bool:
        return bool(self._routes.lengths[end, path[-1]] <= SUCCESS_THRESHOLD)

    def _text_fields(
        self, tag: str, path: tuple[int, ...], heading: float, instruction: Instruction
    ) -> Json:
        speaker = int(self._rng.integers(len(RATES)))
        text, spans = instruction.text, instruction.spans
        return {
            "annotator_id": len(RATES) * TAGS.index(tag) + speaker,
            "language": tag,
            "scan": self._survey.scan,
            "path": [self._survey.viewpoints[viewpoint] for viewpoint in path],
            "heading": heading,
            "instruction": text,
            "timed_instruction": time_words(text, spans, tag, RATES[speaker], self._rng),
            "alignment": [
                [span.start, span.end, span.first, span.last, *span.things] for span in spans
            ],
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
