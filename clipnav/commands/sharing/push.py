"""Publish a run on Hugging Face, with a model card that contains its scores.

$ clipnav push runs/r2r-houses owner/r2r-follower
$ clipnav push runs/r2r-houses owner/r2r-follower --private
$ clipnav push runs/r2r-houses file:follower      # write the files and the card into a folder

The repository receives the settings without folders of this machine, the best weights, the
vocabulary, the log and the scores: safetensors and JSON, nothing that runs code. The agent of a run
of clipnav train-agent is evaluated once more from these files, for confidence intervals over
buildings.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro

from clipnav.parsing import parse
from clipnav.storage import write_text
from clipnav.storage.outputs import new_folder
from clipnav.storage.shared_runs import (
    CARD,
    FOLDER_SCHEME,
    check_repository,
    copy_run,
    halve_weights,
    push_folder,
)


@dataclass(frozen=True)
class PushConfig:
    """Run and repository of an upload."""

    run: tyro.conf.Positional[Path]
    """Folder of a run."""
    name: tyro.conf.Positional[str]
    """Repository of Hugging Face, OWNER/NAME, which is created if it does not exist; or
    file:FOLDER for a new folder."""
    licence: str = "mit"
    """Licence of the weights, by its identifier on Hugging Face. Matterport3D has terms of its
    own."""
    private: bool = False
    """Create the repository as a private one."""
    half: bool = False
    """Round the weights to float16, which halves the file; the card has the scores of the rounded
    weights."""
    evaluate: bool = True
    """Evaluate the agent again, for confidence intervals; without it the card has the means of
    results.json."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line; copy a run, write its model card, and upload both."""
    config = parse(PushConfig, __name__, __doc__, arguments)
    if config.name.startswith(FOLDER_SCHEME):
        folder = Path(config.name.removeprefix(FOLDER_SCHEME))
        with new_folder(folder, "NAME") as beside:
            _publish(config, beside)
        print(f"Run and model card: {folder}")
        return
    check_repository(config.name)
    with TemporaryDirectory() as temporary:
        staged = Path(temporary)
        _publish(config, staged)
        message = "Upload a run of clipnav"
        print(push_folder(staged, config.name, private=config.private, message=message))


def _publish(config: PushConfig, folder: Path) -> None:
    """Copy a run into a folder and write its model card there."""
    # Imported here so that --help answers without loading torch.
    from clipnav.model_cards import model_card

    copy_run(config.run, folder)
    if config.half:
        halve_weights(folder)
    card = model_card(config.run, folder, config.name, config.licence, config.evaluate)
    write_text(folder / CARD, card)
