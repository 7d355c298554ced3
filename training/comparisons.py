"""Comparison of trainings: rows with several seeds each, trained in worker processes.

An interrupted comparison resumes: finished runs are read, others continue from their last state.
"""

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import exclusive_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.training.checkpoints import MODEL, TRAINER, check_metadata
from clipnav.training.interruption import interruption_message
from clipnav.training.log import read_log
from clipnav.training.settings import CONFIG, check_same_run

SCORES = "scores.json"  # in the folder of a run: scores of each item, written last
LOG = "output.txt"  # in the folder of a run: output of its training
_HINT = "choose another --output, or remove the folder of the run"

# By split and id of the item (such as an episode): its metrics, and the number of a cluster such
# as its building.
Scores = dict[str, dict[str, dict[str, float]]]


@dataclass(frozen=True)
class ComparisonRow:
    """One row of a comparison.

    Attributes:
        arguments: Arguments of the training command; "{seed}" is replaced by the seed of each
            training.
    """

    name: str
    arguments: tuple[str, ...]

    def arguments_for(self, seed: int) -> list[str]:
        """Return the arguments of the training with a seed."""
        return [
            *(word.replace("{seed}", str(seed)) for word in self.arguments),
            *("--seed", str(seed)),
        ]


@dataclass(frozen=True)
class Job:
    """One training: the folder of its run and its settings."""

    run: Path
    config: Any


def train_rows(
    rows: Sequence[ComparisonRow],
    seeds: int,
    folder: Path,
    workers: int,
    make_job: Callable[[Path, Sequence[str]], Job],
    run_job: Callable[[Job], None],
) -> dict[str, list[Scores]]:
    """Train each row with each seed, and return the scores of each run."""
    folders = _folders([row.name for row in rows])
    jobs = {
        row.name: [
            make_job(folder / f"{folders[row.name]}-{seed}", row.arguments_for(seed))
            for seed in range(seeds)
        ]
        for row in rows
    }
    all_jobs = [job for row_jobs in jobs.values() for job in row_jobs]
    folder.mkdir(parents=True, exist_ok=True)
    hint = (
        f"Finished runs are kept in {folder}; give the same command again to resume the others "
        "from their last saved states"
    )
    with exclusive_lock(folder), interruption_message(lambda: hint):
        unfinished = [job for job in all_jobs if not (job.run / SCORES).is_file()]
        total, done = len(all_jobs), len(all_jobs) - len(unfinished)
        with progress_bar(total=total, initial=done, desc="trainings", unit="runs") as bar:

            def show_iterations() -> None:
                running = [job.run for job in unfinished if not (job.run / SCORES).is_file()]
                iterations = {run.name: read_log(run)[-1:] for run in running}
                shown = [
                    f"{name} {events[0]['iteration']}"
                    for name, events in iterations.items()
                    if events
                ]
                bar.set_postfix_str(f"iterations: {', '.join(shown)}" if shown else "")
                bar.update(0)

            for _ in run_jobs(run_job, unfinished, workers, "trains", show_iterations):
                bar.update()
    return {
        name: [
            read_json(job.run / SCORES, "delete it to score the run again", Scores, allow_nan=True)
            for job in row_jobs
        ]
        for name, row_jobs in jobs.items()
    }


def resumable_job(
    run: Path, config: Any, may_change: frozenset[str], metadata: Callable[[], Mapping[str, str]]
) -> Job:
    """Return the job of a training in a folder, which is new, interrupted or finished."""
    config = replace(config, output=run)
    if not (run / CONFIG).is_file():
        return Job(run, config)
    check_same_run(run, config, may_change, "this comparison", _HINT)
    if not (run / TRAINER).is_file():  # killed before its first state was saved
        return Job(run, config)
    # Between its first state and its first weights a run can be killed, too.
    if (run / MODEL).is_file() or (run / SCORES).is_file():
        # Also checked for finished runs, whose scores are read.
        check_metadata(run, metadata(), _HINT)
    return Job(run, replace(config, resume=run))


@contextlib.contextmanager
def logged(run: Path) -> Iterator[None]:
    """Write the output of a training to a file in the folder of its run."""
    run.mkdir(parents=True, exist_ok=True)
    log = run / LOG
    with (
        log.open("a", encoding="utf-8") as file,
        contextlib.redirect_stdout(file),
        contextlib.redirect_stderr(file),
    ):
        try:
            yield
        except (SystemExit, FloatingPointError) as end:
            raise ChildProcessError(f"{run}: {end} ({log} contains the whole output)") from end


def write_scores(folder: Path, name: str, runs: Sequence[Scores]) -> None:
    """Write the scores of each run of a row that trains nothing, as `train_rows` writes others."""
    for seed, scores in enumerate(runs):
        path = folder / f"{_folders([name])[name]}-{seed}" / SCORES
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(scores) + "\n")


def _folders(names: Sequence[str]) -> Mapping[str, str]:
    folders = {name: re.sub(r"[^\w.+-]+", "-", name) for name in names}
    # Windows and macOS do not distinguish case in names.
    if len({folder.casefold() for folder in folders.values()}) < len(names):
        raise UserError(f"two of {', '.join(names)} give the same folder; rename one of the rows")
    return folders
