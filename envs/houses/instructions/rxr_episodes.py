"""RxR-style episodes of a built-in house: long paths told in English, Hindi and Telugu.

Each path is told anew in each language, from a plan of its own. A text is kept only if a symbolic
follower that reads it ends within 3 m of the goal however it takes the words, and misses the goal
with the words of the episode before it in that language, be it the English of another country.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from envs.houses.instructions.rxr_paths import choose_paths
from envs.houses.language.acts import Act
from envs.houses.language.grammar import Language, parse
from envs.houses.language.languages import TAGS, language_of
from envs.houses.language.plan import Planner, with_statements
from envs.houses.language.realising import realise
from envs.houses.language.sight import Sight
from envs.houses.language.speech import time_words
from envs.houses.language.symbolic_follower import follow
from envs.houses.survey.clauses import Instruction
from envs.houses.survey.routes import Routes
from envs.houses.survey.visibility import Survey
from envs.metrics import SUCCESS_THRESHOLD

FEWEST_WORDS, MOST_WORDS = 60, 110
PLANS, WORDINGS = 12, 6  # tries for a text
STATEMENTS = (2, 6)  # fewest and one above the most, at first
FIRST_PATH_ID = 100_000  # beyond those of the R2R-style episodes of mini
# Speaking rates of the speakers of a language; their numbers are RxR's annotators.
RATES = (0.85, 0.95, 1.05, 1.2)
# Each path is told once in a language of each group.
GROUPS: tuple[tuple[str, ...], ...] = (("en-US", "en-IN"), ("hi-IN",), ("te-IN",))

Json = dict[str, Any]


def rxr_records(
    survey: Survey,
    routes: Routes,
    counts: Mapping[str, int],
    house_number: int,
    rng: np.random.Generator,
) -> dict[str, list[Json]]:
    """Guide annotations of a house, by split, in RxR's format.

    A record has RxR's fields and "alignment": a list [first character, last character + 1, first
    position in the path, last position, objects spoken of ...] per clause.

    Args:
        survey: The house.
        routes: Its shortest paths.
        counts: Number of paths by split, 500 at most; no pair of start and goal occurs twice.
        house_number: Of the house in its set, for the numbers of paths.
        rng: Source of all choices.
    """
    writer = _Writer(survey, routes, rng)
    taken: set[tuple[int, int]] = set()
    records: dict[str, list[Json]] = {}
    for place, (split, count) in enumerate(counts.items()):
        told = choose_paths(survey, routes, count, taken, writer.tell, rng)
        first_id = FIRST_PATH_ID + 1000 * house_number + 500 * place
        records[split] = [
            _record(split, first_id + number, group, one)
            for number, texts in enumerate(told)
            for group, one in enumerate(texts)
        ]
    return records


class _Writer:
    """Tells paths of one house."""

    def __init__(self, survey: Survey, routes: Routes, rng: np.random.Generator) -> None:
        self._survey, self._routes, self._rng = survey, routes, rng
        self._sight = Sight(survey)
        self._planner = Planner(self._sight)
        # Acts and goal of the last text of each group, whose words must not do for the next path.
        self._last: dict[int, tuple[list[Act], int]] = {}

    def tell(self, path: tuple[int, ...]) -> list[Json] | None:
        """What a path's records hold in each group of languages; None if one cannot tell it."""
        heading = round(float(self._rng.uniform(0, 2 * np.pi)), 3)
        told = []
        read: dict[int, tuple[list[Act], int]] = {}
        for group, tags in enumerate(GROUPS):
            tag = tags[int(self._rng.integers(len(tags)))]
            found = self._instruction(language_of(tag), path, heading, group)
            if found is None:
                return None
            instruction, acts = found
            read[group] = acts, path[-1]
            told.append(self._describe(tag, path, heading, instruction))
        self._last.update(read)
        return told

    def _instruction(
        self, language: Language, path: tuple[int, ...], heading: float, group: int
    ) -> tuple[Instruction, list[Act]] | None:
        """A text of the right length that means the path's goal alone, with what was read in it."""
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
            instruction = realise(language, steps, self._rng)
            words = len(instruction.text.split(" "))
            if FEWEST_WORDS <= words <= MOST_WORDS:
                return instruction
            statements = max(0, statements + (1 if words < FEWEST_WORDS else -1))
        return None

    def _is_clear(self, acts: Sequence[Act], path: tuple[int, ...], heading: float) -> bool:
        """Whether every way to take the words that is kept ends within 3 m of the goal."""
        followed = follow(self._sight, acts, path[0], heading)
        return followed.is_complete and all(self._is_hit(end, path) for end in followed.ends)

    def _is_needed(self, path: tuple[int, ...], heading: float, group: int) -> bool:
        """Whether the words of the episode before this one lead elsewhere."""
        acts, goal = self._last.get(group, ([], -1))
        if not acts or self._is_hit(goal, path):
            return True
        return not self._is_hit(follow(self._sight, acts, path[0], heading).path[-1], path)

    def _is_hit(self, end: int, path: tuple[int, ...]) -> bool:
        return bool(self._routes.lengths[end, path[-1]] <= SUCCESS_THRESHOLD)

    def _describe(
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
            "alignment": [[s.start, s.end, s.first, s.last, *s.things] for s in spans],
        }


def _record(split: str, path_id: int, group: int, told: Json) -> Json:
    """A record with RxR's fields in RxR's order.

    RxR's edit distance is between what was transcribed and what was heard; here they are one.
    """
    values = {
        **told,
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
