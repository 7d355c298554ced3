"""The questions of a walk: asking, repairing and replacing answers, whatever the environment."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from clipnav.agents.language_models.models.replies import ModelQuestion, Reply
from clipnav.agents.language_models.prompts.messages import Message, Prompt
from clipnav.agents.language_models.prompts.observations import (
    KnownPlaces,
    ObjectObservation,
    Observation,
    Option,
    PastDecision,
    candidates_of,
    make_options,
    object_options,
    one_line,
    views_around,
)
from clipnav.agents.language_models.prompts.parsing import Kind, ParsedAnswer, parse_answer
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import Answers, OnInvalid, PointFollower, PromptConfig
from clipnav.agents.language_models.strategies import SECTORS, object_prompt
from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.features.view_grid import view_direction
from clipnav.training.streams import Stream

Strategy = Callable[[Any], Prompt]
Ending = Literal["", "stopped", "limit", "invalid", "failed"]
_QUOTED = 4000  # characters of an invalid answer that are sent back
Trajectory = list[tuple[str, float, float]]


@dataclass(frozen=True)
class WalkSettings:
    """Settings of walks.

    Attributes:
        answer_retries: Number of times the model is asked again after an invalid answer.
        seed: Random seed of `on_invalid` "random".
        follower: How the agent walks to answers in space.
    """

    prompt: PromptConfig = field(default_factory=PromptConfig)
    answer_retries: int = 1
    on_invalid: OnInvalid = "end"
    seed: int = 0
    answers: Answers = "motions"
    follower: PointFollower = "geodesic"


@dataclass(frozen=True)
class Exchange:
    """A question with its reply.

    Attributes:
        answer: The parsed reply; None if the prompt was too long.
    """

    question: ModelQuestion
    reply: Reply
    answer: ParsedAnswer | None


@dataclass(frozen=True)
class DecisionRecord:
    """A decision.

    Attributes:
        pose: Pose of the agent, see `AskingWalk.pose`.
        option: The option taken; None if the agent stayed or the episode ended.
    """

    observation: Any
    pose: tuple[Any, ...]
    exchanges: tuple[Exchange, ...]
    kind: Kind
    option: Option | None


class AskingWalk(ABC):
    """Walk of one episode; it is asked for a question and given the reply, until it ends.

    Attributes:
        question: Next question; None after the end.
        ending: How the walk ended; "" before.
        error: Why it failed; empty otherwise.
    """

    def __init__(
        self, instr_id: str, limit: int, strategy: Strategy, settings: WalkSettings
    ) -> None:
        self._limit, self._strategy, self._settings = limit, strategy, settings
        self.instr_id = instr_id
        self.ending: Ending = ""
        self.error = ""
        self.decisions: list[DecisionRecord] = []
        self.question: ModelQuestion | None = None
        self._points: PointForm | None = None  # form of answers in space
        self._exchanges: list[Exchange] = []

    @property
    @abstractmethod
    def pose(self) -> tuple[Any, ...]:
        """Pose of the agent."""

    @property
    def actions(self) -> tuple[int, ...]:
        """Actions of the options of `question`."""
        return tuple(option.action for option in self._observation.options)

    @property
    @abstractmethod
    def revisits(self) -> int:
        """Number of times that the agent came back to a place."""

    @abstractmethod
    def _observe(self) -> Any:
        """Return the observation of the next decision, with `options` and `settings`."""

    @abstractmethod
    def _perform(self, option: Option | None, answer: ParsedAnswer) -> Ending:
        """Carry out an option, or stay for None, and return how this has ended the episode."""

    def receive(self, reply: Reply) -> None:
        """Take the reply to `question`, which then is the next question."""
        question = self.question
        assert question is not None
        if reply.finish == "too_long":
            self._exchanges.append(Exchange(question, reply, None))
            self._shorten(reply)
            return
        options = self._observation.options
        form = question.points
        answer = parse_answer(reply.text, options, reply.finish, reply.refusal, form)
        self._exchanges.append(Exchange(question, reply, answer))
        asked = sum(exchange.answer is not None for exchange in self._exchanges)
        if answer.option is None and asked <= self._settings.answer_retries:
            text = (
                f"Your answer cannot be used: {answer.problem}. Answer with one JSON object, whose "
                f"action is one of {', '.join(question.labels)}"
                + ("." if question.points is None else f", or {question.points.words}.")
            )
            said = Message("assistant", (reply.text[:_QUOTED] or "(no answer)",))
            self.question = replace(
                question, prompt=(*question.prompt, said, Message("user", (text,)))
            )
            return
        option = answer.option
        if option is None:
            if self._settings.on_invalid == "end":
                self._record(answer, None)
                self._end("invalid")
                return
            option = self._replacement()
        self._act(answer, option)

    def fail(self, error: str) -> None:
        """End the walk because its question has no reply."""
        self.error = error
        if self._exchanges:
            self._record(ParsedAnswer("invalid"), None)
        self._end("failed")

    @abstractmethod
    def teacher_action(self) -> int:
        """Return the teacher's action, for tests and for estimates; it is never in a prompt."""

    def teacher_option(self) -> Option | None:
        """Return the teacher's answer; None if the prompt does not have it."""
        action = self.teacher_action()
        options = (option for option in self._observation.options if option.action == action)
        return next(options, None)

    def take(self, chosen: Option | int) -> None:
        """Take an option, or that of an action, without asking the model."""
        by_action = {option.action: option for option in self._observation.options}
        option = by_action[chosen] if isinstance(chosen, int) else chosen
        self._act(ParsedAnswer("valid", option), option)

    def _ask(self) -> None:
        self._observation = self._observe()
        self.question = self._make_question(self._observation)

    def _replacement(self) -> Option | None:
        """Return the option that replaces an invalid answer; None to stay."""
        options = self._observation.options
        if self._settings.on_invalid == "first":
            return next(option for option in options if option.action != 0)
        if self._settings.on_invalid == "random":
            key = zlib.crc32(self.instr_id.encode())
            rng = Stream.VLM_INVALID_ANSWERS.rng(self._settings.seed, key, len(self.decisions))
            return options[int(rng.integers(len(options)))]
        return None

    def _act(self, answer: ParsedAnswer, option: Option | None) -> None:
        self._record(answer, option)
        ending = self._perform(option, answer)
        if not ending and len(self.decisions) >= self._limit:
            ending = "limit"
        if ending:
            self._end(ending)
        else:
            self._ask()

    def _record(self, answer: ParsedAnswer, option: Option | None) -> None:
        exchanges = tuple(self._exchanges)
        self.decisions.append(
            DecisionRecord(self._observation, self.pose, exchanges, answer.kind, option)
        )
        self._exchanges = []

    def _make_question(self, observation: Any) -> ModelQuestion:
        labels = tuple(option.label for option in observation.options)
        return ModelQuestion(self._strategy(observation), labels, self._points)

    def _shorten(self, reply: Reply) -> None:
        """Ask without the pictures of earlier places; fail if that has been tried."""
        settings = self._observation.settings
        shorter = replace(self._observation, settings=replace(settings, history_pictures=0))
        question = self._make_question(shorter)
        if not settings.history_pictures or question == self.question:
            self.fail(f"the prompt is too long for the model: {reply.text}")
            return
        self._observation, self.question = shorter, question

    def _end(self, ending: Ending) -> None:
        self.ending, self.question = ending, None


class EpisodeWalk(AskingWalk):
    """Walk of one episode on a navigation graph.

    Args:
        env: Environment of one agent with `observe="indices"`, without autoreset; it belongs to
            this walk until the end.

    Attributes:
        asks_object: Whether it has stopped where objects are visible, and asks which one to point
            out.
        answer: Object that it points out, None for none.
    """

    def __init__(
        self,
        env: VlnVectorEnv,
        instr_id: str,
        strategy: Strategy,
        settings: WalkSettings,
        release: Callable[[VlnVectorEnv], object] = lambda env: None,
    ) -> None:
        super().__init__(instr_id, env.max_episode_steps, strategy, settings)
        self._env, self._release = env, release
        self._walked: Trajectory | None = None
        self.asks_object = False
        self.answer: ObjectAnswer | None = None
        self._observed, _ = env.reset(options={"episode_ids": [instr_id]})
        self.episode: Episode = env.current_episodes()[0]
        self._places = KnownPlaces()
        self._history: list[PastDecision] = []
        self._arrive()
        self._ask()

    @property
    def trajectory(self) -> Trajectory:
        """Poses (viewpoint, heading, elevation) from the start to the current viewpoint."""
        return self._env.trajectories()[0] if self._walked is None else self._walked

    @property
    def revisits(self) -> int:
        """Number of times that the agent came back to a viewpoint."""
        path = [pose[0] for pose in self.trajectory]
        return len(path) - len(set(path))

    @property
    def pose(self) -> tuple[str, float, float]:
        """Viewpoint, and heading and elevation in radians."""
        return self._viewpoint, *view_direction(int(self._observed["view"][0]))

    def teacher_action(self) -> int:
        """Return the teacher's action, for tests and for estimates; it is never in a prompt."""
        return int(self._env.teacher_actions()[0])

    def _perform(self, option: Option | None, answer: ParsedAnswer) -> Ending:
        if self.asks_object:
            self._env.step(np.array([0 if option is None else option.action]))
            return "stopped"
        here = self._places.current
        self._history.append(PastDecision(here, option, answer.thought, answer.plan))
        if option is None:
            return ""
        objects, node = self._env.objects, int(self._observed["viewpoint"][0])
        if option.action == 0 and objects is not None and objects.mask[node].any():
            self.asks_object = True
            self._limit += 1  # this question is no decision about the way
            return ""
        self._observed, *_ = self._env.step(np.array([option.action]))
        if option.action == 0:
            return "stopped"
        self._arrive()
        return ""

    def _arrive(self) -> None:
        world, node = self._env.nav_world, int(self._observed["viewpoint"][0])
        self._viewpoint = str(world.viewpoint_ids[node])
        self._candidates = candidates_of(world, node)
        self._places.arrive(self.episode.scan, self.pose[0], self._candidates)

    def _make_question(self, observation: Any) -> ModelQuestion:
        if not self.asks_object:
            return super()._make_question(observation)
        labels = tuple(option.label for option in observation.options)
        return ModelQuestion(object_prompt(observation), labels)

    def _observe(self) -> Observation | ObjectObservation:
        settings = self._settings.prompt
        viewpoint, heading, _ = self.pose
        here = ViewPose(self.episode.scan, viewpoint, heading)
        text = one_line(self.episode.instruction)
        if self.asks_object:
            assert self._env.objects is not None
            node, first = int(self._observed["viewpoint"][0]), self._env.nav_world.num_actions
            options = object_options(self._env.objects, node, here, first, settings)
            return ObjectObservation(text, options, settings)
        sectors = SECTORS if settings.strategy == "navgpt" else settings.egocentric_views
        step = len(self.decisions)
        return Observation(
            instruction=text,
            step=step,
            limit=self._limit,
            options=make_options(
                self._candidates, self._places, here, step >= settings.stop_after, settings
            ),
            trajectory=tuple(self._places.trajectory),
            connections=dict(self._places.connections),
            views=dict(self._places.views),
            around=views_around(here, sectors, settings.direction_words),
            history=tuple(self._history),
            settings=settings,
        )

    def _end(self, ending: Ending) -> None:
        if self.asks_object and ending == "invalid":
            self._env.step(np.array([0]))  # it has stopped, without an answer
            ending = "stopped"
        super()._end(ending)
        (self.answer,) = self._env.answers()
        self._walked = self._env.trajectories()[0]
        self._release(self._env)
