"""Rerun the experiments behind the tables of the documentation, and render the tables.

$ clipnav reproduce --list                 # names, budgets and state
$ clipnav reproduce first-iterations captioning-speed
$ clipnav reproduce encoders --workers 4   # seeds at once
$ clipnav reproduce --render               # only render the tables from their records

Run it in a checkout. docs/results/experiments.toml declares each experiment: its commands, seeds,
budget and table. The commands write into runs/results/NAME; the rows of the table are then stored
in docs/results/NAME.json with commit, machine, date and seeds, and the pages are rendered. To
resume an interrupted experiment, run the same command again; to start it from nothing, remove its
folder.
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

DOCS = Path("docs")  # in the checkout


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

    def __post_init__(self) -> None:
        if sum([bool(self.names), self.list, self.render]) != 1:
            raise UserError("give either names, --list or --render")
        check_counts(self, ("workers",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ReproduceArguments, __name__, __doc__, arguments)
    from clipnav.experiments.charts import write_charts
    from clipnav.experiments.declarations import read_experiments
    from clipnav.experiments.pages import render_pages

    experiments = read_experiments(DOCS / "results")
    unknown = ", ".join(name for name in config.names if name not in experiments)
    if unknown:
        raise UserError(f"{unknown}: no such experiment; clipnav reproduce --list prints the names")
    if config.list:
        print(_listing(experiments))
    elif config.render:
        for path in (*render_pages(DOCS, experiments), *write_charts(DOCS, experiments)):
            print(f"{path}: rendered")
    else:
        _measure(config.names, experiments, config.workers)


def _measure(names: Sequence[str], experiments: "Mapping[str, Experiment]", workers: int) -> None:
    from clipnav.experiments.charts import write_charts
    from clipnav.experiments.pages import pages_of, render_pages
    from clipnav.experiments.records import write_record
    from clipnav.experiments.running import record_of, run_experiments

    failures = []
    for name in run_experiments(names, experiments, workers):
        try:
            print(write_record(DOCS / "results", record_of(name, experiments)))
            pages = render_pages(DOCS, experiments, (name,))
            for path in (*pages, *write_charts(DOCS, experiments, (name,))):
                print(f"{path}: rendered")
        except (OSError, UserError) as error:  # reported after the other experiments
            failures.append(str(error))
    if failures:
        raise UserError("\n".join(failures))
    text = "\n".join(page.read_text("utf-8") for page in pages_of(DOCS))
    for name in dict.fromkeys(names):
        if f"<!-- table: {name} -->\n" not in text:
            page = DOCS / experiments[name].page
            print(f"{page}: add the lines <!-- table: {name} --> and <!-- end --> for the table")


def _listing(experiments: "Mapping[str, Experiment]") -> str:
    """Return the experiments with the states of their records and of their outputs."""
    from clipnav.envs.metrics import aligned
    from clipnav.experiments.declarations import OUTPUTS, steps_of
    from clipnav.experiments.records import read_record
    from clipnav.experiments.running import read_states

    rows = [["experiment", "page", "seeds", "budget", "state"]]
    for name, experiment in experiments.items():
        record = read_record(DOCS / "results", name)
        state = "no record"
        if record is not None:
            state = f"measured at {record.commit}, {record.date}"
        steps = steps_of(name, experiment)
        folder = OUTPUTS / name
        if folder.is_dir():
            states = read_states(folder)
            done = sum(s.command in states and states[s.command].ended > 0 for s in steps)
            state = f"{state}; {done} of {len(steps)} steps finished in {folder}"
        seeds = ", ".join(map(str, experiment.seeds))
        rows.append([name, experiment.page, seeds, experiment.budget, state])
    return aligned(rows, texts=5)
