"""VlnVectorEnv: many agents that follow instructions at once, over plain arrays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, get_args

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from envs.episodes import Episode
from envs.episodes.exchanged_words import exchange_words
from envs.episodes.splits import load_split
from envs.navigation.episode_sampler import EpisodeSampler
from envs.navigation.infos import LazyInfo, finals, masked, scattered
from envs.navigation.observations import FeatureObserver, IndexObserver, Observation, Observe
from envs.navigation.reference_teacher import Teacher
from envs.navigation.rewards import Reward
from envs.navigation.walks import Walks
from envs.tokenizers import Tokenizer
from envs.worlds import MAX_EPISODE_STEPS, Dataset, World

# Tokens of an instruction: EnvDrop reads 80 of R2R, CLIP-ViL 160 of RxR. R4R joins two instructions
# of R2R.
MAX_INSTRUCTION_LENGTH: dict[str, int] = {"r2r": 80, "rxr": 160, "r4r": 160}


class VlnVectorEnv(VectorEnv):
    """Vision-and-language navigation for a batch of B agents.

    ## Description
    Each agent stands at a viewpoint of a building and is told the way to another one in words. It
    moves along the edges of the building's navigation graph, and says where it wants to stop.
    After a move it looks along that one of the 36 views that showed the viewpoint it went to best,
    as in EnvDrop (`r2r_src/env.py`).

    ## Action Space
    `Discrete(K)` per agent: 0 stops, k goes to candidate k. An action that the mask rules out
    leaves the agent where it is. K is one more than the largest number of neighbours in the world.

    ## Observation Space
    A dictionary of arrays, none of which is used again by a later step (unless `copy` is False):
    * `instruction` (B, L) int32: words, see `tokenizer`.
    * `panorama` (B, 36, D + A) float32: feature of each view, D from the store and A from its
      direction relative to the agent's heading.
    * `candidates` (B, K, D + A) float32: features of the view of each candidate and of its exact
      direction; zeros for stop (row 0) and where there is no candidate.
    * `action_mask` (B, K) int8: 1 where an action leads somewhere.
    * `heading`, `elevation` (B,) float32: absolute, radians.

    With `observe="indices"` three others take the place of `panorama` and `candidates`:
    * `viewpoint` (B,) int32: where the agent stands, a node of `nav_world`.
    * `view` (B,) int32: along which of the 36 views it looks.
    * `candidate_view` (B, K) int32: the view of each candidate; 0 where there is none.

    ## Rewards
    +1 for a step that brings the agent nearer to the goal by shortest path, -1 for one that takes
    it further away, else 0. Stopping gives +2 less than 3 m from the goal and -2 elsewhere. With
    `reward="ndtw"` the gain in nDTW is added. 0 where the goal is secret (the test splits).

    ## Episode End
    Terminates at stop; truncates after `max_episode_steps` actions.

    ## Info
    `instr_id`, `instruction`, `scan`, `viewpoint`, `distance_to_goal` (metres, NaN where the goal
    is secret), `teacher_action` (what the teacher would do) and, for agents whose episode has just
    ended, `metrics`: a dictionary of arrays named as in `envs.metrics.score_path`.

    ## Arguments
    See `__init__`. `reset(options={"episode_ids": [...]})` starts chosen episodes, one `instr_id`
    per agent. Under `AutoresetMode.DISABLED` an agent whose episode has ended stays there, and
    `reset(options={"reset_mask": mask})` restarts chosen agents.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": ["rgb_array"],
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        num_envs: int = 1,
        dataset: Dataset = "r2r",
        world: World = "houses",
        data_dir: str | Path | None = None,
        features: str | Path | None = None,
        split: str = "train",
        language: str | None = None,
        max_episode_steps: int | None = None,
        max_instruction_length: int | None = None,
        angle_feature_size: int = 128,
        shuffle: bool = True,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
        tokenizer: Tokenizer | str | Path | None = None,
        render_mode: str | None = None,
        teacher: Teacher = "shortest",
        reward: Reward = "distance",
        observe: Observe = "features",
        copy: bool = True,
        exchanged_words: int | None = None,
    ) -> None:
        """Load a split of a dataset in a world.

        Args:
            num_envs: B, agents at once.
            dataset: "r2r", "rxr" or "r4r".
            world: "houses", "houses-standard" or "matterport", see `envs.worlds.world_files`.
            data_dir: Folder of the data of "matterport".
            features: Feature store; None for the one that comes with the world, "none" for
                directions only (D = 0).
            split: "train", "val_seen", "val_unseen", ...
            language: Keep one language, such as "en".
            max_episode_steps: Actions before truncation; None for 20 (R2R) or 35 (RxR, R4R).
            max_instruction_length: L; None for 80 (R2R) or 160 (RxR, R4R).
            angle_feature_size: A, a multiple of 4.
            shuffle: Draw episodes at random; else they come in the order of the file.
            autoreset_mode: What happens after the end of an episode, see Gymnasium.
            tokenizer: Vocabulary or file of one; None builds it from the training split.
            render_mode: None or "rgb_array".
            teacher: Whose `teacher_action` is told: "shortest" leads to the goal, "reference" along
                the annotated path and back to it, see `envs.navigation.reference_teacher`.
            reward: "distance" as EnvDrop, or "ndtw" as CLEAR, see `envs.navigation.rewards`.
            observe: "features", or "indices" for `envs.navigation.device_features` to look them up.
            copy: Hand out arrays that no later step overwrites; else always the same ones.
            exchanged_words: Give each episode the instruction of another path, an ablation; the
                seed of the draw, see `envs.episodes.exchanged_words`.

        Raises:
            FileNotFoundError: A file of the world is missing.
            ValueError: A file is damaged, or files or arguments do not fit each other.
            KeyError: The feature store lacks a viewpoint.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode {render_mode!r} is neither None nor 'rgb_array'")
        if observe not in get_args(Observe):
            raise ValueError(f"observe {observe!r} is none of {', '.join(get_args(Observe))}")
        self.num_envs = _whole("num_envs", num_envs)
        self.teacher: Teacher = teacher
        self.render_mode = render_mode
        if autoreset_mode not in {*AutoresetMode, *(mode.value for mode in AutoresetMode)}:
            known = ", ".join(mode.value for mode in AutoresetMode)
            raise ValueError(f"autoreset_mode {autoreset_mode!r} is none of {known}")
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore
        steps, length = MAX_EPISODE_STEPS.get(dataset, 1), MAX_INSTRUCTION_LENGTH.get(dataset, 1)
        if max_episode_steps is not None:
            steps = _whole("max_episode_steps", max_episode_steps)
        if max_instruction_length is not None:
            length = _whole("max_instruction_length", max_instruction_length)
        self.max_episode_steps = steps
        loaded = load_split(dataset, split, world, data_dir, features, language, tokenizer)
        if exchanged_words is not None:
            exchanged_words = _whole("exchanged_words", exchanged_words, 0)
            loaded = replace(loaded, episodes=exchange_words(loaded.episodes, exchanged_words))
        self._loaded, self.files, self.episodes = loaded, loaded.files, loaded.episodes
        self.tokenizer = loaded.tokenizer
        self.nav_world, self.feature_store = loaded.nav_world, loaded.store
        self.angle_feature_size = angle_feature_size
        self._tokens = loaded.tokens(length)
        self._walks = Walks(self.nav_world, self.episodes, num_envs, teacher, reward)
        self.sampler = EpisodeSampler(loaded.instr_ids.tolist(), num_envs, shuffle)
        if observe == "features":
            self._observer = FeatureObserver(
                self.nav_world, self.feature_store, angle_feature_size, num_envs
            )
        else:
            self._observer = IndexObserver(self.nav_world, num_envs)
        self._kept = None if copy else self._buffers()
        self._make_spaces(length)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[Observation, dict[str, Any]]:
        """Start episodes.

        Args:
            seed: Agent i draws its episodes as a single environment with seed + i would; or one
                seed per agent.
            options: `episode_ids`, one `instr_id` per agent; `reset_mask`, (B,) bool, agents to
                restart while the others stay as they are.

        Raises:
            ValueError: Options do not fit.
            ResetNeeded: `reset_mask` leaves agents out that have no episode yet.
        """
        options = dict(options or {})
        episode_ids = options.pop("episode_ids", None)
        mask = options.pop("reset_mask", None)
        if options:
            raise ValueError(
                f"options are 'episode_ids', one instr_id for each of {self.num_envs} agents, and "
                f"'reset_mask', not {sorted(options)}"
            )
        agents = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        if mask is not None and not _is_mask(mask, self.num_envs):
            raise ValueError(f"reset_mask is {self.num_envs} bools, some of them true, not {mask}")
        if len(agents) < self.num_envs and not self.sampler.is_seeded:
            raise gym.error.ResetNeeded("reset all agents before some of them alone")
        if isinstance(seed, int):
            super().reset(seed=seed)
        self.sampler.seed(seed)
        if episode_ids is None:
            episodes = self.sampler.draw(agents)
        else:
            episodes = self.sampler.find(agents, episode_ids)
        self._walks.start(agents, episodes)
        return self._observe(), self._info()

    def step(
        self, actions: np.ndarray
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action per agent.

        Args:
            actions: (B,) integers in 0..K - 1.

        Returns:
            Observations, rewards (B,) float64, terminated (B,), truncated (B,) and info.

        Raises:
            ValueError: An action is outside the action space.
        """
        if not self.sampler.is_seeded:
            raise gym.error.ResetNeeded("reset the environment before the first step")
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(f"actions are {self.num_envs} integers, not {actions!r}")
        # As unsigned numbers, negative ones are the largest.
        if np.maximum.reduce(actions.astype(np.uint64)) >= self.nav_world.num_actions:
            raise ValueError(
                f"actions {actions} are not all in 0..{self.nav_world.num_actions - 1}"
            )
        walks = self._walks
        over = np.flatnonzero(walks.terminated | walks.truncated)
        rewards = walks.step(actions, self.max_episode_steps)
        ended = np.flatnonzero(walks.ended_now)
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and over.size:
            walks.start(over, self.sampler.draw(over))
        terminated, truncated = walks.terminated.copy(), walks.truncated.copy()
        observation, info = self._observe(), self._info()
        self._set_lazy_metrics(info, ended)
        if self.autoreset_mode is AutoresetMode.SAME_STEP and ended.size:
            last = finals(observation, info, walks.ended_now)
            walks.start(ended, self.sampler.draw(ended))
            observation, info = self._observe(), self._info()
            info.update(last)
        return observation, rewards, terminated, truncated, info

    def teacher_actions(self) -> np.ndarray:
        """(B,) int64 action of the teacher; 0, stop, at the end of the way."""
        return self._walks.teacher_actions()

    def paths(self) -> list[list[str]]:
        """Viewpoints that each agent has visited in its episode, the start included."""
        return [[step[0] for step in trajectory] for trajectory in self.trajectories()]

    def trajectories(self) -> list[list[tuple[str, float, float]]]:
        """Like `paths`, with heading and elevation in radians, for submission files."""
        return [self._walks.trajectory(agent) for agent in range(self.num_envs)]

    def current_episodes(self) -> list[Episode]:
        """Episode of each agent."""
        return [self.episodes[number] for number in self._walks.episodes]

    def render(self) -> tuple[np.ndarray, ...] | None:
        """One (H, W, 3) uint8 RGB picture per agent; None if no render mode was chosen."""
        if self.render_mode is None:
            return None
        from envs.navigation.rendering import draw_frame, house_panorama

        panorama = house_panorama if self.files.is_built_in else None
        steps = zip(self.current_episodes(), self.trajectories(), strict=True)
        return tuple(
            draw_frame(self.nav_world.graphs[episode.scan], episode, trajectory, panorama)
            for episode, trajectory in steps
        )

    def metrics(self) -> dict[str, np.ndarray]:
        """(B,) metrics of the paths walked so far, NaN where the goal is secret."""
        metrics = self._walks.metrics(np.arange(self.num_envs))
        return {name: np.where(self._walks.has_goal, v, np.nan) for name, v in metrics.items()}

    def _make_spaces(self, length: int) -> None:
        """Set the spaces; instructions have `length` tokens."""
        instruction = gym.spaces.Box(0, len(self.tokenizer) - 1, (length,), np.int32)
        self.single_action_space = gym.spaces.Discrete(self.nav_world.num_actions)
        self.single_observation_space = gym.spaces.Dict(
            {"instruction": instruction, **self._observer.space()}
        )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def _buffers(self) -> Observation:
        shape = self.num_envs, self._tokens.shape[1]
        return {"instruction": np.empty(shape, dtype=np.int32), **self._observer.buffers()}

    def _observe(self) -> Observation:
        observation = self._buffers() if self._kept is None else self._kept
        words = observation["instruction"]
        self._tokens.take(self._walks.episodes, axis=0, out=words, mode="clip")
        self._observer.observe(self._walks.nodes, self._walks.views, observation)
        return observation

    def _info(self) -> LazyInfo:
        walks = self._walks
        everyone = np.ones(self.num_envs, dtype=bool)
        numbers = {
            "distance_to_goal": walks.distances.copy(),
            "teacher_action": walks.teacher_actions(),
        }
        names = self._loaded.promised_names(walks.episodes.copy(), walks.nodes.copy())
        masks = {f"_{name}": everyone.copy for name in names}
        return LazyInfo(masked(numbers, everyone), {**names, **masks})

    def _set_lazy_metrics(self, info: LazyInfo, ended: np.ndarray) -> None:
        """Let an info have the metrics of the agents `ended` (M,) whose goal is known."""
        scored = ended[self._walks.has_goal[ended]]
        if scored.size:
            mask = np.zeros(self.num_envs, dtype=bool)
            mask[scored] = True
            columns, score = self._walks.columns(scored), self._walks.score
            info["_metrics"] = mask
            info.set_lazy("metrics", lambda: scattered(score(columns), mask))


def _whole(name: str, value: int, least: int = 1) -> int:
    """An argument that counts something.

    Raises:
        ValueError: It is no whole number, or too small.
    """
    if not isinstance(value, int | np.integer) or value < least:
        raise ValueError(f"{name} is {value!r}, but must be a whole number, at least {least}")
    return int(value)


def _is_mask(mask: Any, size: int) -> bool:
    mask = np.asarray(mask)
    return mask.shape == (size,) and mask.dtype == bool and bool(mask.any())
