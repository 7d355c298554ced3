"""Rerun the experiments behind the tables of the documentation, and render the tables.

$ clipnav reproduce --list                 # names, budgets and state
$ clipnav reproduce first-iterations captioning-speed
$ clipnav reproduce rewards --workers 4    # seeds at once
$ clipnav reproduce --render               # only render the tables from their records

Run it in a checkout. docs/results/experiments.toml declares each experiment: its commands, seeds,
budget and table. The commands write into OUTPUT/NAME; the rows of the table are then stored in
docs/results/NAME.json with commit, machine, date and seeds, and the pages are rendered. To resume
an interrupted experiment, run the same command again; to start it from nothing, remove OUTPUT/NAME.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts

if TYPE_CHECKING:
    from clipnav.experiments.declarations import Experiment


@dataclass(frozen=True)
class ReproduceArguments:
    """Experiments to run, or another action."""

    names: tyro.conf.Positional[tuple[str, ...]] = ()
    """Experiments to run."""
    list: bool = False
    """List the experiments: name, page, seeds, budget and state."""
    render: bool = False
    """Render the tables of all pages from their records, without running an experiment."""
    workers: int = 1
    """Number of steps, of all named experiments and those that they require, that run at once:
    trainings of several seeds, for example. A step starts when those that it reads from have ended;
    benchmarks run alone."""
    output: Path = Path("runs/results")
    """Folder of the outputs; each experiment has a folder in it."""
    docs: Path = Path("docs")
    """Folder of the pages; its folder results/ contains declarations and records."""

    def __post_init__(self) -> None:
        actions = [bool(self.names), self.list, self.render]
        if sum(actions) != 1:
            raise UserError("give either names, --list or --render")
        check_counts(self, ("workers",))


def run(arguments: ReproduceArguments) -> None:
    """Run the command."""
    from clipnav.experiments.declarations import read_experiments
    from clipnav.experiments.pages import without_page
    from clipnav.experiments.records import record_path, write_record
    from clipnav.experiments.running import run_experiments

    records = arguments.docs / "results"
    experiments = read_experiments(records)
    if arguments.list:
        print(_listing(experiments, records, arguments.output))
        return
    unknown = [name for name in arguments.names if name not in experiments]
    if unknown:
        raise UserError(
            f"{', '.join(unknown)}: no such experiment; clipnav reproduce --list prints the names"
        )
    checkout, workers = arguments.docs.absolute().parent, arguments.workers
    names, problems = arguments.names, []
    for record in run_experiments(names, experiments, checkout, arguments.output, workers):
        write_record(records, record)
        print(record_path(records, record.experiment))
        try:
            _render(arguments.docs, experiments, (record.experiment,))
        except UserError as error:  # in a page; the other experiments go on
            problems.append(str(error))
    if problems:
        raise UserError("\n".join(problems))
    if arguments.render:
        _render(arguments.docs, experiments)
    for name in without_page(arguments.docs, dict.fromkeys(names)):
        page = arguments.docs / experiments[name].page
        print(f"{page}: to show the table, add the lines <!-- table: {name} --> and <!-- end -->")


def _render(
    docs: Path, experiments: "Mapping[str, Experiment]", names: Sequence[str] | None = None
) -> None:
    from clipnav.experiments.pages import render_pages

    for page in render_pages(docs, experiments, names):
        print(f"{page}: rendered")


def _listing(experiments: "Mapping[str, Experiment]", records: Path, output: Path) -> str:
    from clipnav.envs.metrics import aligned

    rows = [["experiment", "page", "seeds", "budget", "state"]]
    for name, experiment in experiments.items():
        seeds = ", ".join(map(str, experiment.seeds))
        state = _state(name, experiment, records, output / name)
        rows.append([name, experiment.page, seeds, experiment.budget or "-", state])
    return aligned(rows, texts=5)


def _state(name: str, experiment: "Experiment", records: Path, folder: Path) -> str:
    """Return the state of the record of an experiment, and of its outputs."""
    from clipnav.experiments.finished import finished_steps
    from clipnav.experiments.records import read_record
    from clipnav.experiments.steps import steps_of

    record = read_record(records, name)
    state = "no record" if record is None else f"{record.source} at {record.commit}, {record.date}"
    if not folder.is_dir():
        return state
    steps = steps_of(experiment, folder)
    done = sum(list(step.words) in steps for step in finished_steps(folder))
    return f"{state}; {done} of {len(steps)} steps finished in {folder}"


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    run(parse(ReproduceArguments, __name__, __doc__, arguments))
