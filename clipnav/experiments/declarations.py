"""Declarations of experiments, docs/results/experiments.toml, and the steps that they need."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_toml

OUTPUTS = Path("runs/results")  # in the checkout; each experiment has a folder in it
_WRITTEN = ("--output", "--json", "--submission")  # flags of what a step writes


class Column(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Column of a table.

    Attributes:
        name: Header.
        key: Path of keys to the value in the results of a row; the header by default.
        factor: Factor from the value in the results to the value in the table.
        format: Python format of a number; by default that of the metric of this name, or three
            significant digits.
    """

    name: str
    key: str | None = None
    factor: float | None = None
    format: str | None = None

    @property
    def metric(self) -> str:
        """Name of the metric in the column."""
        return (self.key or self.name).partition("#")[0]


class Chart(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Chart of a table.

    Attributes:
        title: Title, which names data set and split.
        columns: Names of the columns to draw.
        y: Name of the y axis, if the columns are curves over the numbers of the first column.
        log_x: Whether the x axis of curves is logarithmic, with a tick at each of these numbers.
    """

    title: str
    columns: tuple[str, ...]
    y: str = ""
    log_x: bool = False


class Experiment(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An experiment that makes one table.

    Attributes:
        page: Page with the table, relative to the folder docs/.
        columns: Columns of the table; a string is a column with all defaults.
        steps: Commands, "clipnav NAME ARGUMENTS" or "python benchmarks/NAME.py ARGUMENTS", which
            write into runs/results/EXPERIMENT. One with {seed} runs once per seed; a brace itself
            is written twice. One that reads from the folder of another experiment runs after the
            steps of that experiment.
        rows: Rows of the table, as `clipnav.experiments.records.read_rows` reads them.
        budget: Time and hardware that the steps need, without those of other experiments.
        seeds: Random seeds.
        houses: Whether the figures depend on the built-in houses.
        chart: Chart below the table, docs/results/EXPERIMENT.svg.
    """

    page: str
    columns: tuple[str | Column, ...]
    steps: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    budget: str
    seeds: tuple[int, ...] = (0,)
    houses: bool = True
    chart: Chart | None = None

    def column_list(self) -> list[Column]:
        """Return all columns as `Column`."""
        return [Column(c) if isinstance(c, str) else c for c in self.columns]


class ExperimentStep(NamedTuple):
    """A command that an experiment declares, with its seed."""

    experiment: str
    command: str

    @property
    def folder(self) -> Path:
        """Folder of the outputs of the experiment."""
        return OUTPUTS / self.experiment

    @property
    def words(self) -> list[str]:
        """Words of the command."""
        return shlex.split(self.command)

    @property
    def outputs(self) -> set[str]:
        """The folder and the files that the step writes."""
        words = self.words
        return {words[k + 1] for k, word in enumerate(words[:-1]) if word in _WRITTEN}

    @property
    def run_folder(self) -> str | None:
        """Folder of the run that the step trains; None if it trains none."""
        _, name, *words = self.words
        if name.startswith(("train-", "pretrain-", "finetune-")) and "--output" in words:
            return words[words.index("--output") + 1]
        return None

    @property
    def runs_alone(self) -> bool:
        """Whether nothing may run beside it: a benchmark, or a step that fills shared caches."""
        own = any(output.startswith(f"{self.folder}/") for output in self.outputs)
        return self.words[0] == "python" or not own

    def input_from(self, other: "ExperimentStep") -> str | None:
        """Return an output of another step that this one reads; None if it reads none.

        A word may contain several paths, such as a row of a comparison:
        "both=--language-representation FOLDER/language --visual-representation FOLDER/visual". A
        comparison of several seeds has {seed} where the path has a number.
        """
        read = " ".join(word for word in self.words if word not in self.outputs)
        for path in sorted(other.outputs):
            name = re.sub(r"\d+", r"(?:\g<0>|{seed})", re.escape(path))
            if re.search(rf"(?:^|[\s=]){name}(?:[/\s]|$)", read):
                return path
        return None


def read_experiments(folder: Path) -> dict[str, Experiment]:
    """Read the experiments by name, in the order of the file."""
    path = folder / "experiments.toml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; run this command in a checkout of clipnav, which contains the "
            "documentation and the benchmarks"
        )
    hint = "correct the file, or restore it with git checkout"
    experiments = {}
    for name, settings in parse_toml(path.read_bytes(), path, dict[str, Any], hint).items():
        try:
            experiments[name] = msgspec.convert(settings, Experiment)
        except msgspec.ValidationError as error:
            raise UserError(f"{path}: {name} {error}; {hint}") from error
    return experiments


def steps_of(name: str, experiment: Experiment) -> list[ExperimentStep]:
    """Return the steps of an experiment, in order; one with {seed} is repeated for each seed."""
    commands = [step.format(seed=seed) for step in experiment.steps for seed in experiment.seeds]
    return [ExperimentStep(name, command) for command in dict.fromkeys(commands)]


def required(name: str, experiments: Mapping[str, Experiment]) -> list[str]:
    """Return an experiment after those from which it reads, directly or not."""
    own = experiments[name]
    text = "\n".join([*own.steps, *("\n".join(row) for row in own.rows)])
    read = re.findall(rf"(?:{OUTPUTS}|^\.\.)/([\w-]+)", text, re.MULTILINE)
    others = [part for other in read if other != name for part in required(other, experiments)]
    return list(dict.fromkeys([*others, name]))


def steps_needed(
    names: Sequence[str], experiments: Mapping[str, Experiment]
) -> list[ExperimentStep]:
    """Return the steps of experiments, each after those of the experiments from which it reads."""
    parts = dict.fromkeys(part for name in names for part in required(name, experiments))
    return [step for part in parts for step in steps_of(part, experiments[part])]


def command_lines(name: str, experiments: Mapping[str, Experiment]) -> list[str]:
    """Return the commands of `steps_needed`, with {seed} for the seed."""
    parts = required(name, experiments)
    return [step.format(seed="{seed}") for part in parts for step in experiments[part].steps]
