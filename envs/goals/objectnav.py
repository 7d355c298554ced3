"""Object-goal navigation on graphs: go to any instance of a category (SAME's OBJNAV_MP3D).

The goal of an episode is every viewpoint that observes an instance. The graphs are those that SAME
made of habitat's Matterport3D scenes. habitat's own success rule asks for 0.1 m to a view point, so
that its figures are not comparable.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.annotations import Path as ViewpointPath
from clipnav.envs.goals.scores import GoalScores, Walked, end_scores
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import Metric
from clipnav.envs.metrics.table import by_name, path_efficiency
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import decode_part, read_packed


class _Observed(msgspec.Struct, frozen=True, gc=False):
    all_observation_viewpoint_ids: tuple[str, ...]


class _Episode(msgspec.Struct, frozen=True, gc=False):
    episode_id: int | str
    scene_id: str
    goals_key: str
    path: ViewpointPath
    instruction: str = ""
    language: str = "en"


@dataclass(frozen=True)
class ObjectRecord:
    """Episode of a file with the viewpoints that observe its category.

    Attributes:
        item: The episode.
        scan: Name of the building.
        number: Index of the episode among all.
        observed: Viewpoints that observe an instance and can be reached, or names that the graph
            lacks.
    """

    item: _Episode
    scan: str
    number: int
    observed: tuple[str, ...]

    @property
    def path(self) -> tuple[str, ...]:
        """Viewpoints of the path of a person."""
        return self.item.path

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"scan {self.scan}, episode_id {self.item.episode_id}"

    def episodes(self) -> Iterator[Episode]:
        """Yield the episode."""
        item = self.item
        if not self.observed:
            raise UserError(f"field 'goals_key': no viewpoint observes {item.goals_key!r}")
        category = item.goals_key.rpartition(".glb_")[2].replace("_", " ")
        article = "an" if category[:1] in "aeiou" else "a"
        yield Episode(
            f"{self.scan}_{item.episode_id}",
            self.number,
            self.scan,
            item.path,
            0.0,
            item.instruction or f"Find {article} {category}.",
            item.language,
            target=Goal(self.observed, category=category),
        )


def read_objects(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[ObjectRecord]:
    """Read a folder of a file per building, as SAME's; see `DatasetSpec.read`.

    A file is a list: an object with the instances of each category, the last of which names all
    viewpoints that observe the category; then the episodes.
    """
    hint = files.record_hint(path)
    sources = sorted(path.glob("*.json*")) if path.is_dir() else [path]
    records: list[ObjectRecord] = []
    for source in sources:
        raw = decode_part(read_packed(source, hint), list[msgspec.Raw], f"{source}", hint)
        if not raw:
            raise UserError(f"{source}: the file is empty; {hint}")
        objects = decode_part(raw[0], dict[str, list[Any]], f"{source}: objects", hint)
        for number, one in enumerate(raw[1:]):
            item = decode_part(one, _Episode, f"{source}: episode {number}", hint)
            scan = Path(item.scene_id).stem
            observed: tuple[str, ...] = ()
            if objects.get(item.goals_key):
                place = f"{source}: objects, {item.goals_key}"
                last = msgspec.json.encode(objects[item.goals_key][-1])
                ids = decode_part(last, _Observed, place, hint)
                observed = tuple(dict.fromkeys(ids.all_observation_viewpoint_ids))
            if (files.connectivity_dir / f"{scan}_connectivity.json").is_file():
                graph = NavGraph.load(scan, files.connectivity_dir)
                start = item.path[0]
                observed = tuple(
                    goal
                    for goal in observed
                    if start not in graph
                    or goal not in graph
                    or np.isfinite(graph.geodesic(start, goal))
                )
            records.append(ObjectRecord(item, scan, len(records), observed))
    return records


def _score(walked: Walked, episode: Episode, answer: Any, definition: str) -> dict[str, float]:
    """Score a walk; success is an end less than 3 m from a viewpoint of the goal.

    In SAME's definition the end of the person's path is a goal, too, and SPL is relative to the
    length of that path. (SAME adds the ends of all evaluated paths to the goals of their category,
    so that its scores grow with the number of evaluations; here an episode has its own end only.)
    """
    goals, best = episode.goal.viewpoints, None
    if definition == "same":
        goals, best = (*goals, episode.path[-1]), walked.length_of(episode.path)
    to_goal = walked.distances(goals)
    scores = end_scores(to_goal)
    start = float(to_goal[0])
    efficiency = path_efficiency(start if best is None else best, walked.length)
    closeness = max(0.0, 1 - scores["nav_error"] / max(start, 0.01))
    return scores | {
        "spl": scores["success"] * efficiency,
        "soft_spl": closeness * efficiency,
    }


SCORES = GoalScores(
    definitions=("nearest", "same"),
    score=_score,
    metrics=by_name(Metric("SoftSPL", "soft_spl")),
    # The spellings of SAME's runs and files.
    aliases=lambda episodes: {
        f"{prefix}_{episode.instr_id}": episode.instr_id
        for prefix in ("objnav_mp3d", "mp3d")
        for episode in episodes
    },
)
