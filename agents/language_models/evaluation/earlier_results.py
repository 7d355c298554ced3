"""Settings that results depend on, and the check of the earlier results of a folder."""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.training.settings import differences

# Settings that change neither the prompts nor the answers are left out of the results, so that a
# repeated run writes the same file.
_LEFT_OUT = ("concurrency", "output", "cache", "submission", "runs", "device", "budget")
# Settings of the connection, which are recorded and may differ.
_CONNECTION = (
    "server.request_timeout",
    "server.max_retries",
    "server.longest_wait",
    "server.probe",
)


class _Answers(msgspec.Struct):
    episodes: int
    failed: int


class _Results(msgspec.Struct):
    """What is read of a file of results."""

    settings: dict[str, Any]
    subset_sha256: str
    answers: _Answers
    complete: bool


def recorded_settings(config: EvaluateVlmConfig) -> dict[str, Any]:
    """Return the settings that the results record, as JSON values."""
    settings = dataclasses.asdict(config)
    for name in _LEFT_OUT:
        del settings[name]
    del settings["server"]["api_key_file"]
    return json.loads(json.dumps(settings, default=str))


def check_earlier_results(
    path: Path, settings: Mapping[str, Any], subset_sha256: str
) -> tuple[int, bool]:
    """Check that a file of results, if it exists, is of an evaluation with the same settings.

    Args:
        path: The file.
        settings: Result of `recorded_settings`.
        subset_sha256: Digest of the chosen episodes.

    Returns:
        Number of finished episodes that did not fail, and whether the run was complete; (0, False)
        without a file.

    Raises:
        UserError: It is of another evaluation, or damaged.
    """
    remedy = f"name another folder with --output, or delete {path.parent}"
    if not path.is_file():
        return 0, False
    results = read_json(path, remedy, _Results)
    found = differences(results.settings, settings, _CONNECTION)
    if not found and results.subset_sha256 != subset_sha256:
        found = ["the episodes, whose annotation file has changed"]
    if found:
        raise UserError(
            f"{path}: contains results with other settings ({'; '.join(found[:3])}); {remedy}"
        )
    return results.answers.episodes - results.answers.failed, results.complete
