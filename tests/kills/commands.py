"""Long commands: their arguments, and the part of their output that kills must not change."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from clipnav.storage import file_sha256

PROGRAMS = Path(__file__).parent / "programs"
WITH_SIMPLE_HOUSES = PROGRAMS / "with_simple_houses.py"
COMMAND = PROGRAMS / "command.py"
_CLOCK = ("seconds", "training_seconds")


@dataclass(frozen=True)
class Command:
    """A long command.

    Attributes:
        program: Python file of the command.
        arguments: Function from the output folder to the arguments.
        state: Function from the output folder to the values that are compared.
        waits: Whether a second process waits for the first instead of being refused.
        resumes: Whether an interrupted run is resumed with --resume.
        words: First words of the command line.
    """

    program: Path
    arguments: Callable[[Path], list[str]]
    state: Callable[[Path], Mapping[str, Any]]
    waits: bool = False
    resumes: bool = False
    words: tuple[str, ...] = ()


def files_in(folder: Path) -> dict[str, str]:
    """Return the digest of each file in a folder and its subfolders."""
    return {
        str(path.relative_to(folder)): file_sha256(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def run_state(output: Path) -> dict[str, Any]:
    """Return the files and values of a run that do not depend on time."""
    run = output / "run"
    trainer = torch.load(run / "trainer.pt", weights_only=True)
    state: dict[str, Any] = {"model": file_sha256(run / "model.safetensors")}
    state |= {name: digest(value) for name, value in trainer.items() if name not in _CLOCK}
    events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    results = json.loads((run / "results.json").read_text())
    state["log"] = [without_clock(event) for event in events]
    state["results"] = without_clock(results)
    state["files"] = sorted(
        str(path.relative_to(run)) for path in run.iterdir() if path.name != "tensorboard"
    )
    return state


def without_clock(values: dict[str, Any]) -> dict[str, Any]:
    """Remove values that depend on time."""
    return {name: value for name, value in values.items() if name not in _CLOCK}


def digest(value: Any) -> str:
    """Return a digest of nested tensors and numbers."""
    if isinstance(value, torch.Tensor):
        return hashlib.sha256(value.contiguous().numpy().tobytes()).hexdigest()
    if isinstance(value, Mapping):
        return json.dumps({str(name): digest(item) for name, item in value.items()})
    if isinstance(value, list | tuple):
        return json.dumps([digest(item) for item in value])
    return repr(value)


QUICK = ["--threads", "1", "--iterations", "24", "--evaluate-every", "4"]
RUN: dict[str, Any] = {"state": run_state, "resumes": True}


def clip_state(output: Path) -> dict[str, Any]:
    """Return the state of a pre-training of CLIP on houses, and the exported weights."""
    clip = digest(load_file(output / "clip" / "open_clip_model.safetensors"))
    return {**run_state(output), "clip": clip}


def pretraining_flags(shapes: Path) -> list[str]:
    """Return the flags of a tiny vision-and-language pre-training."""
    flags = ["--data", str(shapes), "--preset", "small", "--select-by", "val", "--no-answering"]
    flags += ["--batch-size", "4", "--workers", "1", "--image-size", "64", "64"]
    flags += ["--threads", "1", "--iterations", "12", "--evaluate-every", "3"]
    flags += ["--text.hidden-size", "16", "--text.layers", "1", "--text.feed-forward-size", "24"]
    return flags


@dataclass(frozen=True)
class TaskData:
    """Data of the vision-and-language tasks.

    Attributes:
        shapes: Folder of a tiny VQA data set.
        gqa: Folder of the same images with GQA questions.
        pretrained: Tiny run of clipnav pretrain-vl.
    """

    shapes: Path
    gqa: Path
    pretrained: Path


def in_run(*words: str) -> Callable[[Path], list[str]]:
    """Return the function from the output folder to the arguments of a training."""
    return lambda output: [*words, "--output", str(output / "run")]


def task_commands(data: TaskData) -> dict[str, Command]:
    """Return the trainings of the vision-and-language tasks by name."""
    task = ["--preset", "houses", "--select-by", "val", "--evaluation-splits", "val", *QUICK]
    task += ["--optimiser.warmup", "5"]
    mcan = [*task, "--batch-size", "8", "--mcan.hidden-size", "32", "--mcan.layers", "1"]
    mcan += ["--mcan.feed-forward-size", "48"]
    tuned = [*task, "--batch-size", "4", "--model", "clip-vil-p"]
    tuned += ["--start-from", str(data.pretrained)]
    return {
        "vqa": Command(
            COMMAND, in_run("--data", str(data.shapes), *mcan), words=("finetune-vqa",), **RUN
        ),
        "gqa": Command(
            COMMAND, in_run("--data", str(data.gqa), *mcan), words=("finetune-gqa",), **RUN
        ),
        "tuning": Command(
            COMMAND, in_run("--data", str(data.shapes), *tuned), words=("finetune-vqa",), **RUN
        ),
        "pairs": Command(
            COMMAND, in_run(*pretraining_flags(data.shapes)), words=("pretrain-vl",), **RUN
        ),
    }


def commands(world: Path, download: list[str]) -> dict[str, Command]:
    """Return the other commands by name.

    Args:
        world: Folder of a tiny world.
        download: URL and SHA-256 of a file.
    """
    tiny = ["--world", "matterport", "--data-dir", str(world)]
    tiny += ["--features", str(world / "features.safetensors"), "--batch-size", "4"]
    tiny += ["--evaluation-splits", "val_unseen", "--select-by", "val_unseen", *QUICK]
    follower = ["--follower.hidden-size", "16", "--follower.embedding-size", "8"]
    speaker = ["--speaker.hidden-size", "16", "--speaker.embedding-size", "8"]
    picture = ["--panorama-width", "128", "--workers", "1", "--precision", "fp32"]
    tasks = ["--houses", "2", "--train", "60", "--val-seen", "60", "--val-unseen", "60"]
    clip = ["--set", "mini", "--houses", "2", "--held-out", "0", "--extra-positions", "0"]
    clip += ["--panorama-width", "64", "--image-size", "32", "--visual-width", "8"]
    clip += ["--embed-dim", "32", "--iterations", "12", "--batch-size", "8", "--save-every", "2"]

    def houses(output: Path) -> list[str]:
        graphs, data = str(output / "graphs"), str(output / "data")
        folders = ["--connectivity-dir", graphs, "--data-dir", data]
        return ["--scans", "house_00-house_03", "--workers", "2", *folders]

    def store(output: Path) -> list[str]:
        flags = ["--scans", "house_00", "--output", str(output / "store.safetensors")]
        return [*flags, "--shard", "0/3", *picture]

    def pretraining(output: Path) -> list[str]:
        folders = ["--output", str(output / "run"), "--export", str(output / "clip")]
        return [*clip, "--workers", "1", "--threads", "1", *folders]

    def fetched(output: Path) -> list[str]:
        return [download[0], str(output / "file.bin"), download[1]]

    def made(output: Path) -> list[str]:
        flags = [*tasks, "--image-size", "32", "--workers", "1"]
        return [*flags, "--output", str(output / "tasks")]

    def exported(output: Path) -> list[str]:
        flags = ["--split", "val_unseen", "--episodes", "4", "--shard-episodes", "1"]
        flags += ["--seed", "3", "--image-size", "16"]  # in two houses
        flags += ["--workers", "2", "--output", str(output / "demonstrations")]
        return flags

    return {
        "follower": Command(COMMAND, in_run(*tiny, *follower), words=("train-agent",), **RUN),
        "speaker": Command(COMMAND, in_run(*tiny, *speaker), words=("train-speaker",), **RUN),
        "extraction": Command(WITH_SIMPLE_HOUSES, store, files_in, words=("extract-features",)),
        "houses": Command(
            WITH_SIMPLE_HOUSES, houses, files_in, waits=True, words=("build-houses",)
        ),
        "tasks": Command(WITH_SIMPLE_HOUSES, made, files_in, words=("make-house-tasks",)),
        "demonstrations": Command(
            WITH_SIMPLE_HOUSES, exported, files_in, words=("export-demonstrations",)
        ),
        "house clip": Command(
            WITH_SIMPLE_HOUSES,
            pretraining,
            clip_state,
            resumes=True,
            words=("pretrain-house-clip",),
        ),
        "download": Command(PROGRAMS / "download.py", fetched, files_in),
    }
