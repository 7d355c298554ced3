"""VlnVectorEnv: many agents that follow instructions at once, over plain arrays."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from encoders.feature_store import FeatureStore
from envs.candidates import NUM_VIEWS
from envs.episodes import Episode, load_episodes
from envs.nav_graph import NavGraph
from envs.nav_world import NavWorld, max_neighbours
from envs.observations import Observer
from envs.tokenizer import WordTokenizer
from envs.walks import Walks
from envs.worlds import Dataset, World, WorldFiles, world_files

# Decisions before an episode is cut off, and tokens of an instruction. R2R paths have up to 7
# viewpoints, RxR paths up to three times as many; EnvDrop reads 80 tokens of R2R, CLIP-ViL 160 of
# RxR.
MAX_EPISODE_STEPS: dict[str, int] = {"r2r": 20, "rxr": 35}
MAX_INSTRUCTION_LENGTH: dict[str, int] = {"r2r": 80, "rxr": 160}


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
    A dictionary of arrays, none of which is used again by a later step:
    * `instruction` (B, L) int32: words, see `tokenizer`.
    * `panorama` (B, 36, D + A) float32: feature of each view, D from the store and A from its
      direction relative to the agent's heading.
    * `candidates` (B, K, D + A) float32: features of the view of each candidate and of its exact
      direction; zeros for stop (row 0) and where there is no candidate.
    * `action_mask` (B, K) int8: 1 where an action leads somewhere.
    * `heading`, `elevation` (B,) float32: absolute, radians.

    ## Rewards
    +1 for a step that brings the agent nearer to the goal by shortest path, -1 for one that takes
    it further away, else 0. Stopping gives +2 less than 3 m from the goal and -2 elsewhere. 0 where
    the goal is secret (the test splits).

    ## Episode End
    Terminates at stop; truncates after `max_episode_steps` actions.

    ## Info
    `instr_id`, `instruction`, `scan`, `viewpoint`, `distance_to_goal` (metres, NaN where the goal
    is secret), `teacher_action` (along the shortest path) and, for agents whose episode has just
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
        tokenizer: WordTokenizer | str | Path | None = None,
        render_mode: str | None = None,
    ) -> None:
        """Load a split of a dataset in a world.

        Args:
            num_envs: B, agents at once.
            dataset: "r2r" or "rxr".
            world: "houses" or "matterport", see `envs.worlds.world_files`.
            data_dir: Folder of the data of "matterport".
            features: Feature store; None for the one that comes with the world, "none" for
                directions only (D = 0).
            split: "train", "val_seen", "val_unseen", ...
            language: Keep one language, such as "en".
            max_episode_steps: Actions before truncation; None for 20 (R2R) or 35 (RxR).
            max_instruction_length: L; None for 80 (R2R) or 160 (RxR).
            angle_feature_size: A, a multiple of 4.
            shuffle: Draw episodes at random; else they come in the order of the file.
            autoreset_mode: What happens after the end of an episode, see Gymnasium.
            tokenizer: Vocabulary or file of one; None builds it from the training split.
            render_mode: None or "rgb_array".

        Raises:
            FileNotFoundError: A file of the world is missing.
            ValueError: A file is damaged, or files or arguments do not fit each other.
            KeyError: The feature store lacks a viewpoint.
        """
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode {render_mode!r} is neither None nor 'rgb_array'")
        self.num_envs = num_envs
        self.render_mode = render_mode
        self.autoreset_mode = AutoresetMode(autoreset_mode)
        self.metadata = {**self.metadata, "autoreset_mode": self.autoreset_mode}  # type: ignore
        self.files = world_files(world, data_dir)
        self.episodes = load_episodes(dataset, split, self.files, language)
        self.max_episode_steps = max_episode_steps or MAX_EPISODE_STEPS[dataset]
        self.tokenizer = _tokenizer(tokenizer, dataset, language, self.files)
        self.nav_world = _nav_world(self.episodes, self.files)
        store = _open_store(features, self.files)
        self._observer = Observer(self.nav_world, store, angle_feature_size)
        self._walks = Walks(self.nav_world, self.episodes, num_envs)
        length = max_instruction_length or MAX_INSTRUCTION_LENGTH[dataset]
        self._tokens = np.stack(
            [self.tokenizer.encode(e.instruction, length) for e in self.episodes]
        )
        self._make_spaces(length)
        self._numbers = {episode.instr_id: i for i, episode in enumerate(self.episodes)}
        self._shuffle = shuffle
        self.generators: list[np.random.Generator] = []  # one per agent, who draws its episodes
        self._next_episode = 0
        self._texts = {
            "instr_id": np.array([e.instr_id for e in self.episodes], dtype=object),
            "instruction": np.array([e.instruction for e in self.episodes], dtype=object),
        }

    def _make_spaces(self, length: int) -> None:
        boxes = gym.spaces.Box
        size, actions = self._observer.width, self.nav_world.num_actions
        self.single_action_space = gym.spaces.Discrete(actions)
        self.single_observation_space = gym.spaces.Dict(
            {
                "instruction": boxes(0, len(self.tokenizer) - 1, (length,), np.int32),
                "panorama": boxes(-np.inf, np.inf, (NUM_VIEWS, size), np.float32),
                "candidates": boxes(-np.inf, np.inf, (actions, size), np.float32),
                "action_mask": gym.spaces.MultiBinary(actions),
                "heading": boxes(0.0, 2 * np.pi, (), np.float32),
                "elevation": boxes(-np.pi / 2, np.pi / 2, (), np.float32),
            }
        )
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)

    def reset(
        self,
        *,
        seed: int | Sequence[int | None] | None = None,
        options: dict[str, Any] | None = None,
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start episodes.

        Args:
            seed: Agent i draws its episodes as a single environment with seed + i would; or one
                seed per agent.
            options: `episode_ids`, one `instr_id` per agent; `reset_mask`, (B,) bool, agents to
                restart while the others stay as they are.

        Raises:
            ValueError: Options do not fit.
        """
        options = dict(options or {})
        episode_ids = options.pop("episode_ids", None)
        mask = options.pop("reset_mask", None)
        if options:
            raise ValueError(f"options are 'episode_ids' and 'reset_mask', not {sorted(options)}")
        agents = np.arange(self.num_envs) if mask is None else np.flatnonzero(mask)
        if mask is not None and (np.shape(mask) != (self.num_envs,) or not agents.size):
            raise ValueError(
                f"reset_mask has shape {np.shape(mask)} and {agents.size} agents to reset, but "
                f"shape ({self.num_envs},) and at least one agent are expected"
            )
        self._seed(seed)
        self._walks.start(agents, self._choose(agents, episode_ids))
        return self._observe(), self._info()

    def step(
        self, actions: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Take one action per agent.

        Args:
            actions: (B,) integers in 0..K - 1.

        Returns:
            Observations, rewards (B,) float64, terminated (B,), truncated (B,) and info.

        Raises:
            ValueError: An action is outside the action space.
        """
        actions = np.asarray(actions)
        if actions.shape != (self.num_envs,) or actions.dtype.kind not in "iu":
            raise ValueError(f"actions are {self.num_envs} integers, not {actions!r}")
        if actions.min() < 0 or actions.max() >= self.nav_world.num_actions:
            raise ValueError(
                f"actions {actions} are not all in 0..{self.nav_world.num_actions - 1}"
            )
        walks = self._walks
        over = np.flatnonzero(walks.terminated | walks.truncated)
        rewards = walks.step(actions, self.max_episode_steps)
        ended = walks.ended_now.copy()
        if self.autoreset_mode is AutoresetMode.NEXT_STEP and over.size:
            walks.start(over, self._choose(over))
        terminated, truncated = walks.terminated.copy(), walks.truncated.copy()
        observation, info = self._observe(), self._info()
        if ended.any():
            info.update(self._metrics(ended))
            if self.autoreset_mode is AutoresetMode.SAME_STEP:
                observation, info = self._restart(ended, observation, info)
        return observation, rewards, terminated, truncated, info

    def teacher_actions(self) -> np.ndarray:
        """(B,) int64 action along the shortest path to the goal; 0, stop, at the goal."""
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
        from envs.rendering import draw_frame

        return tuple(
            draw_frame(
                graph=self.nav_world.graphs[episode.scan],
                episode=episode,
                trajectory=trajectory,
                world=self.files.world,
            )
            for episode, trajectory in zip(
                self.current_episodes(), self.trajectories(), strict=True
            )
        )

    def rewind(self) -> None:
        """Let unshuffled episodes start again at the first one."""
        self._next_episode = 0

    def metrics(self) -> dict[str, np.ndarray]:
        """(B,) metrics of the paths walked so far, NaN where the goal is secret."""
        metrics = self._walks.metrics(np.arange(self.num_envs))
        return {name: np.where(self._walks.has_goal(), v, np.nan) for name, v in metrics.items()}

    def _seed(self, seed: int | Sequence[int | None] | None) -> None:
        if seed is None and not self.generators:
            self.generators = [seeding.np_random()[0] for _ in range(self.num_envs)]
        if seed is None:
            return
        if isinstance(seed, int | np.integer):
            super().reset(seed=int(seed))
            seed = [int(seed) + agent for agent in range(self.num_envs)]
        if len(seed) != self.num_envs:
            raise ValueError(f"{len(seed)} seeds for {self.num_envs} agents")
        old = self.generators or [None] * self.num_envs
        self.generators = [
            generator if s is None and generator else seeding.np_random(s)[0]
            for s, generator in zip(seed, old, strict=True)
        ]
        self.rewind()

    def _choose(self, agents: np.ndarray, episode_ids: Sequence[str] | None = None) -> np.ndarray:
        """(M,) numbers of the next episodes of some agents."""
        if episode_ids is not None:
            if len(episode_ids) != self.num_envs:
                raise ValueError(f"{len(episode_ids)} episode_ids for {self.num_envs} agents")
            chosen = [episode_ids[int(agent)] for agent in agents]
            numbers = [self._numbers.get(instr_id, -1) for instr_id in chosen]
            if -1 in numbers:
                unknown = chosen[numbers.index(-1)]
                raise ValueError(f"no episode {unknown!r} among the {len(self.episodes)} loaded")
            return np.array(numbers)
        count = len(self.episodes)
        if self._shuffle:
            return np.array([self.generators[agent].integers(count) for agent in agents])
        numbers = (self._next_episode + np.arange(len(agents))) % count
        self._next_episode = (self._next_episode + len(agents)) % count
        return numbers

    def _observe(self) -> dict[str, np.ndarray]:
        tokens = self._tokens[self._walks.episodes]
        return {
            "instruction": tokens,
            **self._observer.observe(self._walks.nodes, self._walks.views),
        }

    def _info(self) -> dict[str, Any]:
        walks = self._walks
        arrays = {
            "instr_id": self._texts["instr_id"][walks.episodes],
            "instruction": self._texts["instruction"][walks.episodes],
            "scan": self.nav_world.scan_names[walks.nodes],
            "viewpoint": self.nav_world.viewpoint_ids[walks.nodes],
            "distance_to_goal": walks.distances.copy(),
            "teacher_action": walks.teacher_actions(),
        }
        return _masked(arrays, np.ones(self.num_envs, dtype=bool))

    def _metrics(self, ended: np.ndarray) -> dict[str, Any]:
        """Info about the walks that have just ended, for those whose goal is known."""
        scored = ended & self._walks.has_goal()
        metrics = {}
        for name, values in self._walks.metrics(np.flatnonzero(scored)).items():
            metrics[name] = np.zeros(self.num_envs)
            metrics[name][scored] = values
        return {"metrics": _masked(metrics, scored), "_metrics": scored} if scored.any() else {}

    def _restart(
        self, ended: np.ndarray, observation: dict[str, np.ndarray], info: dict[str, Any]
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start new episodes within the step; what ended goes into the info."""
        agents = np.flatnonzero(ended)
        final = np.full(self.num_envs, None, dtype=object)
        for agent in agents:
            final[agent] = {name: np.array(array[agent]) for name, array in observation.items()}
        final_info = {
            name: ended.copy() if name.startswith("_") and name != "_metrics" else values
            for name, values in info.items()
        }
        self._walks.start(agents, self._choose(agents))
        ends = {"final_obs": final, "final_info": final_info}
        return self._observe(), {**self._info(), **_masked(ends, ended)}


def _masked(arrays: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Gymnasium's layout of vector infos: beside each array, which agents it speaks of."""
    return {**arrays, **{f"_{name}": mask.copy() for name in arrays}}


def _tokenizer(
    given: WordTokenizer | str | Path | None,
    dataset: Dataset,
    language: str | None,
    files: WorldFiles,
) -> WordTokenizer:
    if isinstance(given, WordTokenizer):
        return given
    if given is not None:
        return WordTokenizer.load(given)
    episodes = load_episodes(dataset, "train", files, language)
    return WordTokenizer.build(episode.instruction for episode in episodes)


def _nav_world(episodes: Sequence[Episode], files: WorldFiles) -> NavWorld:
    """World of the scans that the episodes visit, with the action space of the whole folder."""
    suffix = "_connectivity.json"
    graphs = {
        path.name.removesuffix(suffix): NavGraph.load(
            path.name.removesuffix(suffix), files.connectivity_dir
        )
        for path in files.connectivity_dir.glob(f"*{suffix}")
    }
    visited = [graphs[scan] for scan in sorted({episode.scan for episode in episodes})]
    return NavWorld(visited, num_actions=1 + max_neighbours(list(graphs.values())))


def _open_store(features: str | Path | None, files: WorldFiles) -> FeatureStore | None:
    if features == "none":
        return None
    if features is None and files.features is None:
        raise ValueError(
            f"world '{files.world}' comes without features: name a feature store, made with "
            "scripts/extract_features.py, or 'none' for directions only"
        )
    return FeatureStore.open(features or files.features or "")
