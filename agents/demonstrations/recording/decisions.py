"""Decisions on a graph as the prompts of `clipnav evaluate-vlm`, with the answers of the teacher.

A model that is fine-tuned on the records therefore sees at an evaluation what it saw in training.
"""

import json
from collections.abc import Iterator
from typing import NamedTuple

from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.language_models.prompts.messages import Prompt
from clipnav.agents.language_models.prompts.observations import (
    Candidate,
    KnownPlaces,
    Observation,
    PastDecision,
    make_options,
    one_line,
    views_around,
)
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.envs.pictures.view_pictures import ViewPose


class LabelledDecision(NamedTuple):
    """A prompt with its answer.

    Attributes:
        prompt: Messages of the prompt.
        labels: Labels of the options.
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
            Candidate(action, each.viewpoint, each.heading, each.distance, each.rise)
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
