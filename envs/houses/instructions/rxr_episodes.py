"""RxR-style episodes of a built-in house: long paths described in English, Hindi and Telugu.

Each path has a separate plan for each language. A text is kept only if all interpretations of the
symbolic follower end within 3 m of the goal, and if the text of the previous episode in the same
language (of either English variety) does not lead there.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np

from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.instructions.writing import TextWriter, WrittenText
from clipnav.envs.houses.language.acts import Act, Span
from clipnav.envs.houses.language.symbolic_follower import follow
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.routes import STAIRS_GOAL
from clipnav.envs.houses.survey.visibility import Survey

_FEWEST_EDGES, _MOST_EDGES = 8, 14
_NEAREST_GOAL = 4.0  # metres from the start, so that an agent that does not move fails
_LONGEST_DETOUR = 2.5  # largest ratio of a path to the shortest path
_SHORTEST_SHARE = 0.25  # probability of drawing a shortest path, if the house has long enough ones
DRAWS = 24  # number of candidates; the one with the least used goal, room and length is chosen
_MOST_VIAS = 80  # largest number of intermediate viewpoints; larger houses have enough paths
LENGTH_WEIGHT = 1.5  # weight of the number of edges in this choice

Path = tuple[int, ...]
Episode = TypeVar("Episode")
# Seconds for each word, and for each of its letters; combining vowel signs do not count.
WORD, _LETTER = {"en": 0.12, "hi": 0.12, "te": 0.15}, {"en": 0.055, "hi": 0.085, "te": 0.1}
_COMMA_PAUSE, _STOP_PAUSE = 0.25, 0.5  # seconds, for a speaker of rate 1
_WALKING_PAUSE = 0.4  # additional seconds after a clause for each edge that it walks
_STARTS_AFTER = 0.8  # seconds of silence at the beginning
_FIRST_PATH_ID = 100_000  # greater than the ids of the R2R-style episodes of mini
# Each path gets one text in a language of each group.
GROUPS: tuple[tuple[str, ...], ...] = (("en-US", "en-IN"), ("hi-IN",), ("te-IN",))
Json = dict[str, Any]
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


def candidate_paths(routes: Routes) -> tuple[list[Path], list[Path]]:
    """Return the suitable paths of a house: shortest paths, and detours via another viewpoint.

    No path visits a viewpoint twice. Both lists are sorted.
    """
    count = len(routes.lengths)
    paths = {(a, b): routes.path(a, b) for a in range(count) for b in range(count)}
    shortest = {path for path in paths.values() if _fits(routes, path)}
    edges = np.array([[len(paths[a, b]) - 1 for b in range(count)] for a in range(count)])
    detours: set[Path] = set()
    for via in range(0, count, 1 + count // _MOST_VIAS):
        total = edges[:, via, None] + edges[None, via]
        detour = routes.lengths[:, via, None] + routes.lengths[None, via]
        suits = (total >= _FEWEST_EDGES) & (total <= _MOST_EDGES)
        suits &= detour <= _LONGEST_DETOUR * routes.lengths + 1e-9
        for start, goal in np.argwhere(suits).tolist():
            path = paths[start, via] + paths[via, goal][1:]
            if path != paths[start, goal] and _fits(routes, path):
                detours.add(path)
    return sorted(shortest), sorted(detours)


def _fits(routes: Routes, path: Path) -> bool:
    if not _FEWEST_EDGES <= len(path) - 1 <= _MOST_EDGES or len(set(path)) < len(path):
        return False
    direct = routes.lengths[path[0], path[-1]]
    if direct < _NEAREST_GOAL:
        return False
    edges = routes.lengths[path[:-1], path[1:]]
    return bool(edges.sum() <= _LONGEST_DETOUR * direct)


def choose_paths(
    survey: Survey,
    candidates: tuple[list[Path], list[Path]],
    count: int,
    taken: set[tuple[int, int]],
    make: Callable[[Path], Episode | None],
    rng: np.random.Generator,
) -> list[Episode]:
    """Choose paths with varied starts, goals, rooms and lengths, and build episodes from them.

    Args:
        candidates: Result of `candidate_paths`.
    """
    pools = [list(paths) for paths in candidates]
    episodes: list[Episode] = []
    uses: dict[tuple[str, int], float] = {}
    while len(episodes) < count and any(pools):
        pool = pools[0] if pools[0] and rng.random() < _SHORTEST_SHARE else pools[1] or pools[0]
        drawn = rng.choice(len(pool), size=min(DRAWS, len(pool)), replace=False)
        number = min(drawn.tolist(), key=lambda index: _usage(survey, pool[index], uses))
        path = pool.pop(number)
        if (path[0], path[-1]) in taken:
            continue
        episode = make(path)
        if episode is None:
            continue
        taken.add((path[0], path[-1]))
        episodes.append(episode)
        for key, weight in _features(survey, path):
            uses[key] = uses.get(key, 0.0) + weight
    return episodes


def _usage(survey: Survey, path: Path, uses: dict[tuple[str, int], float]) -> float:
    usage = sum(uses.get(key, 0.0) for key, _ in _features(survey, path))
    return usage + STAIRS_GOAL * (survey.room_kind(path[-1]) == STAIRWELL)


def _features(survey: Survey, path: Path) -> list[tuple[tuple[str, int], float]]:
    """Return the features of a path that should vary between episodes, with weights."""
    return [
        (("start", path[0]), 1.0),
        (("goal", path[-1]), 2.0),
        (("room", int(survey.rooms[path[-1]])), 0.5),
        (("edges", len(path) - 1), LENGTH_WEIGHT),
    ]


def time_words(
    text: str, spans: Sequence[Span], language: str, rate: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return the words of an instruction with their times in seconds, in the format of RxR."""
    base = language.partition("-")[0]
    ends = {span.end: span.last - span.first for span in spans}
    timed = []
    clock, position = _STARTS_AFTER, 0
    for word in text.split(" "):
        position += len(word)
        letters = sum(unicodedata.category(sign) in ("Lo", "Ll", "Lu", "Nd") for sign in word)
        length = (WORD[base] + _LETTER[base] * letters) * rng.uniform(0.85, 1.15) / rate
        start, clock = clock, clock + length
        timed.append({"word": word, "start_time": round(start, 1), "end_time": round(clock, 1)})
        if word[-1] in ".।":
            clock += _STOP_PAUSE * rng.uniform(0.6, 1.6) / rate
        elif word[-1] in ",;":
            clock += _COMMA_PAUSE * rng.uniform(0.6, 1.6) / rate
        word_end = position - (word[-1] in ".,;।")
        clock += _WALKING_PAUSE * ends.get(word_end, 0) * rng.uniform(0.5, 1.5)
        position += 1
    return timed


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
        first_id = _FIRST_PATH_ID + 1000 * house_number + 500 * split_number
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
