"""The format of a trace, version 1: one JSON object per episode, in a file of its own.

Angles are radians, headings clockwise from +y, elevations up from the horizon; lengths are metres.
A file holds the object in one line; several lines hold several episodes.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import msgspec

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.worlds import World
from clipnav.storage import atomic_write, is_temporary
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_VIEWS
from clipnav.storage.records import RecordError, read_records

_FREE = "@"
_NUMBER = r"(-?\d{1,5}\.\d{3})"
_NAME = re.compile(rf"{_FREE}{_NUMBER},{_NUMBER},{_NUMBER}", re.ASCII)
FORMAT, VERSION = "clipnav-trace", 1
TRACES = "traces.jsonl"  # the walks of a language model, in the folder of its results
HINT = "record the trace again with clipnav evaluate-agent --traces or clipnav visualise"
Ending = Literal["stopped", "cut off", "under way"]
Motion = Literal["stop", "forward", "left", "right", "look up", "look down"]
Corner = tuple[float, float]
Outcome = Literal["success", "wrong stop", "lost", "unknown"]


def position_name(position: Sequence[float]) -> str:
    """Return the name of a position of the camera, rounded to millimetres."""
    # Adding 0.0 turns -0.0 into 0.0.
    return _FREE + ",".join(f"{round(float(value), 3) + 0.0:.3f}" for value in position)


def position_of(name: str) -> tuple[float, float, float] | None:
    """Return the position that a name contains; None for the name of a viewpoint."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    x, y, z = map(float, match.groups())
    return x, y, z


class PromptPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """Text or picture of a prompt.

    Attributes:
        role: Role of its message: "system", "user" or "assistant".
        text: The text; empty for a picture.
        viewpoint: Viewpoint of a picture's camera; empty for a text.
        heading: Heading of the camera in radians.
        elevation: Elevation of the camera in radians.
        vfov: Vertical field of view of the camera in radians; None for the usual one, 60 degrees.
    """

    role: str
    text: str = ""
    viewpoint: str = ""
    heading: float = 0.0
    elevation: float = 0.0
    vfov: float | None = None


class ModelAnswer(msgspec.Struct, frozen=True, omit_defaults=True):
    """Answer of a model.

    Attributes:
        text: The answer, or the first part of a long one.
        kind: "valid", or why it names no action.
        problem: What is wrong with it.
        reasoning: Reasoning that the server reports separately.
    """

    text: str
    kind: Literal["valid", "invalid", "refused", "truncated", "too_long"]
    problem: str = ""
    reasoning: str = ""


class ModelDecision(msgspec.Struct, frozen=True):
    """Decision of a model.

    Attributes:
        prompt: Texts and pictures of the first prompt, in order.
        answers: Answers; several if the model was asked again.
        thought: Thought of the last answer.
        plan: Plan of the last answer.
    """

    prompt: tuple[PromptPart, ...]
    answers: tuple[ModelAnswer, ...]
    thought: str = ""
    plan: str = ""


class TraceCandidate(msgspec.Struct, frozen=True):
    """A candidate of a step.

    Attributes:
        viewpoint: Viewpoint id of the candidate.
        heading: Heading from the current to the candidate's camera position.
        elevation: Elevation from the current to the candidate's camera position.
        floor: Elevation of the floor below the candidate's camera, where markers are drawn.
        distance: Length of the edge.
        probability: Probability of the action, if known.
    """

    viewpoint: str
    heading: float
    elevation: float
    floor: float
    distance: float
    probability: float | None = None


class KnownNode(msgspec.Struct, frozen=True):
    """A node of the map that an agent has built.

    Attributes:
        viewpoint: Viewpoint id of the node.
        visited: Whether the agent has been there.
        probability: Probability of choosing the node; None if it cannot be chosen.
        global_score: Score of the global branch, scaled by the gate; None if it cannot be chosen.
    """

    viewpoint: str
    visited: bool
    probability: float | None = None
    global_score: float | None = None


class KnownMap(msgspec.Struct, frozen=True):
    """The map of an agent at a decision.

    Attributes:
        nodes: Nodes in the order of first sight.
        gate: Weight of the global branch of a map transformer, 0 to 1; that of the local branch is
            1 less this. None for other agents.
        target: Viewpoint id of the node that the agent goes to; None if it stays.
        ends: Whether the walk to the target is the last one: to the best visited viewpoint.
    """

    nodes: tuple[KnownNode, ...]
    gate: float | None = None
    target: str | None = None
    ends: bool = False


class VisibleObject(msgspec.Struct, frozen=True, omit_defaults=True):
    """An object that is visible at a step.

    Attributes:
        name: Its name, or its id if the name is unknown.
        corners: Heading and elevation of the corners of its box, clockwise from the upper left.
        pointed: Whether the agent points it out.
        target: Whether it is the object to point out.
    """

    name: str
    corners: tuple[Corner, Corner, Corner, Corner]
    pointed: bool = False
    target: bool = False


class TraceStep(msgspec.Struct, frozen=True):
    """One decision.

    Attributes:
        viewpoint: Viewpoint id of the agent's position; in a continuous walk the name of a free
            position, see `clipnav.viewer.trace.format`.
        heading: Heading of the agent.
        elevation: Elevation of the agent's camera.
        candidates: Candidates in the order of the actions 1, 2, ...
        action: 0 for stop, k for a move to candidate k. None for a step that is not an edge, and
            at the end of a walk without a stop.
        distance_to_goal: Distance along the graph; None if the goal is secret.
        metrics: Metrics of the walk if it ended here, by short name (SR and OSR, and others such as
            SPL); empty if the goal is secret.
        stop_probability: Probability of the stop action, if known.
        value: Value estimated by the critic, if there is one.
        word_attention: Attention weights of the start token, of each of the trace's `words` and of
            the end token; None if the agent reports none.
        view_attention: Attention weights of the 36 views, see `clipnav.envs.graphs.candidates`.
        known_map: Map of an agent that builds one; None while it walks to a chosen node.
        model: Prompt and answers of an agent that asks a language model.
        motion: Action in a continuous walk, which has no candidates; None on a graph.
        collided: Whether the action hit an obstacle.
        objects: Visible objects that can be pointed out.
    """

    viewpoint: str
    heading: float
    elevation: float
    candidates: tuple[TraceCandidate, ...]
    action: int | None = None
    distance_to_goal: float | None = None
    metrics: dict[str, float] = {}
    stop_probability: float | None = None
    value: float | None = None
    word_attention: tuple[float, ...] | None = None
    view_attention: tuple[float, ...] | None = None
    known_map: KnownMap | None = None
    model: ModelDecision | None = None
    motion: Motion | None = None
    collided: bool = False
    objects: tuple[VisibleObject, ...] = ()


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """Episode with the decisions of an agent.

    Attributes:
        format: Name of the format.
        version: Version of the format.
        agent: Name of the agent.
        world: World of the episode, see `clipnav.envs.worlds`.
        dataset: Dataset of the episode, see `clipnav.envs.datasets`.
        split: Split of the dataset; "" for an instruction that a person typed.
        instr_id: Id of the instruction; this and the next six fields as in `Episode`.
        path_id: Number of the path.
        scan: The building.
        path: Reference path; only its start if the goal is secret or does not exist.
        heading: Heading at the start.
        instruction: Raw text.
        language: Language tag.
        words: The instruction split into words, each with trailing blanks.
        unknown_words: Indices of the words that the agent does not know. Recorded only for
            instructions that a person typed.
        steps: Decisions; the first one is at the start.
        ending: How the walk ended.
        goal: Goal of several viewpoints or of an object; None if it is the end of the path.
    """

    format: str = FORMAT
    version: int = VERSION
    agent: str
    world: World
    dataset: str
    split: str
    instr_id: str
    path_id: int
    scan: str
    path: tuple[str, ...]
    heading: float
    instruction: str
    language: str
    words: tuple[str, ...]
    unknown_words: tuple[int, ...] = ()
    steps: tuple[TraceStep, ...]
    ending: Ending
    goal: Goal | None = None

    def __post_init__(self) -> None:
        dataset_spec(self.dataset)

    @property
    def has_goal(self) -> bool:
        """Whether the goal of the episode is known."""
        return len(self.path) > 1

    @property
    def is_continuous(self) -> bool:
        """Whether the walk has free positions instead of viewpoints."""
        return self.steps[0].viewpoint.startswith(_FREE)

    @property
    def walked(self) -> tuple[str, ...]:
        """Viewpoints of the walk, the start included."""
        return tuple(step.viewpoint for step in self.steps)


def read_traces(path: str | Path) -> list[Trace]:
    """Read the traces of a file, or of all `.json` and `.jsonl` files below a folder.

    Beside a file `TRACES` are other files of results, which are not read.

    Raises:
        FileNotFoundError: The file does not exist, or the folder contains none.
        UserError: All files are empty, a trace is damaged, or an agent has two walks of an episode;
            the message names file, record, field and remedy.
    """
    path = Path(path)
    files = [path]
    if path.is_dir():
        found = [
            file
            for file in path.rglob("*.json*")
            if file.name == TRACES or not file.with_name(TRACES).is_file()
        ]
        # Another process may be recording into the folder; a trace that is being written is
        # incomplete and soon has another name.
        files = sorted(
            file
            for file in found
            if file.is_file() and not any(map(is_temporary, file.relative_to(path).parts))
        )
        if not files:
            raise FileNotFoundError(f"{path}: no traces in this folder; {HINT}")
    traces = []
    files_of: dict[tuple[str, ...], Path] = {}
    for file in files:
        for number, trace in enumerate(read_records(file, Trace, HINT)):
            problem = next(problems(trace), None)
            if problem:
                raise RecordError(file, number, problem, HINT, f"instr_id {trace.instr_id}")
            walk = (trace.agent, trace.world, trace.dataset, trace.split, trace.instr_id)
            if walk in files_of:
                raise UserError(
                    f"{file}: a second walk of {trace.split} {trace.instr_id} by '{trace.agent}', "
                    f"beside that in {files_of[walk]}; name one of them, or the folders of both"
                )
            files_of[walk] = file
            traces.append(trace)
    if not traces:
        raise UserError(f"{path}: contains no trace; {HINT}")
    return traces


def write_trace(trace: Trace, folder: Path, suffix: str = ".json") -> Path:
    """Write a trace into a folder, which is created if it is missing, and return its file."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / trace_file_name(trace.instr_id, suffix)
    with atomic_write(path) as beside:
        beside.write_bytes(trace_json(trace) + b"\n")
    return path


def trace_file_name(instr_id: str, suffix: str = ".json") -> str:
    """Return the file name of the trace of an episode; other ids have other names."""
    name = re.sub(r"[^A-Za-z0-9_-]", "-", instr_id)
    if name != instr_id:
        name += "-" + hashlib.sha256(instr_id.encode()).hexdigest()[:8]
    return name + suffix


def trace_json(trace: Trace) -> bytes:
    """Return a trace as JSON in one line."""
    return msgspec.json.encode(trace)


def problems(trace: Trace) -> Iterator[str]:
    """Yield the problems of a trace whose fields have the right types."""
    if trace.format != FORMAT:
        yield f"field 'format': it is '{trace.format}', not '{FORMAT}'"
    if trace.version != VERSION:
        yield f"field 'version': it is {trace.version}, but this clipnav reads {VERSION}"
    if not trace.agent:
        yield "field 'agent': it is empty"
    if "".join(trace.words) != trace.instruction:
        yield "field 'words': together they are not the instruction"
    if any(not 0 <= place < len(trace.words) for place in trace.unknown_words):
        yield f"field 'unknown_words': an index is not in 0..{len(trace.words) - 1}"
    if not trace.path:
        yield "field 'path': it is empty"
    if not trace.steps:
        yield "field 'steps': it is empty"
    for number, step in enumerate(trace.steps):
        for problem in _step_problems(step, len(trace.words)):
            yield f"field 'steps[{number}].{problem}"
    yield from _jumps(trace.steps)


def _jumps(steps: Sequence[TraceStep]) -> Iterator[str]:
    """Yield a problem for each action that does not lead to the next step."""
    for number, (step, after) in enumerate(pairwise(steps)):
        if step.action == 0:
            yield f"field 'steps[{number}].action': it stops, but steps follow"
        elif step.action is not None and step.action <= len(step.candidates):
            if step.candidates[step.action - 1].viewpoint != after.viewpoint:
                yield f"field 'steps[{number}].action': it does not lead to the next step"


def _step_problems(step: TraceStep, words: int) -> Iterator[str]:
    if step.viewpoint.startswith(_FREE) and position_of(step.viewpoint) is None:
        yield f"viewpoint': '{step.viewpoint}' is not the name of a position"
    if step.action is not None and not 0 <= step.action <= len(step.candidates):
        yield f"action': {step.action} is not in 0..{len(step.candidates)}"
    if step.metrics and not {"SR", "OSR"} <= step.metrics.keys():
        yield "metrics': SR or OSR is missing"
    chances = [step.stop_probability, *(c.probability for c in step.candidates)]
    if any(chance is not None and not 0 <= chance <= 1 for chance in chances):
        yield "candidates': a probability is not in 0..1"
    for name, size in (("word_attention", words + 2), ("view_attention", NUM_VIEWS)):
        weights = getattr(step, name)
        if weights is not None and len(weights) != size:
            yield f"{name}': {len(weights)} weights instead of {size}"
        if weights is not None and min(weights, default=0) < 0:
            yield f"{name}': a weight is negative"
    if step.known_map is not None:
        yield from _map_problems(step.known_map)


def _map_problems(known: KnownMap) -> Iterator[str]:
    shares = [known.gate, *(node.probability for node in known.nodes)]
    if not all(share is None or 0 <= share <= 1 for share in shares):
        yield "known_map': the gate or a probability is not in 0..1"
    if known.target not in {None, *(node.viewpoint for node in known.nodes)}:
        yield "known_map': the target is not a node of the map"


def outcome(trace: Trace) -> Outcome:
    """Return the outcome of a walk."""
    final = trace.steps[-1].metrics
    if not final:
        return "unknown"
    if final["SR"]:
        return "success"
    return "wrong stop" if final["OSR"] else "lost"
