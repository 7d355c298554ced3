"""Decisions on a graph as the prompts of `clipnav evaluate-vlm`, with the answers of the teacher.

A model that is fine-tuned on the records therefore sees at an evaluation what it saw in training.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

import numpy as np

from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import CONVERSATIONS, DemonstrationConfig
from clipnav.agents.language_models.prompts.messages import Prompt
from clipnav.agents.language_models.prompts.observations import (
    KnownPlaces,
    Observation,
    ObservedCandidate,
    PastDecision,
    make_options,
    one_line,
    views_around,
)
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.pictures.panorama_files import NoPictureError
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage import atomic_write
from clipnav.storage.pictures import encode_jpeg

# Renders views: poses of one viewpoint -> (N, H, W, 3) uint8.
Render = Callable[[Sequence[ViewPose]], np.ndarray]


class LabelledDecision(NamedTuple):
    """A prompt with its answer.

    Attributes:
        answer: JSON with the label of the teacher's action.
    """

    prompt: Prompt
    labels: tuple[str, ...]
    answer: str

    @property
    def views(self) -> tuple[ViewPose, ...]:
        """Pictures of the prompt, in order."""
        parts = (part for message in self.prompt for part in message.parts)
        return tuple(part for part in parts if isinstance(part, ViewPose))


def labelled_decisions(
    walk: RecordedWalk, limit: int, settings: PromptConfig
) -> Iterator[LabelledDecision]:
    """Yield the prompt of each step of a walk on a graph."""
    strategy, places = make_strategy(settings), KnownPlaces()
    history: list[PastDecision] = []
    for number, step in enumerate(walk.steps):
        candidates = [
            ObservedCandidate(action, each.viewpoint, each.heading, each.distance, each.rise)
            for action, each in enumerate(step.candidates, start=1)
        ]
        places.arrive(walk.scan, step.viewpoint, candidates)
        here = ViewPose(walk.scan, step.viewpoint, step.heading)
        options = make_options(candidates, places, here, True, settings)
        observation = Observation(
            instruction=one_line(walk.instruction),
            step=number,
            limit=limit,
            options=options,
            trajectory=tuple(places.trajectory),
            connections=dict(places.connections),
            views=dict(places.views),
            around=views_around(here, settings.egocentric_views, settings.direction_words),
            history=tuple(history),
            settings=settings,
        )
        by_action = {option.action: option for option in options}
        answer = json.dumps({"action": by_action[step.label].label})
        labels = tuple(option.label for option in options)
        yield LabelledDecision(strategy(observation), labels, answer)
        history.append(PastDecision(places.current, by_action[step.taken]))


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
