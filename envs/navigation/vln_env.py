"""VlnEnv: one agent that follows an instruction, and factories for `gymnasium.make`.

The factories take plain keyword arguments; code that already has a loaded split calls
`VlnVectorEnv` or `VlnEnv` directly.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from typing import Any, ClassVar

import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.envs.arguments import check_argument_names
from clipnav.envs.base.infos import LazyInfo, only_value
from clipnav.envs.base.vector_env import SingleAgentEnv
from clipnav.envs.datasets import with_dataset_of_id
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.splits import LoadedSplit, load_split
from clipnav.envs.navigation.settings import PICTURES, RENDER_MODES, EnvSettings
from clipnav.envs.navigation.vector_env import DEFAULT_SETTINGS, VlnVectorEnv, object_info
from clipnav.storage.errors import UserError

_OF_SPLIT = tuple(inspect.signature(load_split).parameters)
_OF_SETTINGS = tuple(field.name for field in fields(EnvSettings))
_ONLY = np.zeros(1, dtype=np.int64)  # the agents of a batch of one


class VlnEnv(SingleAgentEnv):
    """Vision-and-language navigation for one agent: a `VlnVectorEnv` of size one.

    ## Description
    The agent starts at a viewpoint of a building and follows an instruction to another viewpoint,
    along the edges of the building's navigation graph. `VlnVectorEnv` gives more detail.

    ## Action Space
    `Discrete(K)`: 0 stops, k moves to candidate k. An action that `action_mask` excludes leaves the
    agent where it is. With objects (REVERIE, SOON) `Discrete(K + O)`: K + o stops and points out
    object o of the viewpoint.

    ## Observation Space
    `Dict` with `instruction` (L,), `panorama` (36, D + A), `candidates` (K, D + A), `action_mask`
    (K,), with objects (K + O,), `heading` (1,) and `elevation` (1,). With `observe="indices"`, the
    integers `viewpoint` and `view` and `candidate_view` (K,) replace `panorama` and `candidates`;
    with `observe="rgb"`, `"rgbd"`, `"candidate_rgb"` or `"panorama_rgb"` the pictures `rgb` (H, W,
    3), `rgb` and `depth` (H, W, 1), `candidate_rgb` (K, H, W, 3) with `candidate_angle` (K, 2) and
    `candidate_distance` (K,), or `panorama_rgb` (36, H, W, 3) do. With objects `objects` (O, D'),
    `object_directions` (O, 2), `object_sizes` (O, 3) and `object_mask` (O,) are added.

    ## Rewards
    +1 for a move that shortens the distance to the goal, -1 for one that lengthens it, otherwise 0.
    Stopping gives +2 less than 3 m from the goal and -2 elsewhere. `reward="ndtw"` adds the gain in
    nDTW to each move and twice the nDTW of the path to a successful stop, and subtracts up to 2
    from a move that starts within 1 m of the goal and leads away from it (CLEAR, HAMT).

    ## Starting State
    The first viewpoint of an episode's path, facing the view nearest to its heading.
    `reset(options={"episode_id": "2390_1"})` starts the episode with that `instr_id`.

    ## Episode End
    Terminates at stop. Truncates after `max_episode_steps` actions; in an environment from
    `gymnasium.make` the TimeLimit wrapper truncates, which takes the same argument.

    ## Info
    `instr_id`, `instruction`, `scan`, `viewpoint`, `candidates` (K,) (the viewpoint that each
    action leads to, "" for stop and padding) and `action_mask` as bool. Privileged, not for
    agents: `distance_to_goal`, `teacher_action`, and at every step `metrics` of the path so far
    (unless the goal is secret). With objects also `object_ids` (O,) and, privileged,
    `target_object`, the index of the object to find or -1.

    ## Arguments
    `gymnasium.make("R2R-CLIP-v0", split="val_unseen")` takes:

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
    * `render_mode` (None): None, "rgb_array", or "human" for a window, which requires the extra
      "window".
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

    The class itself takes the split and the settings as objects, see `__init__`.

    ## Registered Configurations
    `R2R-CLIP-v0`, `RxR-CLIP-v0` and `R4R-CLIP-v0`, which differ in `dataset`.

    ## Version History
    * v0: initial version.
    """

    core: VlnVectorEnv
    metadata: ClassVar[dict[str, Any]] = {"render_modes": [*RENDER_MODES], "render_fps": 2}

    def __init__(self, split: LoadedSplit, settings: EnvSettings = DEFAULT_SETTINGS) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes, graphs, tokenizer and features, see
                `clipnav.envs.episodes.splits.load_split`.
            settings: How the environment behaves.

        Raises:
            UserError, UnknownNameError: As for `VlnVectorEnv`.
        """
        super().__init__(VlnVectorEnv(split, 1, settings, AutoresetMode.DISABLED))

    @property
    def episode(self) -> Episode:
        """The current episode."""
        return self.core.current_episodes()[0]

    def _info(self) -> LazyInfo:
        split, world, walks = self.core.split, self.core.nav_world, self.core.walks
        node, episode = walks.nodes.item(), walks.episodes.item()
        makers: dict[str, Callable[[], Any]] = {
            "instr_id": partial(split.instr_ids.item, episode),
            "instruction": partial(split.instructions.item, episode),
            "scan": partial(world.scan_names.item, node),
            "viewpoint": partial(world.viewpoint_ids.item, node),
            "candidates": lambda: world.candidate_ids.take(node, axis=0),
            "action_mask": partial(self.core.valid.take, node, axis=0),
        }
        about = object_info(split, self.core.objects, walks.episodes.copy(), walks.nodes.copy())
        makers |= {name: partial(only_value, make) for name, make in about.items()}
        if walks.has_goal[0]:
            score = partial(walks.score, walks.record(_ONLY))
            makers["metrics"] = lambda: {name: values.item() for name, values in score().items()}
        numbers = {
            "distance_to_goal": walks.distances.item(),
            "teacher_action": walks.teacher_actions().item(),
        }
        return LazyInfo(numbers, makers)


def make_vln_env(own_dataset: str | None = None, **arguments: Any) -> VlnEnv:
    """Load a split and build an environment with one agent."""
    return VlnEnv(*_load("VlnEnv", own_dataset, arguments))


def make_vln_vector_env(
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    own_dataset: str | None = None,
    **arguments: Any,
) -> VlnVectorEnv:
    """Load a split and build an environment with a batch of agents."""
    split, settings = _load("VlnVectorEnv", own_dataset, arguments)
    return VlnVectorEnv(split, num_envs, settings, autoreset_mode)


# gymnasium.make reads here which render modes it can wrap ("human", "rgb_array_list").
make_vln_env.metadata = VlnEnv.metadata  # type: ignore[attr-defined]


def _load(
    env: str, own_dataset: str | None, arguments: dict[str, Any]
) -> tuple[LoadedSplit, EnvSettings]:
    """Sort arguments into those of the split and those of the settings, and load the split."""
    arguments = with_dataset_of_id(arguments, own_dataset)
    check_argument_names(env, arguments, (*_OF_SPLIT, *_OF_SETTINGS))
    own = {name: value for name, value in arguments.items() if name in _OF_SETTINGS}
    settings = EnvSettings(**own)
    of_split = {name: value for name, value in arguments.items() if name not in own}
    if settings.observe in PICTURES:
        features = of_split.get("features")
        if not (features is None or (isinstance(features, str) and features == "none")):
            raise UserError(
                f"features has no effect with observe={settings.observe!r}, because pictures "
                "replace features; leave it out"
            )
        of_split["features"] = "none"
    split = load_split(**of_split)
    return split, settings
