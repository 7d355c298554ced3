"""The steps of an experiment: their words, their order, and how they are resumed."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from clipnav.experiments.declarations import Experiment

BENCHMARKS = "benchmarks/"
_WRITTEN = ("--output", "--json")  # flags of the folder and of the file that a step writes
_SAVED_STATE = "trainer.pt"
_CONTENT = ("model.safetensors", "results.json", "comparison.json")  # of the folder of a step
_RECORDED = Path("runs/results")  # folder of the outputs in records, whatever it was
_TRAININGS = (
    "train-agent",
    "pretrain-agent",
    "train-speaker",
    "pretrain-house-clip",
    "finetune-vqa",
    "train-selector",
    "finetune-snli-ve",
    "finetune-gqa",
    "pretrain-vl",
    "train-captioner",
    "train-continuous-agent",
    "train-language-representation",
    "train-visual-representation",
)


def steps_of(experiment: Experiment, folder: Path) -> list[list[str]]:
    """Return the words of each step, in order; a step with {seed} is repeated for each seed."""
    steps = []
    for step in experiment.steps:
        words = shlex.split(step)
        for seed in experiment.seeds:
            filled = [_filled(word, experiment, folder, str(seed)) for word in words]
            if filled not in steps:
                steps.append(filled)
    return steps


def _filled(text: str, experiment: Experiment, folder: Path, seed: str) -> str:
    """Replace the folders and the seed in a step."""
    required = {name: folder.parent / name for name in experiment.requires}
    return text.format(folder=folder, seed=seed, **required)


class Step(NamedTuple):
    """A step in the list of all steps that an experiment needs.

    Attributes:
        experiment: Name of the experiment that declares it.
        folder: Folder of the outputs of that experiment.
        words: Words of the step.
    """

    experiment: str
    folder: Path
    words: list[str]


def steps_needed(
    names: Sequence[str], experiments: Mapping[str, Experiment], output: Path
) -> list[Step]:
    """Return the steps of experiments, each after those of the experiments that it requires.

    Args:
        names: Names of the experiments.
        experiments: All experiments.
        output: Folder that contains the folder of the outputs of each experiment.
    """
    parts = dict.fromkeys(part for name in names for part in (*required(name, experiments), name))
    return [
        Step(part, output / part, words)
        for part in parts
        for words in steps_of(experiments[part], output / part)
    ]


def predecessors(steps: Sequence[Step]) -> list[set[int]]:
    """Return, for each step, the numbers of the steps that must have ended before it starts.

    A step waits for earlier steps whose --output or --json its words name. A benchmark, and a step
    that writes neither into the folder of its experiment, such as one that fills the cache of the
    houses, runs alone: it waits for all earlier steps, and all later ones wait for it.
    """
    waits: list[set[int]] = []
    alone: set[int] = set()
    for number, step in enumerate(steps):
        if _runs_alone(step.words, step.folder):
            waits.append(set(range(number)))
            alone.add(number)
        else:
            earlier = enumerate(steps[:number])
            read = {k for k, other in earlier if read_output(step.words, other.words)}
            waits.append(read | alone)
    return waits


def _runs_alone(words: Sequence[str], folder: Path) -> bool:
    is_own = any(_names(output, str(folder)) for output in _outputs(words))
    return words[0].startswith(BENCHMARKS) or not is_own


def output_folder(words: Sequence[str]) -> str | None:
    """Return the --output of a step; None if it has none."""
    return _value(words, "--output")


def _value(words: Sequence[str], flag: str) -> str | None:
    """Return the value of a flag, "--flag VALUE" or "--flag=VALUE"; None without it."""
    for number, word in enumerate(words):
        if word.startswith(f"{flag}="):
            return word.partition("=")[2]
        if word == flag and number + 1 < len(words):
            return words[number + 1]
    return None


def _outputs(words: Sequence[str]) -> set[str]:
    """Return the folder and the file that a step writes."""
    values = (_value(words, flag) for flag in _WRITTEN)
    return {value for value in values if value is not None}


def content_files(words: Sequence[str]) -> list[str]:
    """Return the files that identify what a step has made: weights and scores, and its --json.

    A step that writes none of them, such as one that makes a data set, has none.
    """
    folder = output_folder(words)
    content = [] if folder is None else [f"{folder}/{name}" for name in _CONTENT]
    files = [*content, *sorted(_outputs(words))]
    return [file for file in files if Path(file).is_file()]


def read_output(words: Sequence[str], other: Sequence[str]) -> str | None:
    """Return an output of another step that the words of a step name; None if they name none.

    A word may contain several paths, such as a row of a comparison:
    "both=--language-representation FOLDER/language --visual-representation FOLDER/visual".
    """
    own = _outputs(words)
    written = {*own, *(f"{flag}={value}" for flag in _WRITTEN for value in own)}
    read = [word for word in words if word not in written]
    return next((o for o in sorted(_outputs(other)) if any(_names(word, o) for word in read)), None)


def _names(word: str, path: str) -> bool:
    """Return whether a word of a step contains a path, or one below it."""
    return re.search(rf"(?:^|[\s=]){re.escape(path)}(?:[/\s]|$)", word) is not None


def resumed(words: Sequence[str]) -> list[str]:
    """Return the words of a step, or those that resume its training from a saved state."""
    run = run_folder(words)
    if run is not None and (Path(run) / _SAVED_STATE).is_file():
        return [words[0], "--resume", run]
    return list(words)


def replaces(words: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a step overwrites the output of another step."""
    return list(words) != list(other) and not _outputs(words).isdisjoint(_outputs(other))


def run_folder(words: Sequence[str]) -> str | None:
    """Return the folder of the run of a training; None for any other step."""
    return output_folder(words) if words[0] in _TRAININGS else None


def required(name: str, experiments: Mapping[str, Experiment]) -> list[str]:
    """Return the experiments that an experiment requires, directly or not, in order."""
    names: dict[str, None] = {}
    for part in experiments[name].requires:
        names |= dict.fromkeys([*required(part, experiments), part])
    return list(names)


def command_lines(name: str, experiments: Mapping[str, Experiment]) -> list[str]:
    """Return the steps of an experiment as command lines, after those of required ones.

    Their outputs are in runs/results, so that records do not depend on the folder of the outputs.
    """
    lines = []
    for part in (*required(name, experiments), name):
        for step in experiments[part].steps:
            program = "python" if step.startswith(BENCHMARKS) else "clipnav"
            lines.append(
                f"{program} {_filled(step, experiments[part], _RECORDED / part, '{seed}')}"
            )
    return lines
