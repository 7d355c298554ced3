"""The steps of an experiment: their words, which may run at once, and how they are resumed."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from clipnav.experiments.declarations import Experiment

BENCHMARKS = "benchmarks/"
_SAVED_STATE = "trainer.pt"
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


def waves_of(steps: Sequence[list[str]], folder: Path) -> list[list[list[str]]]:
    """Return the steps in waves; the steps of a wave may run at once.

    A step waits for earlier steps whose --output its words name. A benchmark, and a step without
    --output in the folder, such as one that fills the cache of the houses, runs alone: all earlier
    steps precede it, and all later ones follow it.

    Args:
        steps: Words of each step, in order.
        folder: Folder of the outputs of the experiment.
    """
    outputs = [_output(words, folder) for words in steps]
    numbers: list[int] = []  # wave of each step
    first = 0  # wave of a step that waits for no other
    for own, words in zip(outputs, steps, strict=True):
        before = zip(outputs, numbers, strict=False)
        if own is None:
            number = max(numbers, default=-1) + 1
            first = number + 1
        else:
            read = [word.rpartition("=")[2] for word in words if word != own]
            needed = [k for output, k in before if any(_lies_in(path, output) for path in read)]
            number = max([first, *(k + 1 for k in needed)])
        numbers.append(number)
    count = max(numbers, default=-1) + 1
    return [
        [words for words, number in zip(steps, numbers, strict=True) if number == wave]
        for wave in range(count)
    ]


def _output(words: Sequence[str], folder: Path) -> str | None:
    """Return the --output of a step in the folder of the experiment; None if it runs alone."""
    if words[0].startswith(BENCHMARKS) or "--output" not in words[:-1]:
        return None
    output = words[words.index("--output") + 1]
    return output if _lies_in(output, str(folder)) else None


def _lies_in(path: str, folder: str | None) -> bool:
    return folder is not None and (path == folder or path.startswith(f"{folder}/"))


def resumed(words: Sequence[str]) -> list[str]:
    """Return the words of a step, or those that resume its training from a saved state."""
    run = run_folder(words)
    if run is not None and (Path(run) / _SAVED_STATE).is_file():
        return [words[0], "--resume", run]
    return list(words)


def replaces(words: Sequence[str], other: Sequence[str]) -> bool:
    """Return whether a step is a training whose run replaces that of another step."""
    run = run_folder(words)
    return run is not None and run == run_folder(other) and list(words) != list(other)


def run_folder(words: Sequence[str]) -> str | None:
    """Return the folder of the run of a training; None for any other step."""
    name, *arguments = words
    if name not in _TRAININGS or "--output" not in arguments:
        return None
    return arguments[arguments.index("--output") + 1]


def command_lines(experiment: Experiment, folder: Path) -> list[str]:
    """Return the steps as command lines of the documentation."""
    programs = ("python" if step.startswith(BENCHMARKS) else "clipnav" for step in experiment.steps)
    filled = (_filled(step, experiment, folder, "{seed}") for step in experiment.steps)
    return [f"{program} {step}" for program, step in zip(programs, filled, strict=True)]
