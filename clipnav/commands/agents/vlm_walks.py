"""What clipnav evaluate-vlm shares with other rooms: captions of views, and traces of its walks."""

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from threading import Lock

from clipnav.agents.language_models.evaluation.evaluating import VlmExperiment
from clipnav.agents.language_models.evaluation.reporting import graph_walks
from clipnav.agents.language_models.prompts.pictures import QUALITY, Draw, Photo, world_drawing
from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.language_models.walks.asking import DecisionRecord, EpisodeWalk
from clipnav.agents.language_models.walks.running import Finished
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.objects import WorldObjects
from clipnav.envs.navigation.vector_env import split_objects
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage import atomic_write
from clipnav.storage.pictures import encode_jpeg
from clipnav.viewer.trace.building import Setting, TraceDecision, build_trace, visible_objects
from clipnav.viewer.trace.format import (
    TRACES,
    Ending,
    ModelAnswer,
    ModelDecision,
    PromptPart,
    trace_json,
)

_KEPT = 4096  # captions
_LONGEST = 4096  # characters of an answer
Captions = Callable[[Sequence[Path]], list[str]]


class ViewCaptions:
    """Describes views by captions of their pictures."""

    def __init__(self, captions: Captions, draw: Draw) -> None:
        self._captions, self._draw = captions, draw
        self._lock = Lock()  # a captioner serves one thread at a time
        self._cached = lru_cache(_KEPT)(self._describe)

    def __call__(self, view: ViewPose) -> str:
        """Return the caption of a view."""
        with self._lock:
            return self._cached(view)

    def _describe(self, view: ViewPose) -> str:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "view.jpg"
            path.write_bytes(encode_jpeg(self._draw(view), QUALITY))
            return self._captions([path])[0]


def view_captions(config: EvaluateVlmConfig) -> ViewCaptions | None:
    """Return the descriptions of --captioner; None without it."""
    if config.prompt.captioner is None:
        return None
    from clipnav.vl_tasks.captioning.writing import LoadedCaptioner

    captioner = LoadedCaptioner(config.prompt.captioner, device=config.device)
    return ViewCaptions(captioner.captions, world_drawing(config))


def write_traces(experiment: VlmExperiment, finished: Finished) -> Path:
    """Write the traces of the walks that did not fail into the folder of the results.

    A trace cannot say that a walk failed: figures and the viewer would count it as a lost one.
    """
    config = experiment.config
    setting = Setting(config.model_name, config.world, config.dataset, config.split)
    world, objects = experiment.split.nav_world, split_objects(experiment.split)
    path = experiment.output / TRACES
    with atomic_write(path) as beside, beside.open("wb") as file:
        for walk in graph_walks(finished.without_failed()).values():
            ending: Ending = "stopped" if walk.ending == "stopped" else "cut off"
            graph = world.graphs[walk.episode.scan]
            made = list(decisions(walk))
            if objects is not None:
                made = [_with_objects(one, walk, world, objects) for one in made]
            trace = build_trace(setting, walk.episode, graph, made, ending)
            file.write(trace_json(trace) + b"\n")
    print(f"Traces: {path}")
    return path


def _with_objects(
    decision: TraceDecision, walk: EpisodeWalk, world: NavWorld, objects: WorldObjects
) -> TraceDecision:
    """Return a decision with the visible objects, and the one that the agent points out."""
    node, viewpoint = world.node(walk.episode.scan, decision.viewpoint), decision.viewpoint
    target, pointed = -1, -1
    if walk.episode.has_goal:
        target = objects.index(node, walk.episode.goal.object_at(viewpoint))
    if decision.action == 0 and walk.answer is not None:
        pointed = objects.index(node, walk.answer.object_id)
    return replace(decision, objects=visible_objects(objects, node, pointed, target))


def decisions(walk: EpisodeWalk) -> Iterator[TraceDecision]:
    """Yield the decisions of a walk, and the place where it was cut off.

    Where the agent has stopped and is asked for an object, the step of the answer is the stop.
    """
    records = list(walk.decisions)
    last = None
    if walk.ending == "invalid" and records and records[-1].option is None:
        last = records.pop()  # it leads nowhere: it belongs to the end of the walk
    for number, record in enumerate(records):
        action = None if record.option is None else record.option.action
        if walk.asks_object and number >= len(records) - 2:
            action = None if number < len(records) - 1 else 0
        viewpoint, heading, elevation = record.pose
        yield TraceDecision(viewpoint, heading, elevation, action, model=_model_decision(record))
    if walk.ending != "stopped":
        model = None if last is None else _model_decision(last)
        yield TraceDecision(*walk.pose, None, model=model)


def _model_decision(record: DecisionRecord) -> ModelDecision:
    first, last = record.exchanges[0], record.exchanges[-1]
    parts: list[PromptPart] = []
    for message in first.question.prompt:
        for part in message.parts:
            if isinstance(part, str):
                parts.append(PromptPart(message.role, text=part))
            elif not isinstance(part, Photo):
                angles = round(part.heading, 4), round(part.elevation, 4)
                parts.append(PromptPart(message.role, "", part.viewpoint, *angles, part.vfov))
    answers = [
        ModelAnswer(
            text=exchange.reply.text[:_LONGEST] or exchange.reply.refusal,
            kind="too_long" if exchange.answer is None else exchange.answer.kind,
            problem="" if exchange.answer is None else exchange.answer.problem,
            reasoning=exchange.reply.reasoning[:_LONGEST],
        )
        for exchange in record.exchanges
    ]
    answer = last.answer
    return ModelDecision(
        prompt=tuple(parts),
        answers=tuple(answers),
        thought="" if answer is None else answer.thought,
        plan="" if answer is None else answer.plan,
    )
