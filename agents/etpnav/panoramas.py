"""What ETPNav sees around a place: 12 pictures, their features, and waypoints.

Views are numbered clockwise from the heading of the agent, every 30 degrees.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.etpnav.network import CANDIDATE_VIEW, OTHER_VIEW
from clipnav.agents.etpnav.settings import EtpNavTrainConfig
from clipnav.agents.waypoints.env import FloorPlaces, camera_settings
from clipnav.agents.waypoints.heat_maps import find_peaks, polar, resample
from clipnav.agents.waypoints.predictor import (
    VIEWS,
    WaypointPredictor,
    draw_panoramas,
    load_predictor,
)
from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.named_encoder import NamedEncoder
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import R2R_CE
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.training.checkpoints import MODEL

_VIEW_ANGLE = 2 * np.pi / VIEWS
_ROUNDING = 1e-9  # of angles that lie between two views


class ViewTokens(NamedTuple):
    """Panorama tokens of a place: the waypoints, each with its view, then the unused views.

    Attributes:
        views: (V,) view of each token.
        directions: (V, 4) float32, sine and cosine of the angle clockwise from the heading, 0, 1.
        types: (V,) int64, 1 for waypoints and 0 for views.
    """

    views: np.ndarray
    directions: np.ndarray
    types: np.ndarray


def view_tokens(angles: np.ndarray) -> ViewTokens:
    """Return the tokens of a place with waypoints at angles (K,), clockwise from the heading.

    The unused views are in the order of ETPNav's cameras, which is counter-clockwise.
    """
    # As ten of 120 angles belong to a view: five before and four after its middle.
    facing = np.floor(angles / _VIEW_ANGLE + 0.5 + _ROUNDING).astype(int) % VIEWS
    cameras = -np.arange(VIEWS) % VIEWS
    unused = cameras[~np.isin(cameras, facing)]
    all_angles = np.concatenate([angles, unused * _VIEW_ANGLE])
    directions = np.zeros((len(all_angles), 4), np.float32)
    directions[:, 0], directions[:, 1] = np.sin(all_angles), np.cos(all_angles)
    directions[:, 3] = 1.0
    types = np.full(len(all_angles), OTHER_VIEW)
    types[: len(angles)] = CANDIDATE_VIEW
    return ViewTokens(np.concatenate([facing, unused]), directions, types)


class Sight(NamedTuple):
    """What an agent sees.

    Attributes:
        features: (12, D + C) features of colour and of depth of the views.
        angles: (K,) angles of the waypoints, clockwise from the heading, ascending.
        distances: (K,) metres.
    """

    features: Tensor
    angles: np.ndarray
    distances: np.ndarray


class Surroundings:
    """Pictures around agents, their features, and the waypoints there.

    Attributes:
        colour_size, depth_size: Widths of the features of colour and of depth.
    """

    def __init__(self, config: EtpNavTrainConfig, simulator: ContinuousSimulator) -> None:
        self._config = config
        self._floor = FloorPlaces(simulator)
        self._encoder: ClipEncoder | None = None
        self._predictor: WaypointPredictor | None = None
        self.colour_size = self.depth_size = 0
        self.metadata = {"encoder": "none", "waypoints": config.waypoints}
        if config.vision:
            self._encoder = NamedEncoder.parse_unnamed(config.encoder).load(device=config.device)
            self.colour_size = self._encoder.embed_dim
            size = self._encoder.image_size
            cameras = replace(R2R_CE, rgb_size=size)
            if config.cameras == "graph":
                cameras = camera_settings(R2R_CE, size)
            self._colours, self._cameras = HouseSimulator(cameras), cameras
            self.metadata["encoder"] = self._encoder.name
            self.metadata["encoder_weights"] = self._encoder.weights_sha256
        if config.predictor is not None:
            self._predictor = load_predictor(config.predictor)
            self._depths = HouseSimulator(self._predictor.cameras)
            if config.vision:
                self.depth_size = self._predictor.view_size
            weights = (config.predictor / MODEL).read_bytes()
            self.metadata["predictor"] = hashlib.sha256(weights).hexdigest()

    @torch.no_grad()
    def look(
        self,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
        rngs: Sequence[np.random.Generator] | None = None,
    ) -> list[Sight]:
        """Return what M agents see.

        Args:
            positions: (M, 3) points under their feet.
            headings: (M,) radians clockwise from +y.
            rngs: Random numbers of each agent, to resample predicted waypoints.
        """
        features = [torch.zeros(len(scans), VIEWS, 0)]
        poses = scans, positions, headings
        if self._encoder is not None:
            drawn = draw_panoramas(self._colours, self._cameras, *poses, ("rgb",))["rgb"]
            encoded = self._encoder.pooled(drawn.reshape(-1, *drawn.shape[2:]))
            features.append(torch.from_numpy(encoded).float().unflatten(0, (len(scans), VIEWS)))
        if self._predictor is None:
            around = self._floor(*poses)
            waypoints = [
                (places.headings - heading, places.distances)
                for places, heading in zip(around, headings, strict=True)
            ]
        else:
            heat_maps, depth = self._predictor.look(self._depths, *poses)
            waypoints = []
            rule = self._config.resampling
            for row, logits in enumerate(heat_maps):
                peaks = find_peaks(logits, self._predictor.config.suppression)
                if rngs is not None and rule != "none":
                    peaks = resample(logits, peaks, rngs[row], rule)
                waypoints.append(polar(peaks))
            if self.depth_size:
                features.append(depth)
        sights = []
        for one, (angles, distances) in zip(torch.cat(features, 2), waypoints, strict=True):
            angles = angles % (2 * np.pi)
            order = np.argsort(angles, kind="stable")
            sights.append(Sight(one, angles[order], distances[order]))
        return sights
