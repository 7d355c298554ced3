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
from clipnav.storage.outputs import check_new
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
    folder = None
    if config.name.startswith(FOLDER_SCHEME):
        folder = Path(config.name.removeprefix(FOLDER_SCHEME))
        check_new(folder, "NAME")
    else:
        check_repository(config.name)
    # Imported here so that --help answers without loading torch.
    from clipnav.model_cards import model_card

    with TemporaryDirectory() as temporary:
        staged = Path(temporary) / "run"
        copy_run(config.run, staged)
        if config.half:
            halve_weights(staged)
        card = model_card(config.run, staged, config.name, config.licence, config.evaluate)
        write_text(staged / CARD, card)
        if folder is not None:
            copy_run(staged, folder)
            print(f"Run and model card: {folder}")
        else:
            message = "Upload a run of clipnav"
            print(push_folder(staged, config.name, private=config.private, message=message))
