"""Writer of submission files for the test servers of the datasets."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import cast

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes.chains import chain_ends
from clipnav.envs.episodes.episode import Episode, base_language, path_problems, without_turns
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.submissions.checks import instruction_number
from clipnav.envs.worlds import WorldFiles
from clipnav.storage import write_text
from clipnav.storage.errors import UserError

Trajectory = Sequence[tuple[str, float, float]]
Trajectories = Mapping[str, Trajectory] | Iterable[tuple[str, Trajectory]]


def write_submission(
    path: str | Path,
    trajectories: Trajectories,
    episodes: Sequence[Episode],
    files: WorldFiles,
    dataset: str,
    partial: bool = False,
    answers: Mapping[str, ObjectAnswer] = MappingProxyType({}),
) -> None:
    """Write trajectories for the test server of a dataset.

    R2R and R4R: JSON for the Room-to-Room server (EvalAI challenge 97). RxR: one JSON object per
    line for the Room-across-Room server, with consecutive repetitions of a viewpoint (turns in
    place) written once.

    Args:
        path: File to write.
        trajectories: Trajectories by `instr_id`, or pairs of `instr_id` and trajectory. A
            trajectory contains (viewpoint, heading, elevation) per step, in radians; a turn in
            place may be a step.
        episodes: All episodes of the split, in all languages.
        files: Files of the world with the graphs.
        dataset: Dataset of the episodes, such as "r2r".
        partial: Write the file even if instructions or languages are missing, which the server
            refuses.
        answers: Objects that the agent points out, by `instr_id`, see `VlnVectorEnv.answers`.

    Raises:
        UserError: The episodes are of another dataset or lack a language; instructions are
            missing, unknown or repeated; or a trajectory does not follow the graph from its start.
            Nothing is written.
    """
    spec = dataset_spec(dataset)
    languages = {base_language(episode.language) for episode in episodes}
    missing = sorted(set(spec.languages) - languages)
    if missing and not partial:
        raise UserError(
            f"{path}: a submission to {spec.label} requires {', '.join(spec.languages)}, but the "
            f"episodes lack {', '.join(missing)}; run the agent on the split in all languages, or "
            "write a partial file with partial=True"
        )
    checked = _checked(path, trajectories, episodes, files, partial)
    write_text(path, spec.call("submission", path, checked, answers))


def r2r_text(
    path: str | Path, trajectories: Mapping[str, Trajectory], answers: Mapping[str, ObjectAnswer]
) -> str:
    """Return a submission file in the form of R2R; see `DatasetSpec.submission`."""
    items = [
        {
            "instr_id": instr_id,
            # The angles of observations are numbers of numpy, which json refuses.
            "trajectory": [[viewpoint, float(h), float(e)] for viewpoint, h, e in trajectory],
        }
        for instr_id, trajectory in trajectories.items()
    ]
    return json.dumps(items)


def rxr_text(
    path: str | Path, trajectories: Mapping[str, Trajectory], answers: Mapping[str, ObjectAnswer]
) -> str:
    """Return a submission file in the form of RxR; see `DatasetSpec.submission`."""
    records = [
        {
            "instruction_id": instruction_number(path, instr_id),
            "path": without_turns([viewpoint for viewpoint, *_ in trajectory]),
        }
        for instr_id, trajectory in trajectories.items()
    ]
    return "".join(f"{json.dumps(record)}\n" for record in records)


def _checked(
    path: str | Path,
    trajectories: Trajectories,
    episodes: Sequence[Episode],
    files: WorldFiles,
    partial: bool,
) -> dict[str, Trajectory]:
    if isinstance(trajectories, Mapping):
        trajectories = cast(Mapping[str, Trajectory], trajectories).items()
    episode_of = {episode.instr_id: episode for episode in episodes}
    checked: dict[str, Trajectory] = {}
    for instr_id, trajectory in trajectories:
        if instr_id in checked:
            raise UserError(f"{path}: instruction {instr_id} has two trajectories; keep one")
        if any(isinstance(pose, str) or len(pose) != 3 for pose in trajectory):
            raise UserError(
                f"{path}: trajectory of instruction {instr_id}: a step is not (viewpoint, heading, "
                "elevation); pass env.trajectories(), not env.paths()"
            )
        checked[instr_id] = trajectory
    unknown = [instr_id for instr_id in checked if instr_id not in episode_of]
    if unknown:
        raise UserError(
            f"{path}: {_count_with_names(unknown)} not in the split; remove these trajectories"
        )
    missing = [instr_id for instr_id in episode_of if instr_id not in checked]
    if missing and not partial:
        raise UserError(
            f"{path}: a submission requires a path for each of {len(episode_of)} instructions, but "
            f"{_count_with_names(missing)} missing; run the agent on the whole split, or write a "
            "partial file with partial=True"
        )
    _check_walks(path, checked, [episode_of[instr_id] for instr_id in checked], files)
    return checked


def _check_walks(
    path: str | Path,
    checked: Mapping[str, Trajectory],
    episodes: Sequence[Episode],
    files: WorldFiles,
) -> None:
    walks = [[pose[0] for pose in trajectory] for trajectory in checked.values()]
    scans = [episode.scan for episode in episodes]
    problems = path_problems(scans, walks, files.connectivity_dir, adjacent=True)
    names = [episode.instr_id for episode in episodes]
    ends = chain_ends(episodes, dict(zip(names, walks, strict=True)))
    for number, (episode, trajectory) in enumerate(zip(episodes, checked.values(), strict=True)):
        start, _ = ends.get(episode.follows, (episode.path[0], 0.0))
        problem = problems.get(number, "").removeprefix("field 'path': ")
        if not trajectory:
            problem = "it is empty, but must contain at least the start"
        elif trajectory[0][0] != start:
            problem = f"it starts at {trajectory[0][0]!r}, the episode at {start!r}"
        elif not all(math.isfinite(angle) for pose in trajectory for angle in pose[1:]):
            problem = "a heading or elevation is not finite"
        if problem:
            raise UserError(
                f"{path}: trajectory of instruction {episode.instr_id} is not valid in scan "
                f"{episode.scan!r}: {problem}; run the agent with the graphs of this world"
            )


def _count_with_names(names: Sequence[str]) -> str:
    shown = ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")
    return f"{len(names)} ({shown}) {'is' if len(names) == 1 else 'are'}"
