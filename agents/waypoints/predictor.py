"""The waypoint predictor of Hong et al. (CVPR 2022), and the places that it proposes.

It reads 12 pictures around a place, every 30 degrees clockwise from the agent's heading, and
returns a heat map of waypoints. Discrete-Continuous-VLN 2aa38fa `waypoint_prediction/TRM_net.py`
reads depth and colour, ETPNav 8dec13a `vlnce_baselines/waypoint_pred/TRM_net.py` depth only.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.continuous.image_networks import DEPTH_CELLS, ColourNetwork, DdppoDepthNetwork
from clipnav.agents.continuous.networks import DepthNetwork
from clipnav.agents.transformer.layers import SelfAttentionLayer
from clipnav.agents.transformer.settings import TransformerConfig
from clipnav.agents.waypoints.env import Places
from clipnav.agents.waypoints.heat_maps import ANGLES, DISTANCES, candidates
from clipnav.agents.waypoints.settings import PredictorConfig, PredictorNetworkConfig
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.sensors import depth_reading
from clipnav.envs.continuous.settings import R2R_CE, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.training.checkpoints import load_model
from clipnav.training.settings import read_config

VIEWS = 12
_VIEW_ANGLES = ANGLES // VIEWS
_HIDDEN = -1e4  # of the views that a view does not attend to
_RGB_PIXELS, _RGB_FEATURES = 224, 2048 * 7 * 7
_DDPPO_PIXELS = 256


def neighbour_bias() -> Tensor:
    """Return the attention bias (12, 12) that shows each view itself and the ones beside it."""
    turn = (torch.arange(VIEWS)[:, None] - torch.arange(VIEWS)) % VIEWS
    return torch.where((turn <= 1) | (turn == VIEWS - 1), 0.0, _HIDDEN)


class HeatMapNetwork(nn.Module):
    """Transformer over the features of the 12 views, without positions."""

    def __init__(
        self, config: PredictorNetworkConfig, depth_size: int, rgb_size: int | None = None
    ) -> None:
        super().__init__()
        width = config.hidden_size
        self.depth = nn.Linear(depth_size, width)
        self.rgb = None if rgb_size is None else nn.Linear(rgb_size, width)
        self.merge = None if rgb_size is None else nn.Linear(2 * width, width)
        sizes = TransformerConfig(
            hidden_size=width,
            heads=config.heads,
            feed_forward_size=config.feed_forward_size,
            dropout=config.dropout,
        )
        self.layers = nn.ModuleList(SelfAttentionLayer(sizes) for _ in range(config.layers))
        self.dropout = nn.Dropout(config.dropout)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, _VIEW_ANGLES * DISTANCES)
        self.register_buffer("bias", neighbour_bias(), persistent=False)

    def forward(self, depth: Tensor, rgb: Tensor | None = None) -> Tensor:
        """Return logits (B, 120, 12) of depth features (B, 12, D) and colour features (B, 12, C).

        A view is in the middle of its ten angles, five before and four after its heading.
        """
        x = torch.relu(self.depth(depth))
        if self.rgb is not None and self.merge is not None:
            assert rgb is not None
            x = torch.relu(self.merge(torch.cat([torch.relu(self.rgb(rgb)), x], dim=-1)))
        for layer in self.layers:
            x = layer(x, self.get_buffer("bias"))
        x = self.outer(torch.relu(self.inner(self.dropout(x))))
        return x.view(len(x), ANGLES, DISTANCES).roll(-_VIEW_ANGLES // 2, dims=1)


class WaypointPredictor(nn.Module):
    """Networks for depth and, in released predictors, colour, and the transformer over them."""

    def __init__(self, config: PredictorConfig) -> None:
        super().__init__()
        self.config = config
        if config.depth_weights is None:
            channels = config.network.depth_channels
            self.depth_network, size = DepthNetwork(channels), DEPTH_CELLS * channels
        else:
            self.depth_network = DdppoDepthNetwork()
            size = self.depth_network.features
        self.colour_network = ColourNetwork() if config.rgb else None
        self.heat_map = HeatMapNetwork(config.network, size, _RGB_FEATURES if config.rgb else None)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options by name."""
        values: dict[str, Any] = vars(self.config.network) | {
            "depth_network": type(self.depth_network).__name__,
            "depth_pixels": self.cameras.depth_size[0],
            "rgb": self.config.rgb,
        }
        return {name: str(value) for name, value in values.items()}

    @property
    def cameras(self) -> ContinuousSettings:
        """The cameras: those of R2R-CE with the resolutions of the networks."""
        pixels = self.config.depth_pixels if self.config.depth_weights is None else _DDPPO_PIXELS
        size = (pixels, pixels)
        return replace(R2R_CE, depth_size=size, rgb_size=(_RGB_PIXELS, _RGB_PIXELS))

    def depth_features(self, depth: Tensor) -> Tensor:
        """Return features (B, 12, D) of depth pictures (B, 12, P, P) in 0..1."""
        return self.depth_network(depth).flatten(2)

    @property
    def view_size(self) -> int:
        """Width of the depth features of a view that `look` returns."""
        return self.heat_map.depth.in_features // DEPTH_CELLS

    def forward(self, depth: Tensor, rgb: Tensor | None = None) -> Tensor:
        """Return logits (B, 120, 12).

        Args:
            depth: (B, 12, P, P) depth pictures in 0..1.
            rgb: (B, 12, 224, 224, 3) uint8 colour pictures, for a predictor that reads colour.
        """
        return self._logits(self.depth_features(depth), rgb)

    @torch.no_grad()
    def look(
        self,
        simulator: ContinuousSimulator,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
    ) -> tuple[np.ndarray, Tensor]:
        """Predict the heat maps of M agents from the pictures around them.

        Args:
            positions: (M, 3) points under their feet.
            headings: (M,) radians clockwise from +y.

        Returns:
            (M, 120, 12) logits, and the depth features (M, 12, C) of the views, the means of their
            cells.
        """
        sensors = ["depth", *(["rgb"] if self.colour_network is not None else [])]
        drawn = draw_panoramas(simulator, self.cameras, scans, positions, headings, sensors)
        depth = self.depth_features(torch.from_numpy(drawn["depth"]))
        rgb = torch.from_numpy(drawn["rgb"]) if "rgb" in drawn else None
        # DD-PPO's features have the cells last, those of the small network first.
        is_small = self.config.depth_weights is None
        cells = depth.unflatten(2, (DEPTH_CELLS, -1) if is_small else (-1, DEPTH_CELLS))
        return self._logits(depth, rgb).numpy(), cells.mean(2 if is_small else 3)

    def _logits(self, depth: Tensor, rgb: Tensor | None) -> Tensor:
        colours = None
        if self.colour_network is not None:
            assert rgb is not None
            colours = self.colour_network(rgb)
        return self.heat_map(depth, colours)


def draw_panoramas(
    simulator: ContinuousSimulator,
    settings: ContinuousSettings,
    scans: Sequence[str],
    positions: np.ndarray,
    headings: np.ndarray,
    sensors: Sequence[str] = ("depth",),
) -> dict[str, np.ndarray]:
    """Draw 12 pictures around each of M places, clockwise from a heading.

    Args:
        positions: (M, 3) points under the feet.
        headings: (M,) radians clockwise from +y.

    Returns:
        "depth" (M, 12, P, P) in 0..1 and "rgb" (M, 12, H, W, 3) uint8.
    """
    turns = 2 * np.pi * np.arange(VIEWS) / VIEWS
    drawn = simulator.draw(
        [scan for scan in scans for _ in turns],
        positions.repeat(VIEWS, axis=0),
        (headings[:, None] + turns).ravel(),
        np.zeros(len(scans) * VIEWS),
        sensors,
    )
    if "depth" in drawn:
        drawn["depth"] = depth_reading(drawn["depth"], settings)
    return {name: values.reshape(-1, VIEWS, *values.shape[1:]) for name, values in drawn.items()}


class PredictedPlaces:
    """Proposes the peaks of a predictor's heat maps as places around agents."""

    def __init__(
        self, predictor: WaypointPredictor, simulator: ContinuousSimulator | None = None
    ) -> None:
        self._predictor = predictor
        self._simulator = simulator or HouseSimulator(predictor.cameras)

    def __call__(
        self, scans: Sequence[str], positions: np.ndarray, headings: np.ndarray
    ) -> list[Places]:
        """Return the places around each of M agents, clockwise from its heading."""
        predictor = self._predictor
        maps, _ = predictor.look(self._simulator, scans, positions, headings)
        found = [candidates(one, predictor.config.suppression) for one in maps]
        return [
            Places((heading + angles) % (2 * np.pi), distances)
            for heading, (angles, distances) in zip(headings, found, strict=True)
        ]


def load_predictor(run: Path) -> WaypointPredictor:
    """Load the best weights of a run of clipnav train-waypoint-predictor."""
    predictor = WaypointPredictor(read_config(run, PredictorConfig))
    load_model(run, predictor, {})
    return predictor.eval()
