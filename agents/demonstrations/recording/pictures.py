"""Pictures of walks on graphs as JPEG files, which walks share."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import numpy as np

from clipnav.agents.demonstrations.recording.decisions import labelled_decisions
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import CONVERSATIONS, DemonstrationConfig
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.pictures.panorama_files import NoPictureError
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage import atomic_write
from clipnav.storage.pictures import encode_jpeg

# Renders views: poses of one viewpoint -> (N, H, W, 3) uint8.
Render = Callable[[Sequence[ViewPose]], np.ndarray]


def picture_name(pose: ViewPose) -> str:
    """Return the name of a picture within the folder of pictures."""
    scan, viewpoint = quote(pose.scan, safe=""), quote(pose.viewpoint, safe="")
    heading = round(np.rad2deg(pose.heading) * 100) % 36_000  # hundredths of a degree
    return f"{scan}/{viewpoint}_{heading:05}.jpg"


def poses_of(walk: RecordedWalk, config: DemonstrationConfig) -> Iterator[ViewPose]:
    """Yield the pictures that the records of a walk on a graph contain."""
    if config.format in CONVERSATIONS:
        for decision in labelled_decisions(walk, decision_limit(config), config.prompt):
            yield from decision.views
    else:
        for step in walk.steps:
            yield ViewPose(walk.scan, step.viewpoint, step.heading)


def decision_limit(config: DemonstrationConfig) -> int:
    """Return the largest number of decisions of an episode that prompts name."""
    return config.max_episode_steps or dataset_spec(config.dataset).max_episode_steps


def write_graph_pictures(
    poses: Iterable[ViewPose], folder: Path, render: Render, quality: int
) -> None:
    """Write pictures; those that exist are kept."""
    missing: dict[str, dict[str, ViewPose]] = {}
    for pose in poses:
        name = picture_name(pose)
        if not (folder / name).is_file():
            missing.setdefault(pose.viewpoint, {})[name] = pose
    for named in missing.values():
        try:
            views = render(list(named.values()))
        except NoPictureError as error:
            raise FileNotFoundError(f"no picture to export: {error}") from error
        for name, view in zip(named, views, strict=True):
            write_jpeg(folder / name, view, quality)


def write_jpeg(path: Path, picture: np.ndarray, quality: int) -> None:
    """Write a picture (H, W, 3) uint8 as a JPEG file atomically."""
    with atomic_write(path) as beside:
        beside.write_bytes(encode_jpeg(picture, quality))
