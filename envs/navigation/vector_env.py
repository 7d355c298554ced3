"""VlnVectorEnv: a batch of agents that follow instructions, computed on plain arrays."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from gymnasium import spaces
from gymnasium.vector import AutoresetMode

from clipnav.envs.base.infos import LazyInfo, batch_info, check_batch
from clipnav.envs.base.vector_env import BatchEnv
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.graphs.goal import ObjectAnswer
from clipnav.envs.graphs.nav_world import node_routes, route_moves
from clipnav.envs.navigation.objects import ObjectObserver, WorldObjects, world_objects
from clipnav.envs.navigation.observations import (
    FeatureObserver,
    IndexObserver,
    Observation,
    Observer,
)
from clipnav.envs.navigation.settings import PICTURES, RENDER_MODES, EnvSettings
from clipnav.envs.navigation.walks import Walks
from clipnav.storage.errors import UserError

DEFAULT_SETTINGS = EnvSettings()


def _make_observer(split: LoadedSplit, settings: EnvSettings, num_agents: int) -> Observer:
    world = split.nav_world
    if settings.observe in PICTURES:
        # Imported here, because other observations do not require the packages of pictures.
        from clipnav.envs.navigation.picture_observer import PictureObserver, observed_pictures

        pictures = observed_pictures(split.files, settings)
        return PictureObserver(world, pictures, settings, num_agents)
    if settings.observe == "indices":
        return IndexObserver(world)
    return FeatureObserver(world, split.store, settings.angle_feature_size, num_agents)


def split_objects(split: LoadedSplit) -> WorldObjects | None:
    """Return the objects of the viewpoints of a split; None if it was loaded without objects."""
    return None if split.objects is None else world_objects(split.nav_world, split.objects)


def _target_objects(
    split: LoadedSplit, objects: WorldObjects, episodes: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """Return the (B,) int64 index of the object to find among those at nodes (B,), -1 elsewhere.

    Args:
        episodes: (B,) index of each agent's episode.
    """
    targets = np.full(len(nodes), -1)
    for agent, (number, node) in enumerate(zip(episodes.tolist(), nodes.tolist(), strict=True)):
        goal = split.episodes[number].target
        if goal is not None:
            object_id = goal.object_at(split.nav_world.viewpoint_ids[node])
            targets[agent] = objects.index(node, object_id)
    return targets


def object_info(
    split: LoadedSplit, objects: WorldObjects | None, episodes: np.ndarray, nodes: np.ndarray
) -> dict[str, Callable[[], np.ndarray]]:
    """Return functions that compute the entries about objects of the info of B agents."""
    if objects is None:
        return {}
    return {
        "object_ids": partial(objects.ids.take, nodes, axis=0),
        "target_object": partial(_target_objects, split, objects, episodes, nodes),
    }


class VlnVectorEnv(BatchEnv):
    """Vision-and-language navigation for a batch of B agents.

    ## Description
    Each agent starts at a viewpoint of a building and follows an instruction to another viewpoint.
    It moves along the edges of the building's navigation graph and chooses where to stop. After a
    move it faces the one of the 36 views that showed the new viewpoint most directly, as in EnvDrop
    (`r2r_src/env.py`).

    ## Action Space
    `Discrete(K)` per agent: 0 stops, k moves to candidate k. An action that the mask excludes
    leaves the agent where it is. K is one more than the largest number of neighbours in the world.

    With objects (REVERIE, SOON) `Discrete(K + O)`: K + o stops and points out object o of the
    viewpoint; where `object_mask` excludes it, the stop has no answer.

    ## Observation Space
    A dictionary of arrays, which no later step overwrites (unless `copy` is False):

    * `instruction` (B, L) int32: token ids, see `tokenizer`.
    * `panorama` (B, 36, D + A) float32: feature of each view, D numbers from the store and A from
      its direction relative to the agent's heading.
    * `candidates` (B, K, D + A) float32: features of the candidate's view and of its exact
      direction; zeros for stop (row 0) and padding.
    * `action_mask` (B, K), with objects (B, K + O), int8: 1 where an action is valid.
    * `heading`, `elevation` (B, 1) float32: absolute, in radians.

    With `observe="indices"` three arrays replace `panorama` and `candidates`:

    * `viewpoint` (B,) int64: viewpoint of the agent, a node of `nav_world`.
    * `view` (B,) int64: the view 0..35 that the agent faces.
    * `candidate_view` (B, K) int32: the view of each candidate; 0 for stop and padding.

    The following pictures (uint8, RGB) replace them with `observe="rgb"`, `"rgbd"`,
    `"candidate_rgb"` or `"panorama_rgb"`. They are drawn when an agent first sees them:

    * `rgb` (B, H, W, 3): level picture at the agent's heading. "rgbd" adds `depth` (B, H, W, 1)
      float32: metres along the optical axis, at most `max_depth`, 0 if unknown.
    * `candidate_rgb` (B, K, H, W, 3): pictures centred on the candidates, with `candidate_angle`
      (B, K, 2) float32 (relative heading, absolute elevation) and `candidate_distance` (B, K)
      float32; zeros for stop and padding.
    * `panorama_rgb` (B, 36, H, W, 3): the 36 views, in the order of `panorama`.

    With objects, all but "indices" add the following arrays; O is the largest number of objects at
    a viewpoint of the file. Networks that read indices gather them with
    `clipnav.envs.navigation.objects.DeviceObjects` from `env.objects`.

    * `objects` (B, O, D') float32: features of the objects, not with pictures; zeros for padding.
    * `object_directions` (B, O, 2) float32: heading and elevation of their boxes in radians,
      relative to the view that the agent faces.
    * `object_sizes` (B, O, 3) float32: width, height and their product, as fractions of a view.
    * `object_mask` (B, O) int8: 0 for padding.

    ## Rewards
    +1 for a move that shortens the distance to the goal (along the shortest path), -1 for one that
    lengthens it, otherwise 0. Stopping gives +2 less than 3 m from the goal and -2 elsewhere.
    `reward="ndtw"` adds the gain in nDTW to each move and twice the nDTW of the path to a
    successful stop, and subtracts up to 2 from a move that starts within 1 m of the goal and leads
    away from it (CLEAR, HAMT). 0 where the goal is secret (the test splits).

    ## Starting State
    The first viewpoint of an episode's path, facing the view nearest to its heading. Agent i of an
    environment that is reset with `seed` draws the same episodes as a single environment that is
    reset with `seed + i`. `reset(options={"episode_ids": [...]})` starts given episodes, one
    `instr_id` per agent.

    ## Episode End
    Terminates at stop; truncates after `max_episode_steps` actions. Under `AutoresetMode.DISABLED`
    an agent whose episode has ended stays where it is, and `reset(options={"reset_mask": mask})`
    restarts the agents of a mask.

    ## Info
    `instr_id`, `instruction`, `scan`, `viewpoint`, `candidates` (B, K) (the viewpoint that each
    action leads to, "" for stop and padding) and `action_mask` as bool. Privileged, not for agents:
    `distance_to_goal` (metres, NaN where the goal is secret), `teacher_action` (0 where the
    goal is secret) and, for agents whose episode has just ended, `metrics`: arrays named as in
    `clipnav.envs.metrics.score_path`. With objects also `object_ids` (B, O), "" for padding, and,
    privileged, `target_object` (B,): index of the object to find, -1 where no viewpoint of the goal
    is.

    ## Arguments
    `gymnasium.make_vec("R2R-CLIP-v0", num_envs=64, split="val_unseen")` takes:

    * `num_envs` (1): number of agents B.
    * `dataset`: "r2r", "rxr", "r4r", ...; the registered id sets it, and refuses the other ones.
    * `split` ("train"): "train", "val_seen", "val_unseen", ...
    * `world` ("houses"): "houses", "houses-standard" or "matterport".
    * `data_dir` (None): data folder of the world "matterport", or folder of other episodes in the
      houses, see `clipnav.envs.worlds.world_files`.
    * `features` (None): path of a feature store, an open store, or arrays in memory, see
      `WorldFiles.open_features`; None for the store of the world, "none" for D = 0.
    * `objects` (None): file of objects, or an open one, see `load_split`; None for that of the
      dataset, "none" for no objects.
    * `language` (None): only language to load, such as "en".
    * `tokenizer` (None): tokenizer or vocabulary file; None builds it from the training split.
    * `max_instruction_length` (None): L; None for 80 (R2R) or 160 (RxR, R4R).
    * `exchanged_words` (None): seed of an ablation that exchanges instructions between paths.
    * `max_episode_steps` (None): actions before truncation; None for 20 (R2R) or 35 (RxR, R4R).
    * `angle_feature_size` (128): A, a multiple of 4.
    * `shuffle` (True): draw episodes at random instead of in the order of the file.
    * `autoreset_mode` ("NextStep"): see Gymnasium.
    * `render_mode` (None): None or "rgb_array".
    * `teacher` ("shortest"): "shortest" or "reference", see `EnvSettings`.
    * `reward` ("distance"): "distance" or "ndtw".
    * `observe` ("features"): "features", "indices", "rgb", "rgbd", "candidate_rgb" or
      "panorama_rgb".
    * `image_size` (224): height and width of a picture in pixels, or one number for both.
    * `field_of_view` (60.0): vertical field of view of a picture in degrees.
    * `max_depth` (10.0): depth in metres at which "rgbd" is clipped.
    * `geometry` ("exact"): direction of "candidate_rgb", "exact" or "matterport" for the nearest of
      the 36 views.
    * `pictures` ("world"): "world", "habitat" or a source of panoramas, see `EnvSettings`.
    * `scan_dir` (None): folder of Matterport3D's skyboxes, or of the 3D models of "habitat".
    * `copy` (True): return new arrays at each step.

    ## Registered Configurations
    `R2R-CLIP-v0`, `RxR-CLIP-v0` and `R4R-CLIP-v0`, which differ in `dataset`.

    ## Version History
    * v0: initial version.
    """

    metadata: ClassVar[dict[str, Any]] = {
        "render_modes": [*RENDER_MODES],
        "render_fps": 2,
        "autoreset_mode": AutoresetMode.NEXT_STEP,
    }

    def __init__(
        self,
        split: LoadedSplit,
        num_envs: int = 1,
        settings: EnvSettings = DEFAULT_SETTINGS,
        autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    ) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes, graphs, tokenizer and features, see
                `clipnav.envs.episodes.splits.load_split`.
            num_envs: Number of agents B.
            settings: How the environment behaves.
            autoreset_mode: What happens after the end of an episode, see Gymnasium.

        Raises:
            UserError: The arguments do not fit each other.
            UnknownNameError: The feature store lacks a viewpoint.
        """
        limit = settings.max_episode_steps or dataset_spec(split.dataset).max_episode_steps
        super().__init__(
            num_envs, autoreset_mode, split.instr_ids.tolist(), settings.shuffle, limit
        )
        self.split, self.settings = split, settings
        self.files, self.episodes, self.tokenizer = split.files, split.episodes, split.tokenizer
        self.nav_world, self.feature_store = split.nav_world, split.store
        self.angle_feature_size, self.teacher = settings.angle_feature_size, settings.teacher
        self.render_mode = settings.render_mode
        self._walks = Walks(
            split.nav_world, split.episodes, self.num_envs, settings.teacher, settings.reward
        )
        self._observer = _make_observer(split, settings, self.num_envs)
        length, self._tokens = split.tokens.shape[1], split.tokens
        words = spaces.Box(0, len(split.tokenizer) - 1, (length,), np.int32)
        self.objects, self._object_observer = split_objects(split), None
        self._valid = self.nav_world.mask if self.objects is None else self.objects.valid  # (V, A)
        num_actions = self._valid.shape[1]
        mask = spaces.MultiBinary(num_actions)
        own = {"instruction": words, "action_mask": mask, **self._observer.space()}
        self._arrays = {
            name: ((self.num_envs, *(space.shape or ())), space.dtype)
            for name, space in own.items()
        }
        self._kept = None if settings.copy else self._buffers()
        if self.objects is not None and settings.observe != "indices":
            self._object_observer = ObjectObserver(self.objects, settings.observe == "features")
            own |= self._object_observer.space()
        self._pointed = np.full(self.num_envs, -1)  # (B,) index of the object that is pointed out
        self._set_spaces(num_actions, spaces.Dict(own))

    @property
    def valid(self) -> np.ndarray:
        """(V, A) bool, whether each action is valid at each viewpoint."""
        return self._valid.view(bool)

    @property
    def walks(self) -> Walks:
        """State of the agents."""
        return self._walks

    def over(self, episodes: Sequence[Episode]) -> "VlnVectorEnv":
        """Return an environment with the same settings over other episodes of the same world."""
        split = replace(self.split, episodes=episodes)
        return VlnVectorEnv(split, self.num_envs, self.settings, self.autoreset_mode)

    def follow(
        self, routes: np.ndarray, stop: np.ndarray, objects: np.ndarray | None = None
    ) -> tuple[Observation, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Move each agent along a route, then stop some of them; return the same as `step`.

        Each viewpoint of a route counts as a step. The rewards of an agent's steps are added.

        Args:
            routes: (B, H) nodes, each a neighbour of the one before, padded with -1 at the end.
            stop: (B,) bool, agents that stop after their route.
            objects: (B,) integers, index of the object that an agent that stops points out at the
                end of its route, -1 for none; None if all answer nothing.

        Raises:
            UserError: The arrays have other shapes, a route leaves the edges of the graph, or the
                environment has autoreset.
        """
        self._check_reset("reset the environment before the first step")
        check_batch(self)
        walks = self._walks
        routes, stop = node_routes(routes, self.num_envs), np.asarray(stop)
        if stop.shape != (self.num_envs,):
            raise UserError(f"stop must be {self.num_envs} bools, not {stop!r}")
        moves = route_moves(self.nav_world, walks.nodes, routes)
        stopping = stop & ~(walks.terminated | walks.truncated)
        rewards = walks.follow(moves, stop, self.max_episode_steps)
        if objects is not None:
            objects = np.asarray(objects)
            most = 0 if self.objects is None else self.objects.most
            fits = objects.shape == (self.num_envs,) and objects.dtype.kind in "iu"
            if not fits or (objects < -1).any() or (objects >= most).any():
                raise UserError(f"objects must be {self.num_envs} integers in -1..{most - 1}")
            self._point_out(stopping & walks.terminated, objects.astype(np.int64))
        observation, info = self._observe(), self._info()
        self._add_metrics(info, np.flatnonzero(walks.ended_now))
        return observation, rewards, walks.terminated.copy(), walks.truncated.copy(), info

    def teacher_actions(self) -> np.ndarray:
        """Return the (B,) int64 actions of the teacher; 0 (stop) at the end of the path.

        Raises:
            ResetNeeded: The environment has not been reset.
        """
        self._check_reset("reset the environment before asking for the teacher's actions")
        return self._walks.teacher_actions()

    def action_masks(self) -> np.ndarray:
        """Return (B, A) bool, True where an action is valid, for algorithms that mask actions.

        Raises:
            ResetNeeded: The environment has not been reset.
        """
        self._check_reset("reset the environment before asking for action masks")
        return self.valid.take(self._walks.nodes, axis=0)

    def answers(self) -> list[ObjectAnswer | None]:
        """Return the object that each agent has pointed out when it stopped, None for none."""
        if self.objects is None:
            return [None] * self.num_envs
        pairs = zip(self._walks.nodes.tolist(), self._pointed.tolist(), strict=True)
        return [self.objects.answer(node, index) for node, index in pairs]

    def paths(self) -> list[list[str]]:
        """Return the viewpoints that each agent has visited, including the start."""
        return [[step[0] for step in trajectory] for trajectory in self.trajectories()]

    def trajectories(self) -> list[list[tuple[str, float, float]]]:
        """Return `paths` with heading and elevation in radians, for submission files."""
        return [self._walks.trajectory(agent) for agent in range(self.num_envs)]

    def current_episodes(self) -> list[Episode]:
        """Return the episode of each agent."""
        return [self.episodes[number] for number in self._walks.episodes]

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Return one (H, W, 3) uint8 RGB frame per agent, or None without a render mode."""
        if self.render_mode is None:
            return None
        self._check_reset("reset the environment before rendering it")
        from clipnav.envs.navigation.rendering import draw_frames

        episodes, graphs = self.current_episodes(), self.nav_world.graphs
        folder = self.settings.scan_dir if self.settings.pictures == "world" else None
        skyboxes = None if folder is None else Path(folder)
        ended = self._walks.terminated | self._walks.truncated
        return draw_frames(graphs, episodes, self.trajectories(), ended, self.files, skyboxes)

    def metrics(self) -> dict[str, np.ndarray]:
        """Return (B,) metrics of the paths so far, NaN where the goal is secret.

        Raises:
            ResetNeeded: The environment has not been reset.
        """
        self._check_reset("reset the environment before asking for metrics")
        metrics = self._walks.metrics(np.arange(self.num_envs))
        return {name: np.where(self._walks.has_goal, v, np.nan) for name, v in metrics.items()}

    def _start(self, agents: np.ndarray, episodes: np.ndarray) -> None:
        self._walks.start(agents, episodes)
        self._pointed[agents] = -1

    def _act(self, actions: np.ndarray) -> np.ndarray:
        if self.objects is None:
            return self._walks.step(actions, self.max_episode_steps)
        objects = actions.astype(np.int64) - self.nav_world.num_actions
        is_pointing = objects >= 0
        active = is_pointing & ~(self._walks.terminated | self._walks.truncated)
        rewards = self._walks.step(np.where(is_pointing, 0, actions), self.max_episode_steps)
        self._point_out(active, objects)
        return rewards

    def _point_out(self, agents: np.ndarray, objects: np.ndarray) -> None:
        """Store the objects (B,) that the agents of a mask (B,) have pointed out."""
        self._pointed = np.where(agents, objects, self._pointed)

    def _observe(self) -> Observation:
        walks = self._walks
        observation = self._buffers() if self._kept is None else self._kept
        words = observation["instruction"]
        self._tokens.take(walks.episodes, axis=0, out=words, mode="clip")
        self._valid.take(walks.nodes, axis=0, out=observation["action_mask"], mode="clip")
        self._observer.observe(walks.nodes, walks.views, observation)
        if self._object_observer is not None:
            observation |= self._object_observer.observe(walks.nodes, walks.views)
        return observation

    def _buffers(self) -> Observation:
        return {name: np.empty(shape, dtype) for name, (shape, dtype) in self._arrays.items()}

    def _info(self) -> LazyInfo:
        split, world, walks = self.split, self.nav_world, self._walks
        nodes, episodes = walks.nodes.copy(), walks.episodes.copy()
        numbers = {
            "distance_to_goal": walks.distances.copy(),
            "teacher_action": walks.teacher_actions(),
        }
        makers = {
            **split.lazy_names(episodes, nodes),
            "candidates": lambda: world.candidate_ids.take(nodes, axis=0),
            "action_mask": partial(self.valid.take, nodes, axis=0),
            **object_info(split, self.objects, episodes, nodes),
        }
        return batch_info(numbers, makers, len(nodes))

    def _metrics_of(self, agents: np.ndarray) -> Callable[[], dict[str, np.ndarray]]:
        return partial(self._walks.score, self._walks.record(agents))
