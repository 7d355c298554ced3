"""CVDN (NDH): a dialog about the path to a room, which the agent continues alone from some point.

The goal of an episode is the region in which its dialog ends. Sources: mmurray/cvdn
(`tasks/NDH/eval.py`), HAMT (`finetune_src/cvdn/env.py`) and SAME.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.annotations import Id, Name
from clipnav.envs.goals.scores import GoalScores, Walked, end_scores, official_efficiency
from clipnav.envs.graphs.goal import Goal, ObjectAnswer
from clipnav.envs.metrics import Metric
from clipnav.envs.metrics.table import by_name, path_efficiency
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records

DialogLanguage = Literal["en", "hi-IN", "te-IN"]
# The viewer knows the names of the speakers (`viewer/static/instruction.js`).
_WORDS: dict[DialogLanguage, dict[str, str]] = {
    "en": {
        "goal": "The goal room contains a {}.",
        "navigator": "Question",
        "oracle": "Answer",
        "stop": ".",
    },
    "hi-IN": {
        "goal": "लक्ष्य वाले कमरे में {} है।",
        "navigator": "प्रश्न",
        "oracle": "उत्तर",
        "stop": "।",
    },
    "te-IN": {
        "goal": "లక్ష్య గదిలో {} ఉంది.",
        "navigator": "ప్రశ్న",
        "oracle": "జవాబు",
        "stop": ".",
    },
}


@dataclass(frozen=True)
class DialogGoal(Goal):
    """Goal region with the paths of both people.

    Attributes:
        planner_path: The beginning of the shortest path that the oracle saw; `player_path` is the
            one that the navigator then walked.
    """

    planner_path: tuple[str, ...] = ()

    @property
    def trusted_path(self) -> tuple[str, ...]:
        """The navigator's path if it passes the end of the oracle's, otherwise the oracle's."""
        trusts = self.planner_path[-1] in self.player_path[1:]
        return self.player_path if trusts else self.planner_path


class Turn(msgspec.Struct, frozen=True, gc=False):
    """Message of a dialog."""

    role: Literal["navigator", "oracle"]
    message: str


class _Pose(msgspec.Struct, frozen=True, gc=False):
    pano: Name
    heading: float


class DialogRecord(msgspec.Struct, frozen=True, gc=False):
    """Question of a dialog, with what was said before; test splits lack goal and paths.

    HAMT's files contain all steps of the navigator as `nav_steps`, from `nav_idx` on those after
    the question. Those of the built-in houses have a `language`, that of the target, too.
    """

    inst_idx: Id
    scan: Name
    target: str
    start_pano: _Pose
    dialog_history: tuple[Turn, ...]
    end_panos: tuple[Name, ...] = ()
    planner_path: tuple[Name, ...] = ()
    player_path: tuple[Name, ...] = ()
    nav_steps: tuple[Name, ...] = ()
    nav_idx: int = 0
    language: DialogLanguage = "en"

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"inst_idx {self.inst_idx}"

    @property
    def path(self) -> tuple[str, ...]:
        """The trusted path; only the start where the goal is secret."""
        start, goal = self.start_pano.pano, self._goal()
        path = (start,) if goal is None else goal.trusted_path
        return path if path[0] == start else (start, *path)

    def episodes(self) -> Iterator[Episode]:
        """Yield the episode of the question."""
        if (self.planner_path or self.player_path) and not self.end_panos:
            raise UserError("field 'end_panos' is empty, so that there is no goal")
        yield Episode(
            str(self.inst_idx),
            self.inst_idx,
            self.scan,
            self.path,
            self.start_pano.heading,
            dialog_text(self.target, self.dialog_history, self.language),
            self.language,
            target=self._goal(),
        )

    def _goal(self) -> DialogGoal | None:
        player = self.player_path or self.nav_steps[self.nav_idx :]
        planner = self.planner_path or player
        if not planner or not self.end_panos:
            return None
        ends = tuple(dict.fromkeys(self.end_panos))
        return DialogGoal(
            ends,
            0.0,
            category=self.target,
            planner_path=planner,
            player_path=player or planner,
        )


def dialog_text(target: str, turns: Sequence[Turn], language: DialogLanguage = "en") -> str:
    """Return the text of a dialog: a line for the goal, one per message.

    The English wording is that of SAME.

    Raises:
        UserError: The target or a message is blank.
    """
    if not target.strip():
        raise UserError("field 'target' is blank")
    words = _WORDS[language]
    lines = [words["goal"].format(target)]
    for number, turn in enumerate(turns):
        if not turn.message.strip():
            raise UserError(f"field 'dialog_history': message {number} is blank")
        stop = "" if turn.message[-1] in f"?{words['stop']}" else words["stop"]
        lines.append(f"{words[turn.role]}: {turn.message}{stop}")
    return "\n".join(lines)


def read_dialogs(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[DialogRecord]:
    """Read a file of NDH, the task of CVDN; see `DatasetSpec.read`."""
    return read_records(path, DialogRecord, files.record_hint(path))


def _score(walked: Walked, episode: Episode, answer: Any, definition: str) -> dict[str, float]:
    """Score a walk: its progress to the goal region, and success by a definition.

    "trusted", "planner" and "player" are those of the official evaluator for the three kinds of
    paths: a success ends less than 3 m from the end of the path. In HAMT's a success ends within
    the goal region.
    """
    goal = episode.goal
    assert isinstance(goal, DialogGoal)
    to_region = walked.distances(goal.viewpoints)
    if definition == "hamt":
        scores = end_scores(to_region, goal.success_radius(0))
        efficiency = path_efficiency(to_region[0], walked.length)
    else:
        to_end = walked.distances([getattr(goal, f"{definition}_path")[-1]])
        scores = end_scores(to_end)
        efficiency = official_efficiency(float(to_end[0]), walked.length)
    return scores | {
        "spl": scores["success"] * efficiency,
        "goal_progress": float(to_region[0] - to_region[-1]),
        "path_success": end_scores(walked.distances(goal.planner_path[-1:]))["oracle_success"],
    }


SCORES = GoalScores(
    definitions=("trusted", "planner", "player", "hamt"),
    score=_score,
    metrics=by_name(Metric("GP", "goal_progress", 1, "m"), Metric("OPSR", "path_success")),
)


def cvdn_text(
    path: str | Path,
    trajectories: Mapping[str, Sequence[Any]],
    answers: Mapping[str, ObjectAnswer],
) -> str:
    """Return a submission file in the form of CVDN; see `DatasetSpec.submission`."""
    items = [
        {
            "inst_idx": int(instr_id),
            "trajectory": [[viewpoint, float(h), float(e)] for viewpoint, h, e in trajectory],
        }
        for instr_id, trajectory in trajectories.items()
    ]
    return json.dumps(items)
