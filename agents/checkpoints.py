"""The folder of a run.

* config.json: the resolved settings; vocabulary.json: the words of the training split
* model.safetensors: the weights to use, the best so far by SPL
* trainer.pt: all that is needed to go on (weights, optimiser, counters); read with weights_only
* metrics.jsonl: one line per event; results.json: the final table

Files are written beside and renamed, each complete in itself: a run that is killed at any moment
leaves a folder that can be used.
"""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from agents.envdrop.follower import Follower
from storage import written_whole

MODEL, TRAINER, VOCABULARY = "model.safetensors", "trainer.pt", "vocabulary.json"
METRICS, RESULTS = "metrics.jsonl", "results.json"


def save_model(run: Path, follower: Follower, notes: dict[str, str]) -> None:
    """Write a follower's weights with what is needed to check them against another setting."""
    weights = {name: tensor.contiguous() for name, tensor in follower.state_dict().items()}
    with written_whole(run / MODEL) as beside:
        save_file(weights, beside, {**_widths(follower), **notes})


def load_model(run: Path, follower: Follower, notes: dict[str, str]) -> dict[str, str]:
    """Read weights into a follower.

    Args:
        run: Folder of the run.
        follower: Built for the environment at hand.
        notes: What must be as it was when the weights were saved, by name.

    Returns:
        All notes of the file.

    Raises:
        FileNotFoundError: No weights there.
        ValueError: Damaged, or made for another setting; names both values.
    """
    path = run / MODEL
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; train the run first, or --resume it")
    try:
        with safe_open(path, framework="pt") as file:
            saved = file.metadata() or {}
            weights = {name: file.get_tensor(name) for name in file.keys()}
    except SafetensorError as error:
        raise ValueError(f"{path}: damaged ({error}); train the run again") from error
    for name, value in {**_widths(follower), **notes}.items():
        if saved.get(name) != value:
            raise ValueError(
                f"{path}: trained with {name} {saved.get(name)}, but here it is {value}; "
                "use the settings and the features of the run"
            )
    follower.load_state_dict(weights)
    return saved


def save_trainer(run: Path, state: dict[str, Any]) -> None:
    """Write the state of training: tensors, numbers, strings, and lists and dicts of them."""
    with written_whole(run / TRAINER) as beside:
        torch.save(state, beside)


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
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a different type for each way of being damaged
        raise ValueError(f"{path}: damaged ({error}); start the run anew") from error


def _widths(follower: Follower) -> dict[str, str]:
    return {
        "vocabulary size": str(follower.encoder.embedding.num_embeddings),
        "visual width": str(follower.visual),
        "angle width": str(follower.angle),
        "hidden size": str(follower.config.hidden_size),
        "embedding size": str(follower.config.embedding_size),
    }
