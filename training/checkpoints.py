"""The folder of a run.

* config.json: the resolved settings; vocabulary.json: the words of the training split
* model.safetensors: the weights to use, the best so far
* trainer.pt: all that is needed to go on (weights, optimiser, counters); read with weights_only
* metrics.jsonl: one line per event; results.json: the final table

Files are written beside and renamed, each complete in itself: a run that is killed at any moment
leaves a folder that can be used.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from storage import atomic_write
from storage.messages import shortened

MODEL, TRAINER, VOCABULARY = "model.safetensors", "trainer.pt", "vocabulary.json"
METRICS, RESULTS = "metrics.jsonl", "results.json"

_REMEDY = "use the settings and the features of the run"
_ABSENT = "no"  # what is true of a part that a file does not name: it was made before there was one


class Network(Protocol):
    """A module that knows what another must have alike to take its weights."""

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes by name."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Weights by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> object:
        """Take weights."""
        ...


def save_model(run: Path, network: Network, notes: dict[str, str]) -> None:
    """Write a network's weights with what is needed to check them against another setting."""
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with atomic_write(run / MODEL) as beside:
        save_file(weights, beside, {**network.architecture, **notes})


def load_model(run: Path, network: Network, notes: Mapping[str, str]) -> dict[str, str]:
    """Read weights into a network.

    Args:
        run: Folder of the run.
        network: Built for the environment at hand.
        notes: What must be as it was when the weights were saved, by name.

    Returns:
        All notes of the file.

    Raises:
        FileNotFoundError: No weights there.
        ValueError: Damaged, or made for another setting; names both values.
    """
    path = run / MODEL
    with _opened(path) as file:
        saved = file.metadata() or {}
        _compare(path, saved, {**network.architecture, **notes}, _REMEDY)
        weights = {name: file.get_tensor(name) for name in file.keys()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        problem = shortened(str(error), 400)
        raise ValueError(
            f"{path}: does not fit the settings here ({problem}); {_REMEDY}"
        ) from error
    return saved


def model_metadata(run: Path) -> dict[str, str]:
    """What was noted with the weights of a run.

    Raises:
        FileNotFoundError: No weights there.
        ValueError: Damaged.
    """
    with _opened(run / MODEL) as file:
        return file.metadata() or {}


def check_metadata(run: Path, notes: Mapping[str, str], remedy: str = _REMEDY) -> None:
    """Make sure that the weights of a run were saved with the same notes.

    Args:
        run: Folder of the run.
        notes: What must be as it was, by name.
        remedy: What to do if it is not.

    Raises:
        FileNotFoundError: No weights there.
        ValueError: Damaged, or saved with other notes; names both values.
    """
    _compare(run / MODEL, model_metadata(run), notes, remedy)


def save_trainer(run: Path, state: dict[str, Any]) -> None:
    """Write the state of training: tensors, numbers, strings, and lists and dicts of them."""
    with atomic_write(run / TRAINER) as beside, beside.open("wb") as file:
        # Into a file of Python's: torch's own writer ends the process where the disk is full.
        torch.save(state, file)


def load_trainer(run: Path) -> dict[str, Any]:
    """Read the state of training.

    Raises:
        FileNotFoundError: The run has no state to go on from.
        ValueError: The file is damaged.
    """
    path = run / TRAINER
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; the run cannot be resumed, start it anew")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for each way of being damaged
        # The message of torch goes on for many lines about trusting the file.
        problem = shortened(str(error) or type(error).__name__, 200)
        raise ValueError(f"{path}: damaged ({problem}); start the run anew") from error
    if not isinstance(state, dict):
        raise ValueError(f"{path}: not the state of a training run; start the run anew")
    return state


def _compare(path: Path, saved: Mapping[str, str], wanted: Mapping[str, str], remedy: str) -> None:
    for name, value in wanted.items():
        if saved.get(name, _ABSENT) != value:
            raise ValueError(
                f"{path}: trained with {name} {saved.get(name, _ABSENT)}, but here it is {value}; "
                f"{remedy}"
            )


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """A file of weights, of which nothing but the notes is read unless it is asked for."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; train the run first, or --resume it")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); train the run again") from error
