"""Walk of one episode on a navigation graph."""

from collections.abc import Callable

import numpy as np

from clipnav.agents.language_models.prompts.observations import (
    Observation,
    Option,
    PastDecision,
    make_options,
    one_line,
    views_around,
)
from clipnav.agents.language_models.prompts.parsing import ParsedAnswer
from clipnav.agents.language_models.prompts.places import KnownPlaces, candidates_of
from clipnav.agents.language_models.strategies.navgpt import SECTORS
from clipnav.agents.language_models.walks.asking import AskingWalk, Ending, Strategy, WalkSettings
from clipnav.envs.episodes import Episode
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.features.view_grid import view_direction

Trajectory = list[tuple[str, float, float]]


class EpisodeWalk(AskingWalk):
    """Walk of one episode on a navigation graph.

    Args:
        env: Environment of one agent with `observe="indices"`, without autoreset; it belongs to
            this walk until the end.
        instr_id: The episode.
        strategy: Function from an observation to a prompt.
        settings: Settings.
        release: Function that is called with the environment at the end.

    Attributes:
        episode: The episode.
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
        here = self._places.current
        self._history.append(PastDecision(here, option, answer.thought, answer.plan))
        if option is None:
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

    def _observe(self) -> Observation:
        settings = self._settings.prompt
        viewpoint, heading, _ = self.pose
        here = ViewPose(self.episode.scan, viewpoint, heading)
        sectors = SECTORS if settings.strategy == "navgpt" else settings.egocentric_views
        step = len(self.decisions)
        return Observation(
            instruction=one_line(self.episode.instruction),
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
        super()._end(ending)
        self._walked = self._env.trajectories()[0]
        self._release(self._env)
