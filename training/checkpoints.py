"""Checkpoints, and the files in the folder of a run.

* config.json: the resolved settings; vocabulary.json: the words of the training split
* model.safetensors: the best weights so far
* trainer.pt: the state to resume from (weights, optimiser, counters)
* metrics.jsonl: one line per event; results.json: the final scores

Files are written atomically, so that a run can be killed at any time and still be resumed.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.json_files import read_json_object
from clipnav.storage.tensor_files import CHECKSUM, check_content, write_tensors
from clipnav.storage.torch_files import read_torch_file

MODEL, TRAINER, VOCABULARY = "model.safetensors", "trainer.pt", "vocabulary.json"
RESULTS = "results.json"

_HINT = "use the settings of the run (in its config.json) and its features"
_ABSENT = "no"  # value of metadata that a file lacks: an option that is newer than the file


class Network(Protocol):
    """A module that describes what must match to load its weights."""

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options by name."""
        ...

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Return the weights by name."""
        ...

    def load_state_dict(self, state_dict: dict[str, torch.Tensor]) -> object:
        """Load weights."""
        ...


def save_model(run: Path, network: Network, metadata: dict[str, str]) -> None:
    """Write the weights of a network, with its architecture and further metadata."""
    weights = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    write_tensors(run / MODEL, save(weights, {**network.architecture, **metadata}))


def load_model(run: Path, network: Network, metadata: Mapping[str, str]) -> dict[str, str]:
    """Load the weights of a run into a network."""
    path = run / MODEL
    with _opened(path) as file:
        check_content(path, "train the run again, or copy it again")
        saved = _metadata(file)
        compare_metadata(path, saved, {**network.architecture, **metadata})
        weights = {name: file.get_tensor(name) for name in file.keys()}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        problem = truncate(str(error), 400)
        raise UserError(f"{path}: does not fit the settings here ({problem}); {_HINT}") from error
    return saved


def model_metadata(run: Path) -> dict[str, str]:
    """Read the metadata of a run's weights."""
    with _opened(run / MODEL) as file:
        return _metadata(file)


def read_results(run: Path) -> dict[str, dict[str, Any]]:
    """Read the scores in results.json by split; empty if there are none."""
    path, hint = run / RESULTS, "evaluate the run again"
    splits = read_json_object(path, hint).get("results", {}) if path.is_file() else {}
    if not isinstance(splits, dict):
        raise UserError(f"{path}: field 'results' is not an object; {hint}")
    return {split: scores for split, scores in splits.items() if isinstance(scores, dict)}


def check_metadata(run: Path, metadata: Mapping[str, str], hint: str = _HINT) -> None:
    """Check that the weights of a run have the expected metadata."""
    compare_metadata(run / MODEL, model_metadata(run), metadata, hint)


def compare_metadata(
    path: Path, saved: Mapping[str, str], expected: Mapping[str, str], hint: str = _HINT
) -> None:
    """Check that the metadata of a file is as expected."""
    for name, value in expected.items():
        if saved.get(name, _ABSENT) != value:
            raise UserError(
                f"{path}: trained with {name} {saved.get(name, _ABSENT)}, but here it is {value}; "
                f"{hint}"
            )


def save_trainer(run: Path, state: dict[str, Any]) -> None:
    """Write the training state: tensors, numbers, strings, and lists and dicts of them."""
    with atomic_write(run / TRAINER, to_disk=True) as beside, beside.open("wb") as file:
        # To a Python file, as torch's own writer aborts the process on a full disk.
        torch.save(state, file)


def load_trainer(run: Path) -> dict[str, Any]:
    """Read the training state."""
    path = run / TRAINER
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file, so the run cannot be resumed; train it again"
        )
    state = read_torch_file(path, "train the run again")
    if not isinstance(state, dict):
        raise UserError(f"{path}: not the state of a training run; train the run again")
    return state


def _metadata(file: Any) -> dict[str, str]:
    return {name: text for name, text in (file.metadata() or {}).items() if name != CHECKSUM}


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a file of weights; tensors are read on access."""
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; train the run first, or --resume it")
    try:
        with safe_open(path, framework="pt") as file:
            yield file
    except SafetensorError as error:
        raise UserError(f"{path}: damaged ({error}); train the run again") from error
