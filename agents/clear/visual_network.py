"""Visual encoder of CLEAR: a residual perceptron over the features of a view.

Source: jialuli-luka/CLEAR, `r2r_src/model.py: VisualEncoder`. Letters in shapes: B viewpoints, N
views, D visual and A angle width of a view, C object classes.
"""

import torch
from torch import Tensor, nn

from clipnav.agents.clear.settings import VisualConfig
from clipnav.agents.layers.attention import Dropout
from clipnav.agents.layers.visual import FeatureScale, PanoramaView

_INPUT_DROPOUT, _HIDDEN_DROPOUT = 0.3, 0.5  # of the released code


class VisualEncoder(nn.Module):
    """Residual perceptron: LayerNorm(x + W2 dropout(relu(W1 dropout(x))))."""

    def __init__(
        self,
        width: int,
        input_dropout: float = _INPUT_DROPOUT,
        hidden_dropout: float = _HIDDEN_DROPOUT,
    ) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            Dropout(input_dropout),
            nn.Linear(width, width),
            nn.ReLU(),
            Dropout(hidden_dropout),
            nn.Linear(width, width),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, features: Tensor) -> Tensor:
        """Return the encoded features (..., D) of views (..., D)."""
        return self.norm(features + self.layers(features))


class VisualRepresentation(nn.Module):
    """Visual encoder with the standardisation of its input."""

    def __init__(
        self,
        width: int,
        standardise: bool = False,
        input_dropout: float = _INPUT_DROPOUT,
        hidden_dropout: float = _HIDDEN_DROPOUT,
    ) -> None:
        super().__init__()
        self.width = width
        self.scale = FeatureScale(width, 0) if standardise else None
        self.encoder = VisualEncoder(width, input_dropout, hidden_dropout)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded."""
        return {
            "visual width": str(self.width),
            "standardised": "no" if self.scale is None else "yes",
        }

    def forward(self, features: Tensor) -> Tensor:
        """Return the encoded features (..., D) of views (..., D)."""
        return self.encoder(features if self.scale is None else self.scale.features(features))

    def panorama(self, views: Tensor, shared: Tensor | None = None) -> Tensor:
        """Return the embeddings (B, D) of panoramas (B, N, D): the mean of their encoded views.

        Args:
            views: (B, N, D) features.
            shared: (B, N) bool, see `shared_objects`; other views count as zeros in the mean.
        """
        encoded = self(views)
        if shared is not None:
            encoded = encoded * shared.unsqueeze(2)
        return encoded.mean(1)

    def view(self, view: PanoramaView, encode_stop: bool = False) -> PanoramaView:
        """Return a view of the follower with encoded visual features; angles are unchanged.

        Args:
            encode_stop: Whether the zero row of the action stop is encoded as well, as in the
                released code; otherwise it stays zero.
        """
        panorama, candidates = self._encode(view.panorama), self._encode(view.candidates)
        if not encode_stop:
            candidates = torch.cat([view.candidates[:, :1], candidates[:, 1:]], 1)
        return view._replace(panorama=panorama, candidates=candidates)

    def _encode(self, views: Tensor) -> Tensor:
        visual, angle = views[..., : self.width], views[..., self.width :]
        return torch.cat([self(visual), angle], 2)


def make_visual_network(config: VisualConfig, width: int) -> VisualRepresentation:
    """Build a visual representation with random weights, for features of a width."""
    return VisualRepresentation(
        width, config.standardise, config.input_dropout, config.hidden_dropout
    )


def shared_objects(objects: Tensor, pair_objects: Tensor) -> Tensor:
    """Return (..., N) bool: whether a view and its counterpart show an object of the same class.

    Args:
        pair_objects: (..., N, C) of the paired viewpoints.
    """
    return ((objects > 0) & (pair_objects > 0)).any(-1)
