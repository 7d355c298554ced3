"""Ids of the environments in Gymnasium's registry, by dataset."""

from collections.abc import Mapping
from typing import Any

from clipnav.envs.worlds import Dataset
from clipnav.storage.errors import UserError

GRAPH_IDS: dict[Dataset, str] = {
    "r2r": "R2R-CLIP-v0",
    "rxr": "RxR-CLIP-v0",
    "r4r": "R4R-CLIP-v0",
}
CONTINUOUS_IDS: dict[Dataset, str] = {"r2r": "R2R-CE-CLIP-v0", "rxr": "RxR-CE-CLIP-v0"}


def with_dataset_of_id(
    arguments: Mapping[str, Any], env_id: str | None, ids: Mapping[Dataset, str]
) -> dict[str, Any]:
    """Return arguments with the dataset of an id; an id has the limit of steps of its dataset.

    Args:
        arguments: Arguments of an environment.
        env_id: Id with which the environment is made, or None without an id.
        ids: Ids by dataset.

    Raises:
        UserError: `dataset` is another one, which has an id of its own.
    """
    own = next((dataset for dataset, each in ids.items() if each == env_id), None)
    if own is None:
        return dict(arguments)
    for dataset, other in ids.items():
        if dataset != own and arguments.get("dataset") == dataset:
            raise UserError(
                f"dataset {dataset!r} has an id of its own, with its limit of steps; make "
                f"{other!r} instead of {env_id!r}"
            )
    return {"dataset": own, **arguments}
