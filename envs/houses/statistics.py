"""Statistics of a world: its navigation graphs, its paths and its texts.

They compare the built-in houses with Matterport3D and R2R. Equal degrees and lengths of edges do
not make graphs equal: shortcuts, turns, dead ends, stairs and candidates that share a view decide
how hard it is to follow an instruction, and so do the words of the texts.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from clipnav.connectivity import read_scans
from clipnav.envs.episodes.annotations import PathRecord
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.sight import is_shortcut
from clipnav.envs.houses.survey.routes import CLIMB
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records

Graphs = Mapping[str, NavGraph]

SHORTCUT_ANGLE = math.radians(15)  # between an edge and a viewpoint that it passes
_VIEW = math.radians(30)  # between neighbouring ones of the 36 views of a panorama
_STAIR_RISE = 0.3  # metres between the ends of an edge on stairs
_BIG_TURN = 45.0  # degrees; people mention the side of larger turns
_SUCCESS = 3.0  # metres
TEXTS = 7680  # training texts of the language model; perplexities depend on their number
_WORD = re.compile(r"[a-z0-9]+(?:'[a-z]+)?")
_SIDE = re.compile(r"\b(left|right)\b")
_CLAUSE_END = re.compile(r"[.,;:!?]|\band\b|\bthen\b")
_COLOUR = (
    "red|blue|green|yellow|white|black|brown|gr[ea]y|orange|purple|pink|beige|golden|silver|"
    "turquoise|maroon|cream|violet|teal|navy"
)
_FEATURES = {
    "texts with a colour, %": rf"\b({_COLOUR})\b",
    "texts with an ordinal, %": r"\b(first|second|third|fourth|fifth|1st|2nd|3rd)\b",
    "texts with straight, forward or ahead, %": r"\b(straight|forward|ahead)\b",
    "texts with stairs, %": r"\b(stair\w*|steps|upstairs|downstairs)\b",
}
_FURTHER_ROOMS = (
    "corridor|washroom|restroom|family room|sitting room|dining area|living area|lounge|foyer|"
    "entryway|den|patio|porch|balcony|lobby|study|hall|room|pantry|closet"
)


@dataclass(frozen=True)
class Row:
    """One statistic: its name, number of decimals, and range that a world like R2R has."""

    name: str
    decimals: int = 1
    low: float = -math.inf
    high: float = math.inf

    def cell(self, value: float | None) -> str:
        """Return a value as text, with a star outside the range."""
        if value is None:
            return "-"
        star = "" if self.low <= value <= self.high else " *"
        return f"{value:,.{self.decimals}f}{star}"

    @property
    def limits(self) -> str:
        """The range as text."""
        low, high = (f"{v:,.{self.decimals}f}" for v in (self.low, self.high))
        if math.isinf(self.low):
            return "" if math.isinf(self.high) else f"<= {high}"
        return f">= {low}" if math.isinf(self.high) else f"{low} - {high}"


# Ranges around the statistics of R2R's val_unseen and Matterport3D's 90 graphs.
ROWS = (
    Row("buildings", 0),
    Row("viewpoints of a building", 0, 60, 130),
    Row("neighbours of a viewpoint", 2, 3.8, 4.6),
    Row("length of an edge, m", 2, 2.1, 2.5),
    Row("dead ends, % of viewpoints", 1, 0, 10),
    Row("edges that pass a third viewpoint within 15 degrees, %", 1, 0, 2),
    Row("edges on stairs, %", 1, 3, 10),
    Row("connected components of a building, most", 0),
    Row("edges of a path", 2, 4.7, 5.5),
    Row("length of a path, m", 1, 9, 11),
    Row("candidates of a step", 2, 3.8, 5.3),
    Row("steps whose candidate shares its view with another, %", 1, 0, 16),
    Row("change of heading after the first step, median degrees", 0, 20, 40),
    Row("changes of heading above 60 degrees, %", 1, 0, 35),
    Row("next viewpoint is the straightest, %", 1, 55, 100),
    Row("paths with stairs, %", 1, 15, 30),
    Row("viewpoints within 3 m of the goal, %", 1, 0, 8),
    Row("directed edges on training paths, %", 1, 25, 45),
    Row("viewpoints on training paths, %", 1, 65, 85),
    Row("words of a text", 1, 24, 32),
    Row("vocabulary of the training texts", 0, 800),
    Row("words that occur once in them", 0, 150),
    Row("words of other texts that are not in them, %", 2, 0.2, 1),
    Row("perplexity of a trigram model", 1, 9.5),
    Row("patterns of clauses, % of the training clauses", 1, 11),
    Row("other clauses whose pattern is in the training texts, %", 1, 55, 85),
    Row("words left and right of a text", 2, 1, 1.7),
    Row("words left and right per turn above 45 degrees", 2, 0.8, 1.1),
    Row("texts without them among those with such a turn, %", 1, 0, 25),
    Row("correlation of their sum with that of the turns", 2, 0.5, 0.75),
    Row("texts with a colour, %", 1, 8, 25),
    Row("texts with an ordinal, %", 1, 8, 25),
    Row("texts with straight, forward or ahead, %", 1, 20, 40),
    Row("texts with stairs, %", 1, 15, 50),
    Row("names of rooms of a text", 2, 1, 1.8),
)


def _world_statistics(
    graphs: Graphs, train: Sequence[PathRecord] = (), others: Sequence[PathRecord] = ()
) -> dict[str, float]:
    """Return the statistics of some graphs, and of R2R records of their buildings.

    Args:
        train: Records of the training split.
        others: Records of a split in other buildings; statistics of paths and texts are theirs.
    """
    found = graph_statistics(list(graphs.values()))
    if others:
        found |= path_statistics(graphs, others)
    if train:
        edges, viewpoints = defaultdict(set), defaultdict(set)
        for record in train:
            edges[record.scan].update(pairwise(record.path))
            viewpoints[record.scan].update(record.path)
        all_edges = sum(graphs[scan].edges.shape[1] for scan in edges)
        all_viewpoints = sum(len(graphs[scan]) for scan in viewpoints)
        found |= {
            "directed edges on training paths, %": 100 * sum(map(len, edges.values())) / all_edges,
            "viewpoints on training paths, %": 100
            * sum(map(len, viewpoints.values()))
            / all_viewpoints,
        }
    if train and others:
        found |= text_statistics(graphs, train, others)
    return found


def graph_statistics(graphs: Sequence[NavGraph]) -> dict[str, float]:
    """Return statistics of the included viewpoints and edges of some buildings."""
    from scipy.sparse.csgraph import connected_components

    if not graphs:
        raise UserError("no graphs to compute statistics of; add some to the folder")
    lengths = np.concatenate([graph.edge_lengths[graph.adjacency] for graph in graphs])
    if not len(lengths):
        raise UserError("the graphs have no edges")
    degrees = np.concatenate([graph.adjacency.sum(axis=1) for graph in graphs])
    rises = [abs(np.diff(g.positions[g.edges, 2], axis=0)) for g in graphs]
    shortcuts = np.concatenate([_shortcuts(graph) for graph in graphs])
    return {
        "buildings": len(graphs),
        "viewpoints of a building": float(np.mean([len(graph) for graph in graphs])),
        "neighbours of a viewpoint": float(degrees.mean()),
        "length of an edge, m": float(lengths.mean()),
        "dead ends, % of viewpoints": 100 * float((degrees == 1).mean()),
        "edges that pass a third viewpoint within 15 degrees, %": 100 * float(shortcuts.mean()),
        "edges on stairs, %": 100 * float((np.concatenate(rises, axis=1) > _STAIR_RISE).mean()),
        "connected components of a building, most": max(
            connected_components(graph.adjacency)[0] for graph in graphs
        ),
    }


def _shortcuts(graph: NavGraph) -> np.ndarray:
    """Return which directed edges (M,) pass a neighbour of both ends, as seen from both ends."""
    steps = graph.positions[None] - graph.positions[:, None]
    gaps = np.linalg.norm(steps, axis=2)
    known = steps, gaps, graph.adjacency, SHORTCUT_ANGLE
    return np.array([is_shortcut(here, there, *known) for here, there in graph.edges.T])


def path_statistics(graphs: Graphs, records: Sequence[PathRecord]) -> dict[str, float]:
    """Return statistics of the paths of R2R records."""
    candidates, shared, turns, straightest = [], [], [], []  # of steps
    metres, climbs, near = [], [], []  # of paths
    for record in records:
        graph = graphs[record.scan]
        path = [graph.index(viewpoint) for viewpoint in record.path]
        facing = None
        for here, there in pairwise(path):
            neighbours = np.flatnonzero(graph.adjacency[here])
            right = int(np.flatnonzero(neighbours == there)[0])
            x, y, z = (graph.positions[neighbours] - graph.positions[here]).T
            headings, elevations = np.arctan2(x, y), np.arctan2(z, np.hypot(x, y))
            row = np.clip(np.round(elevations / _VIEW), -1, 1)
            views = np.round(headings / _VIEW) % 12 + 12 * row
            candidates.append(len(neighbours))
            shared.append((views == views[right]).sum() > 1)
            if facing is not None:
                change = np.degrees(np.abs(wrap_angle(headings - facing)))
                turns.append(change[right])
                straightest.append(change[right] <= change.min() + 1e-9)
            facing = headings[right]
        metres.append(graph.path_length(record.path))
        climbs.append(np.ptp(graph.positions[path, 2]) > CLIMB)
        near.append((graph.distances[path[-1]] <= _SUCCESS).mean())
    return {
        "edges of a path": float(np.mean([len(record.path) - 1 for record in records])),
        "length of a path, m": float(np.mean(metres)),
        "candidates of a step": float(np.mean(candidates)),
        "steps whose candidate shares its view with another, %": 100 * float(np.mean(shared)),
        "change of heading after the first step, median degrees": float(np.median(turns)),
        "changes of heading above 60 degrees, %": 100 * float(np.mean(np.array(turns) > 60)),
        "next viewpoint is the straightest, %": 100 * float(np.mean(straightest)),
        "paths with stairs, %": 100 * float(np.mean(climbs)),
        "viewpoints within 3 m of the goal, %": 100 * float(np.mean(near)),
    }


def text_statistics(
    graphs: Graphs, train: Sequence[PathRecord], others: Sequence[PathRecord]
) -> dict[str, float]:
    """Return statistics of the instructions of R2R records."""
    pairs = [(record, text.lower()) for record in others for text in record.instructions]
    lower = [text for _, text in pairs]
    learnt = [text.lower() for record in train for text in record.instructions]
    sample = [learnt[i] for i in np.random.default_rng(0).permutation(len(learnt))[:TEXTS]]
    words = [_WORD.findall(text) for text in lower]
    vocabulary = Counter(word for text in learnt for word in _WORD.findall(text))
    unknown = [word not in vocabulary for text in words for word in text]
    clauses = [pattern for text in learnt for pattern in _patterns(text)]
    known = set(clauses)
    rooms = re.compile(rf"\b({'|'.join(_by_length([*_names('rooms'), _FURTHER_ROOMS]))})\b")
    seen = [pattern in known for text in lower for pattern in _patterns(text)]
    return {
        "words of a text": float(np.mean([len(text) for text in words])),
        "vocabulary of the training texts": len(vocabulary),
        "words that occur once in them": sum(count == 1 for count in vocabulary.values()),
        "words of other texts that are not in them, %": 100 * float(np.mean(unknown)),
        "perplexity of a trigram model": TrigramModel(_WORD.findall(t) for t in sample).perplexity(
            words
        ),
        "patterns of clauses, % of the training clauses": 100 * len(known) / len(clauses),
        "other clauses whose pattern is in the training texts, %": 100 * float(np.mean(seen)),
        "names of rooms of a text": float(np.mean([len(rooms.findall(text)) for text in lower])),
        **{
            name: 100 * float(np.mean([bool(re.search(pattern, text)) for text in lower]))
            for name, pattern in _FEATURES.items()
        },
        **_side_words(graphs, pairs),
    }


def _side_words(graphs: Graphs, pairs: Sequence[tuple[PathRecord, str]]) -> dict[str, float]:
    """Return how often, and how truly, texts say "left" and "right" at the turns of their paths."""
    counts, signs, turns, signed_turns = [], [], [], []
    for record, text in pairs:
        graph = graphs[record.scan]
        steps = np.diff(graph.positions[[graph.index(v) for v in record.path]], axis=0)
        changes = np.degrees(wrap_angle(np.diff(np.arctan2(steps[:, 0], steps[:, 1]))))
        large = changes[np.abs(changes) > _BIG_TURN]
        sides = _SIDE.findall(text)
        counts.append(len(sides))
        signs.append(sides.count("right") - sides.count("left"))
        turns.append(len(large))
        signed_turns.append(np.sign(large).sum())
    silent = np.array(counts)[np.array(turns) > 0] == 0
    varies = np.std(signs) > 0 and np.std(signed_turns) > 0
    return {
        "words left and right of a text": float(np.mean(counts)),
        "words left and right per turn above 45 degrees": sum(counts) / max(sum(turns), 1),
        "texts without them among those with such a turn, %": 100 * float(np.mean(silent)),
        "correlation of their sum with that of the turns": (
            float(np.corrcoef(signs, signed_turns)[0, 1]) if varies else 0.0
        ),
    }


@cache
def _names(kind: str) -> tuple[str, ...]:
    """Return the names of rooms or nouns in the English lexicon of the houses."""
    from clipnav.envs.houses.language.grammars.languages import noun_pairs, room_names
    from clipnav.envs.houses.language.grammars.lexicon import load_lexicon

    found: set[str] = set()
    for tag in ("en-US", "en-IN"):
        for key in load_lexicon("english")[kind]:
            pairs = noun_pairs(tag, key) if kind == "nouns" else [room_names(tag, key)]
            found.update(name.lower() for pair in pairs for name in pair)
    return tuple(sorted(found))


def _by_length(names: Iterable[str]) -> list[str]:
    return sorted(names, key=len, reverse=True)


@cache
def _classes() -> re.Pattern[str]:
    rooms, nouns = (
        "|".join(map(re.escape, _by_length(_names(kind)))) for kind in ("rooms", "nouns")
    )
    return re.compile(rf"\b(?:(?P<R>{rooms}|{_FURTHER_ROOMS})|(?P<N>{nouns})|(?P<C>{_COLOUR}))\b")


def _patterns(text: str) -> Iterator[str]:
    """Yield the clauses of a text with rooms, nouns and colours replaced by R, N and C."""
    text = _classes().sub(lambda match: f" {match.lastgroup} ", text)
    for clause in _CLAUSE_END.split(text):
        if pattern := " ".join(re.findall(r"[a-z0-9']+|[RNC]", clause)):
            yield pattern


class TrigramModel:
    """Trigram model with interpolated Kneser-Ney smoothing (Chen and Goodman 1999).

    The discount is .75 at all orders; words that the texts lack share the mass of one word.
    """

    discount = 0.75

    def __init__(self, texts: Iterable[Sequence[str]]) -> None:
        self.threes = Counter(gram for text in texts for gram in _trigrams(text))
        self.twos = Counter((b, c) for _, b, c in self.threes)
        self.ones = Counter(c for _, c in self.twos)
        # Occurrences and kinds of continuations of a context of one or of two words.
        self.totals: Counter[tuple[str, ...]] = Counter()
        self.kinds: Counter[tuple[str, ...]] = Counter()
        for (a, b, _), count in self.threes.items():
            self.totals[a, b] += count
            self.kinds[a, b] += 1
        for (b, _), count in self.twos.items():
            self.totals[(b,)] += count
            self.kinds[(b,)] += 1

    def probability(self, a: str, b: str, c: str) -> float:
        """Return the probability of the word c after a and b."""
        kinds, pairs = len(self.ones), len(self.twos)
        p = max(self.ones[c] - self.discount, 0) / pairs
        p += self.discount * kinds / pairs / (kinds + 1)
        for context, count in (((b,), self.twos[b, c]), ((a, b), self.threes[a, b, c])):
            if self.totals[context]:
                rest = self.discount * self.kinds[context] * p
                p = (max(count - self.discount, 0) + rest) / self.totals[context]
        return p

    def perplexity(self, texts: Iterable[Sequence[str]]) -> float:
        """Return the perplexity of texts, including their ends."""
        losses = [-math.log(self.probability(*gram)) for text in texts for gram in _trigrams(text)]
        return math.exp(float(np.mean(losses)))


def _trigrams(words: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    padded = ["<s>", "<s>", *words, "</s>"]
    return zip(padded, padded[1:], padded[2:], strict=False)


def statistics_table(folders: Mapping[Path, Path | None]) -> str:
    """Return the statistics of graphs and texts, one column each; stars mark what is out of range.

    Args:
        folders: For each folder of graphs with a `scans.txt`, that of its R2R files, or None.
    """
    columns = [folder_statistics(*pair) for pair in folders.items()]
    lines = [f"{n}: {directory}" for n, directory in enumerate(folders, 1)]
    numbers = "".join(f"{n:>12}" for n in range(1, len(columns) + 1))
    lines += ["", f"{'':58}{numbers}   like R2R"]
    for row in ROWS:
        cells = "".join(f"{row.cell(column.get(row.name)):>12}" for column in columns)
        lines.append(f"{row.name:58}{cells}   {row.limits}".rstrip())
    return "\n".join(lines)


def annotations_beside(graphs: Path) -> Path | None:
    """Return the folder of the R2R files of a folder of graphs, or None if there is none.

    It is the parent, as in house sets, or `../../r2r`, as in a folder of real data.
    """
    folders = (graphs.parent, graphs.parent.parent / "r2r")
    return next((folder for folder in folders if (folder / "R2R_train.json").is_file()), None)


def folder_statistics(directory: Path, annotations: Path | None) -> dict[str, float]:
    """Return the statistics of the graphs of a folder, and of the R2R files of another one."""
    graphs = {scan: NavGraph.load(scan, directory) for scan in read_scans(directory)}
    if annotations is None:
        return _world_statistics(graphs)
    train, others = (
        read_records(annotations / f"R2R_{split}.json", PathRecord, "correct the record")
        for split in ("train", "val_unseen")
    )
    return _world_statistics(graphs, train, others)
