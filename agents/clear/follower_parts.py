"""Parts of a follower that come from the runs of both representations."""

import torch

from agents.clear.visual_network import VisualRepresentation
from agents.envdrop.visual import PanoramaView, ViewEncoder


class RepresentedViews(ViewEncoder):
    """Visual representation as the view encoder of a follower.

    Args:
        network: Trained representation.
        identity: Digest of its weights before the follower's training.
        tune: Whether the follower's training changes its weights; otherwise it has no dropout.
        encode_stop: See `VisualRepresentation.view`.
    """

    def __init__(
        self,
        network: VisualRepresentation,
        identity: str,
        tune: bool = False,
        encode_stop: bool = False,
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(tune)
        self._identity, self._tune, self._encode_stop = identity, tune, encode_stop

    @property
    def architecture(self) -> dict[str, str]:
        """Digest of the representation that the follower started from."""
        return {"visual representation": self._identity}

    def train(self, mode: bool = True) -> "RepresentedViews":
        """Set the training mode; a representation that is not tuned stays in evaluation mode."""
        super().train(mode and self._tune)
        return self

    def forward(self, view: PanoramaView) -> PanoramaView:
        """Return the view with encoded visual features; angles are unchanged."""
        with torch.set_grad_enabled(self._tune and torch.is_grad_enabled()):
            return self.network.view(view, self._encode_stop)
