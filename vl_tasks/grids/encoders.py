"""The encoder of a run, and whether there is one without a network.

Nothing here imports torch before an encoder is loaded, so that a missing network is reported at
once.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from encoders.weights.reachability import any_is_downloaded, is_reachable
from vl_tasks.settings.configs import GridConfig, RunConfig

if TYPE_CHECKING:
    from encoders.clip import ClipEncoder

OFFLINE = (
    "without a network --preset small or houses, or --grids.encoder house_clip --grids.pretrained "
    "None, take the encoder that comes with clipnav; a folder or a file of weights does as well"
)


def check_encoder(config: RunConfig) -> None:
    """Make sure that the weights of the encoder are here or can be fetched, within two seconds.

    Where some weights have been fetched before, loading finds out whether these are among them.

    Raises:
        ConnectionError: They are not here, and there is no network; names what works without.
    """
    grids = config.grids
    seen = config.vision and getattr(config, "regions", None) is None
    fetches = grids.pretrained is not None and not Path(grids.pretrained).is_file()
    if not seen or not fetches or any_is_downloaded():
        return
    from huggingface_hub.constants import ENDPOINT

    if not is_reachable(ENDPOINT):
        raise ConnectionError(
            f"{grids.encoder} with weights {grids.pretrained!r} is not on this machine, and "
            f"{ENDPOINT} cannot be reached; {OFFLINE}"
        )


def load_encoder(config: GridConfig, device: str) -> "ClipEncoder":
    """Load the encoder of a run, see `ClipEncoder.load`; with `random_weights` an untrained one.

    Raises:
        ConnectionError: Its weights cannot be fetched; names what works without a network.
    """
    from encoders.clip import ClipEncoder

    try:
        return ClipEncoder.load(
            config.encoder,
            config.pretrained,
            config.precision,
            device,
            random_weights=config.random_weights,
        )
    except ConnectionError as error:
        raise ConnectionError(f"{error}; {OFFLINE}") from error
