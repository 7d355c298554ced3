"""Walk of one episode: observation, question, answer, action, until the end."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

from agents.language_models.models.replies import Question, Reply
from agents.language_models.prompts.messages import Message, Prompt
from agents.language_models.prompts.observations import (
    Observation,
    Option,
    PastDecision,
    make_options,
    one_line,
    views_around,
)
from agents.language_models.prompts.parsing import Kind, ParsedAnswer, parse_answer
from agents.language_models.prompts.places import KnownPlaces, candidates_of
from agents.language_models.strategies.navgpt import SECTORS
from agents.settings.language_models import OnInvalid, PromptConfig
from envs.episodes import Episode
from envs.navigation.vector_env import VlnVectorEnv
from storage.features.view_grid import view_direction

Strategy = Callable[[Observation], Prompt]
Ending = Literal["", "stopped", "limit", "invalid", "failed"]
_QUOTED = 4000  # characters of an invalid answer that are sent back


@dataclass(frozen=True)
class WalkSettings:
    """Settings of walks.

    Attributes:
        prompt: Contents of the prompts.
        answer_retries: Number of times the model is asked again after an invalid answer.
        on_invalid: Action after an invalid answer.
        seed: Random seed of `on_invalid` "random".
    """

    prompt: PromptConfig = field(default_factory=PromptConfig)
    answer_retries: int = 1
    on_invalid: OnInvalid = "end"
    seed: int = 0


@dataclass(frozen=True)
class Exchange:
    """A question with its reply.

    Attributes:
        question: The question.
        reply: The reply.
        answer: The parsed reply; None if the prompt was too long.
    """

    question: Question
    reply: Reply
    answer: ParsedAnswer | None


@dataclass(frozen=True)
class DecisionRecord:
    """A decision.

    Attributes:
        observation: What the agent knew.
        viewpoint: Viewpoint of the agent.
        heading: Heading in radians.
        elevation: Elevation in radians.
        exchanges: Questions and replies.
        kind: Kind of the last answer.
        option: The option taken; None if the agent stayed or the episode ended.
    """

    observation: Observation
    viewpoint: str
    heading: float
    elevation: float
    exchanges: tuple[Exchange, ...]
    kind: Kind
    option: Option | None


class EpisodeWalk:
    """Walk of one episode; it is asked for a question and given the reply, until it ends.

    Args:
        env: Environment of one agent with `observe="indices"`, without autoreset; it belongs to
            this walk until the end.
        instr_id: The episode.
        strategy: Function from an observation to a prompt.
        settings: Settings.

    Attributes:
        episode: The episode.
        question: Next question; None after the end.
        ending: How the walk ended; "" before.
        error: Why it failed; empty otherwise.
        decisions: Decisions so far.
    """

    def __init__(
        self, env: VlnVectorEnv, instr_id: str, strategy: Strategy, settings: WalkSettings
    ) -> None:
        self._env, self._strategy, self._settings = env, strategy, settings
        self._observed, _ = env.reset(options={"episode_ids": [instr_id]})
        self.episode: Episode = env.current_episodes()[0]
        self.ending: Ending = ""
        self.error = ""
        self.decisions: list[DecisionRecord] = []
        self.question: Question | None = None
        self._places = KnownPlaces()
        self._history: list[PastDecision] = []
        self._exchanges: list[Exchange] = []
        self._arrive()
        self._ask()

    @property
    def trajectory(self) -> list[tuple[str, float, float]]:
        """Poses (viewpoint, heading, elevation) from the start to the current viewpoint."""
        return self._env.trajectories()[0]

    @property
    def viewpoint(self) -> str:
        """Current viewpoint."""
        return str(self._env.nav_world.viewpoint_ids[self._node])

    @property
    def pose(self) -> tuple[float, float]:
        """Heading and elevation in radians."""
        return view_direction(int(self._observed["view"][0]))

    def receive(self, reply: Reply) -> None:
        """Take the reply to `question`, which then is the next question."""
        question = self.question
        assert question is not None
        if reply.finish == "too_long":
            self._exchanges.append(Exchange(question, reply, None))
            self._shorten(reply)
            return
        options = self._observation.options
        answer = parse_answer(reply.text, options, reply.finish, reply.refusal)
        self._exchanges.append(Exchange(question, reply, answer))
        asked = sum(exchange.answer is not None for exchange in self._exchanges)
        if answer.option is None and asked <= self._settings.answer_retries:
            self.question = _asked_again(question, reply, answer)
            return
        self._decide(answer)

    def fail(self, error: str) -> None:
        """End the walk because its question has no reply."""
        self.error = error
        self._end("failed")

    def teacher_action(self) -> int:
        """Return the teacher's action, for tests and for estimates; it is never in a prompt."""
        return int(self._env.teacher_actions()[0])

    def take(self, action: int) -> None:
        """Take an action of the environment without asking the model."""
        chosen = [option for option in self._observation.options if option.action == action]
        self._act(ParsedAnswer("valid", chosen[0]), chosen[0])

    def _decide(self, answer: ParsedAnswer) -> None:
        option = answer.option
        if option is None:
            if self._settings.on_invalid == "end":
                self._record(answer, None)
                self._end("invalid")
                return
            option = self._replacement()
        self._act(answer, option)

    def _replacement(self) -> Option | None:
        """Return the option that replaces an invalid answer; None to stay."""
        options = self._observation.options
        if self._settings.on_invalid == "first":
            return next(option for option in options if option.place is not None)
        if self._settings.on_invalid == "random":
            key = zlib.crc32(self.episode.instr_id.encode())
            rng = np.random.default_rng([self._settings.seed, key, len(self.decisions)])
            return options[int(rng.integers(len(options)))]
        return None

    def _act(self, answer: ParsedAnswer, option: Option | None) -> None:
        self._record(answer, option)
        self._history.append(
            PastDecision(self._places.current, option, answer.thought, answer.plan)
        )
        if option is not None:
            self._observed, *_ = self._env.step(np.array([option.action]))
            if option.action == 0:
                self._end("stopped")
                return
            self._arrive()
        if len(self.decisions) >= self._env.max_episode_steps:
            self._end("limit")
        else:
            self._ask()

    def _record(self, answer: ParsedAnswer, option: Option | None) -> None:
        self.decisions.append(
            DecisionRecord(
                self._observation,
                self.viewpoint,
                *self.pose,
                tuple(self._exchanges),
                answer.kind,
                option,
            )
        )
        self._exchanges = []

    def _arrive(self) -> None:
        self._node = int(self._observed["viewpoint"][0])
        self._candidates = candidates_of(self._env.nav_world, self._node)
        self._places.arrive(self.episode.scan, self.viewpoint, self._candidates)

    def _ask(self) -> None:
        settings, scan, heading = self._settings.prompt, self.episode.scan, self.pose[0]
        sectors = SECTORS if settings.strategy == "navgpt" else settings.egocentric_views
        step = len(self.decisions)
        self._observation = Observation(
            instruction=one_line(self.episode.instruction),
            step=step,
            limit=self._env.max_episode_steps,
            options=make_options(
                self._candidates,
                self._places,
                scan,
                self.viewpoint,
                heading,
                step >= settings.stop_after,
                settings,
            ),
            trajectory=tuple(self._places.trajectory),
            connections=dict(self._places.connections),
            views=dict(self._places.views),
            around=views_around(scan, self.viewpoint, heading, sectors, settings.direction_words),
            history=tuple(self._history),
            settings=settings,
        )
        self.question = self._make_question(self._observation)

    def _make_question(self, observation: Observation) -> Question:
        labels = tuple(option.label for option in observation.options)
        return Question(self._strategy(observation), labels)

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


def _asked_again(question: Question, reply: Reply, answer: ParsedAnswer) -> Question:
    """Return the question that follows an invalid answer in the same conversation."""
    text = (
        f"Your answer cannot be used: {answer.problem}. Answer with one JSON object, whose action "
        f"is one of {', '.join(question.labels)}."
    )
    said = Message("assistant", (reply.text[:_QUOTED] or "(no answer)",))
    return Question((*question.prompt, said, Message("user", (text,))), question.labels)
