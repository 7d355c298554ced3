"""Loading of the encoder of a run, and an early check that its weights are available.

Nothing here imports torch before an encoder is loaded, so that a missing network connection is
reported at once.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from clipnav.encoders.weights import efficientnet_lite
from clipnav.storage.hugging_face import any_is_downloaded, is_reachable
from clipnav.vl_tasks.settings.networks import GridConfig

if TYPE_CHECKING:
    from clipnav.encoders.clip import ClipEncoder

_OFFLINE = (
    "offline, use the included encoder (--preset small or houses, or --grids.encoder house_clip "
    "--grids.pretrained None), or a local folder or file of weights"
)


def check_encoder(config: Any) -> None:
    """Check that the encoder exists and that its weights are local or can be downloaded.

    The latter takes at most two seconds, and passes if any weights were downloaded before; loading
    then checks for these ones.
    """
    grids = getattr(config, "grids", None)  # of no pre-training
    if grids is None or not config.vision or getattr(config, "regions", None) is not None:
        return
    if grids.encoder == efficientnet_lite.NAME and not grids.random_weights:
        efficientnet_lite.check_installed()
    downloads = grids.pretrained is not None and not Path(grids.pretrained).is_file()
    if downloads and not any_is_downloaded():
        from huggingface_hub.constants import ENDPOINT

        if not is_reachable(ENDPOINT):
            raise ConnectionError(
                f"{grids.encoder} with weights {grids.pretrained!r} is not on this machine, and "
                f"{ENDPOINT} cannot be reached; {_OFFLINE}"
            )
    if grids.encoder != GridConfig.encoder:
        from clipnav.encoders.weights.origins import check_source

        check_source(grids.encoder, grids.pretrained, grids.random_weights)


def load_encoder(config: GridConfig, device: str) -> "ClipEncoder":
    """Load the encoder of a run, see `ClipEncoder.load`; with `random_weights` it is untrained."""
    from clipnav.encoders.clip import ClipEncoder

    try:
        return ClipEncoder.load(
            config.encoder,
            config.pretrained,
            config.precision,
            device,
            random_weights=config.random_weights,
        )
    except ConnectionError as error:
        raise ConnectionError(f"{error}; {_OFFLINE}") from error
