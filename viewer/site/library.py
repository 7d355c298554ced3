"""Episodes that the page can show, with their walks."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import metrics
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.viewer.trace import Trace, outcome
from clipnav.viewer.trace.format import position_of

Json = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """An episode with its data set and split."""

    dataset: str
    split: str
    episode: Episode


class Library:
    """Episodes by key, and the traces of each by agent.

    The key is `<split>/<instr_id>`, or `<dataset>/<split>/<instr_id>` for traces of another data
    set, because R2R and R4R share ids.
    """

    def __init__(self, files: WorldFiles, dataset: str) -> None:
        self.files = files
        self.dataset: str = dataset
        self._episodes: dict[str, Entry] = {}
        self._traces: dict[str, dict[str, Trace]] = {}
        self._agents: dict[str, None] = {}  # a set that keeps its order
        self._lock = Lock()

    @property
    def agents(self) -> list[str]:
        """Names of the agents, in the order in which they were added."""
        return list(self._agents)

    def add_episodes(self, episodes: Iterable[Episode], split: str) -> None:
        """Add episodes, with or without walks."""
        with self._lock:
            for episode in episodes:
                entry = Entry(self.dataset, split, episode)
                self._episodes.setdefault(self._key(entry), entry)

    def add(self, traces: Iterable[Trace]) -> None:
        """Add traces; a trace replaces an older one of the same agent and episode."""
        traces = list(traces)
        self.check(traces)
        for trace in traces:
            entry = Entry(trace.dataset, trace.split, episode_of(trace))
            key = self._key(entry)
            with self._lock:
                self._episodes.setdefault(key, entry)
                self._traces.setdefault(key, {})[trace.agent] = trace
                self._agents.setdefault(trace.agent)

    def check(self, traces: Iterable[Trace]) -> None:
        """Check that traces can be added."""
        for trace in traces:
            name = f"trace of {trace.instr_id} by {trace.agent}"
            if trace.world != self.files.world:
                raise UserError(
                    f"{name}: its world is '{trace.world}', but '{self.files.world}' is shown; set "
                    f"--world {trace.world}"
                )
            try:
                graph = self.graph(trace.scan)
            except FileNotFoundError as error:
                raise UserError(f"{name}: {error}") from error
            unknown = next((v for v in _places(trace) if v not in graph), None)
            if unknown is not None:
                raise UserError(
                    f"{name}: scan '{trace.scan}' has no viewpoint '{unknown}'; the graphs in "
                    f"{self.files.connectivity_dir} are not those that it was recorded with"
                )

    def keys(self) -> list[str]:
        """Return the keys of all episodes."""
        return list(self._episodes)

    def entry(self, key: str) -> Entry:
        """Return an episode with its data set and split."""
        return self._episodes[key]

    def trace(self, key: str, agent: str) -> Trace:
        """Return the trace of an agent."""
        return self._traces[key][agent]

    def walks(self, key: str) -> dict[str, Trace]:
        """Return the traces of an episode, by agent."""
        return dict(self._traces.get(key, {}))

    def graph(self, scan: str) -> NavGraph:
        """Return the graph of a building."""
        return NavGraph.load(scan, self.files.connectivity_dir)

    @property
    def scans(self) -> set[str]:
        """Buildings of the episodes."""
        return {entry.episode.scan for entry in list(self._episodes.values())}

    def rows(self) -> list[Json]:
        """Return the rows of the list of episodes, ready for JSON."""
        with self._lock:
            return [self._row(key, entry) for key, entry in self._episodes.items()]

    def _key(self, entry: Entry) -> str:
        key = f"{entry.split}/{entry.episode.instr_id}"
        return key if entry.dataset == self.dataset else f"{entry.dataset}/{key}"

    def _row(self, key: str, entry: Entry) -> Json:
        episode = entry.episode
        return {
            "key": key,
            "split": entry.split,
            "instr_id": episode.instr_id,
            "scan": episode.scan,
            "language": base_language(episode.language),
            "instruction": episode.instruction,
            "walks": {
                agent: {
                    "outcome": outcome(trace),
                    "steps": len(trace.steps) - 1,
                    "metrics": trace.steps[-1].metrics,
                }
                for agent, trace in self._traces.get(key, {}).items()
            },
        }


def metric_rows() -> list[Json]:
    """Return the metrics of the page, ready for JSON."""
    brief = metrics("walk")
    return [
        {
            "name": metric.name,
            "label": metric.label,
            "factor": metric.factor,
            "unit": metric.unit,
            "binary": metric.binary,
            "brief": name in brief and not metric.binary,
        }
        for name, metric in metrics("page").items()
    ]


def _places(trace: Trace) -> Iterator[str]:
    """Yield the viewpoints that a trace names, without free positions of a continuous walk."""
    yield from trace.path
    if trace.goal is not None:
        yield from (*trace.goal.viewpoints, *trace.goal.spl_ends)
    for step in trace.steps:
        if position_of(step.viewpoint) is None:
            yield step.viewpoint
        yield from (candidate.viewpoint for candidate in step.candidates)
        if step.known_map is not None:
            yield from (node.viewpoint for node in step.known_map.nodes)


def episode_of(trace: Trace) -> Episode:
    """Return the episode of a trace."""
    return Episode(
        instr_id=trace.instr_id,
        path_id=trace.path_id,
        scan=trace.scan,
        path=trace.path,
        heading=trace.heading,
        instruction=trace.instruction,
        language=trace.language,
        target=trace.goal,
    )
