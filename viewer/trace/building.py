"""Construction of traces from the decisions of an agent."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import msgspec
import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.episode import own_goals
from clipnav.envs.goals.boxes import SeenObject
from clipnav.envs.graphs.candidates import CandidateTable, candidate_table
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import score_paths
from clipnav.envs.metrics.summaries import columns_named
from clipnav.envs.navigation.objects import WorldObjects
from clipnav.envs.tokenizers import Tokenizer, WordTokenizer, split_words
from clipnav.envs.worlds import World
from clipnav.viewer.trace.format import (
    Ending,
    KnownMap,
    ModelDecision,
    Trace,
    TraceCandidate,
    TraceStep,
    VisibleObject,
)

_WINDOW = 40  # number of characters in which a token is searched


def word_pieces(text: str) -> tuple[str, ...]:
    """Split a text into words and punctuation marks with trailing blanks; joined, the text."""
    starts = _starts(text)
    ends = [*starts[1:], len(text)][: len(starts)]
    return tuple(text[start:end] for start, end in zip(starts, ends, strict=True))


def word_attention(
    tokenizer: Tokenizer, text: str, ids: Sequence[int], weights: np.ndarray
) -> tuple[float, ...]:
    """Sum the attention over tokens by word.

    Args:
        ids: (L,) token ids of the text, padded with 0, with a start and an end token.
        weights: (M,) attention over the first M tokens; M = 2 for the start and end tokens only.
    """
    count = int(np.count_nonzero(np.asarray(ids)))
    words = len(_starts(text))
    total = np.zeros(words + 2)
    if len(weights) < count:  # an agent without instructions sees only the start and end tokens
        total[0], total[-1] = weights[0], weights[-1]
    else:
        places = _places(tokenizer, text, list(ids[1 : count - 1]))
        total[0], total[-1] = weights[0], weights[count - 1]
        np.add.at(total, 1 + np.array(places, int), weights[1 : count - 1])
    return tuple(np.round(total, 4).tolist())


def unknown_words(tokenizer: Tokenizer, text: str) -> tuple[int, ...]:
    """Return indices of `word_pieces` that a tokenizer maps to unknown, entirely or in part."""
    ids = tokenizer.encode(text, len(text) + 2)
    read = ids[1 : np.count_nonzero(ids) - 1].tolist()
    places = _places(tokenizer, text, read)
    unknown = tokenizer.unknown_id
    return tuple(
        sorted({place for place, number in zip(places, read, strict=True) if number == unknown})
    )


@lru_cache(maxsize=1024)  # all decisions of an episode read the same text
def _starts(text: str) -> tuple[int, ...]:
    """Return the index at which each word begins; the first word includes leading characters."""
    lowered, origins = _lowered(text)
    starts, cursor = [], 0
    for word in split_words(text):
        cursor = lowered.index(word, cursor)
        starts.append(origins[cursor])
        cursor += len(word)
    return (0, *starts[1:]) if starts or text else ()


def _lowered(text: str) -> tuple[str, list[int]]:
    """Return the text in lower case, and for each character its index in the text."""
    # The lower case of a character may be longer: İ becomes two characters. It may also depend on
    # its neighbours, but not in length: Greek sigma at the end of a word.
    origins = [place for place, letter in enumerate(text) for _ in letter.lower()]
    return text.lower(), origins


def _places(tokenizer: Tokenizer, text: str, ids: list[int]) -> list[int]:
    """Return the index of the word of each token."""
    if type(tokenizer) is WordTokenizer:
        return list(range(len(ids)))
    starts = _starts(text)
    lowered, origins = _lowered(text)
    places, cursor = [], 0
    for number in ids:
        piece = tokenizer.decode([number]).lower().removeprefix("##").strip(" ▁")
        found = lowered.find(piece, cursor, cursor + _WINDOW + len(piece)) if piece else -1
        at = found if found >= 0 else cursor
        while at < len(lowered) - 1 and lowered[at].isspace():
            at += 1
        place = origins[min(at, len(origins) - 1)]
        places.append(int(np.searchsorted(starts, place, side="right")) - 1)
        cursor = found + len(piece) if found >= 0 else cursor
    return places


@dataclass(frozen=True)
class Setting:
    """Fields that all traces of a recording share."""

    agent: str
    world: World
    dataset: str
    split: str


@dataclass(frozen=True)
class TraceDecision:
    """One decision as it was made.

    Attributes:
        viewpoint: Viewpoint of the agent.
        heading: Heading of the agent in radians.
        elevation: Elevation of the agent in radians.
        action: As in `TraceStep`.
        probabilities: (K,) of the actions, stop first; None if not known.
        value: Value of the critic.
        word_attention: As in `TraceStep`.
        view_attention: (36,).
        known_map: Map of the agent, if it builds one and has just chosen a node.
        model: Prompt and answers, if the agent asks a language model.
        objects: Visible objects that can be pointed out.
    """

    viewpoint: str
    heading: float
    elevation: float
    action: int | None
    probabilities: np.ndarray | None = None
    value: float | None = None
    word_attention: tuple[float, ...] | None = None
    view_attention: np.ndarray | None = None
    known_map: KnownMap | None = None
    model: ModelDecision | None = None
    objects: tuple[VisibleObject, ...] = ()


def visible_objects(
    objects: WorldObjects, node: int, pointed: int = -1, target: int = -1
) -> tuple[VisibleObject, ...]:
    """Return the objects of a viewpoint.

    Args:
        node: Viewpoint in the world.
        pointed: Index of the object that the agent points out, -1 for none.
        target: Index of the object to point out, -1 for none.
    """
    seen = []
    for index in np.flatnonzero(objects.mask[node]).tolist():
        name = objects.names[node, index] or objects.ids[node, index]
        box = SeenObject.of("", name, objects.directions[node, index], objects.sizes[node, index])
        (a, b, c, d) = (tuple(corner) for corner in np.round(box.corners, 4).tolist())
        seen.append(VisibleObject(name, (a, b, c, d), index == pointed, index == target))
    return tuple(seen)


def build_trace(
    setting: Setting,
    episode: Episode,
    graph: NavGraph,
    decisions: Sequence[TraceDecision],
    ending: Ending,
) -> Trace:
    """Build a trace: add geometry and metrics to the decisions of an agent."""
    walked = [decision.viewpoint for decision in decisions]
    metrics = _metrics(graph, episode, walked)
    goals = episode.goal.viewpoints if episode.has_goal else ()
    steps = tuple(
        TraceStep(
            viewpoint=decision.viewpoint,
            heading=round(decision.heading, 4),
            elevation=round(decision.elevation, 4),
            candidates=_with_chances(candidates(graph, decision.viewpoint), decision.probabilities),
            action=decision.action,
            distance_to_goal=round(graph.geodesic_to(decision.viewpoint, goals), 3)
            if goals
            else None,
            metrics={name: round(float(column[place]), 4) for name, column in metrics.items()},
            stop_probability=_chance(decision.probabilities, 0),
            value=decision.value if decision.value is None else round(decision.value, 4),
            word_attention=decision.word_attention,
            view_attention=_rounded(decision.view_attention),
            known_map=decision.known_map,
            model=decision.model,
            objects=decision.objects,
        )
        for place, decision in enumerate(decisions)
    )
    return trace_of(setting, episode, steps, ending)


def trace_of(
    setting: Setting, episode: Episode, steps: Sequence[TraceStep], ending: Ending
) -> Trace:
    """Return the trace of an episode, given its steps and how it ended."""
    target = episode.target
    return Trace(
        agent=setting.agent,
        world=setting.world,
        dataset=setting.dataset,
        split=setting.split,
        instr_id=episode.instr_id,
        path_id=episode.path_id,
        scan=episode.scan,
        path=episode.path,
        heading=episode.heading,
        instruction=episode.instruction,
        language=episode.language,
        words=word_pieces(episode.instruction),
        steps=tuple(steps),
        ending=ending,
        goal=None
        if target is None
        else Goal(**{f.name: getattr(target, f.name) for f in fields(Goal)}),
    )


def candidates(graph: NavGraph, viewpoint: str) -> tuple[TraceCandidate, ...]:
    """Return the candidates of a viewpoint in the order of the actions, without probabilities."""
    return _all_candidates(graph)[graph.index(viewpoint)]


def candidate_views(graph: NavGraph) -> np.ndarray:
    """Return the (N, D) view 0..35 of each candidate of each viewpoint, -1 for padding."""
    return _table(graph).views


@lru_cache(maxsize=256)
def _table(graph: NavGraph) -> CandidateTable:
    return candidate_table(graph)


@lru_cache(maxsize=256)
def _all_candidates(graph: NavGraph) -> list[tuple[TraceCandidate, ...]]:
    table = _table(graph)
    found = []
    for node, targets in enumerate(table.targets):
        targets = targets[targets >= 0]
        offsets = graph.positions[targets] - graph.positions[node]
        across = np.hypot(offsets[:, 0], offsets[:, 1])
        floors = np.arctan2(offsets[:, 2] - graph.heights[targets], across)
        found.append(
            tuple(
                TraceCandidate(
                    viewpoint=graph.viewpoint_ids[target],
                    heading=round(float(table.headings[node, place]), 4),
                    elevation=round(float(table.elevations[node, place]), 4),
                    floor=round(float(floors[place]), 4),
                    distance=round(float(np.linalg.norm(offsets[place])), 3),
                )
                for place, target in enumerate(targets)
            )
        )
    return found


def _with_chances(
    places: tuple[TraceCandidate, ...], probabilities: np.ndarray | None
) -> tuple[TraceCandidate, ...]:
    if probabilities is None:
        return places
    return tuple(
        msgspec.structs.replace(place, probability=_chance(probabilities, action))
        for action, place in enumerate(places, start=1)
    )


def _chance(probabilities: np.ndarray | None, action: int) -> float | None:
    if probabilities is None or action >= len(probabilities):
        return None
    return round(min(float(probabilities[action]), 1.0), 4)


def _rounded(weights: np.ndarray | None) -> tuple[float, ...] | None:
    return None if weights is None else tuple(np.round(weights.astype(float), 4).tolist())


def _metrics(graph: NavGraph, episode: Episode, walked: Sequence[str]) -> Mapping[str, np.ndarray]:
    """Return the metrics of each prefix of a walk, by short name; none if the goal is secret."""
    if not episode.has_goal:
        return {}
    beginnings = [walked[: end + 1] for end in range(len(walked))]
    count = len(walked)
    return columns_named(
        score_paths(
            [graph] * count,
            beginnings,
            [episode.path] * count,
            goals=own_goals([episode] * count),
        )
    )
