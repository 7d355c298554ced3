"""ContinuousEnv: one agent that follows an instruction without a navigation graph."""

from functools import partial
from typing import Any, ClassVar

from gymnasium.vector import AutoresetMode

from clipnav.envs.base.infos import LazyInfo, only_agent_info
from clipnav.envs.base.vector_env import SingleAgentEnv
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousEpisode, ContinuousSplit
from clipnav.envs.continuous.sensors import ImageEncoder
from clipnav.envs.continuous.settings import RENDER_MODES, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator


class ContinuousEnv(SingleAgentEnv):
    """Vision-and-language navigation in continuous space: a `ContinuousVectorEnv` of size one.

    ## Description
    The agent stands on the floor of a building and follows an instruction to another place by short
    steps and turns, as in VLN-CE. `ContinuousVectorEnv` gives more detail.

    ## Action Space
    `Discrete(4)`: 0 stop, 1 move forward, 2 turn left, 3 turn right. With `tilt_actions` (RxR-CE)
    `Discrete(6)`: 4 look up, 5 look down.

    ## Observation Space
    `Dict` with `instruction` (L,) and the sensors of `observe`, by default `rgb` (H, W, 3) uint8
    and `depth` (H, W, 1) float32.

    ## Rewards
    Metres by which the geodesic distance to the goal decreases, minus 0.05 per action, plus 2.5 for
    a stop less than 3 m from the goal; see `reward` in `ContinuousSettings`.

    ## Starting State
    The start position and heading of an episode. `reset(options={"episode_id": "26000_0"})` starts
    the episode with that `instr_id` or `episode_id`.

    ## Episode End
    Terminates at stop. Truncates after `max_episode_steps` actions; in an environment from
    `gymnasium.make` the TimeLimit wrapper truncates, which takes the same argument.

    ## Info
    As in `ContinuousVectorEnv` for one agent; `metrics` of the walk so far is always present unless
    the goal is secret. Entries are computed when they are read.

    ## Arguments
    `gymnasium.make("R2R-CE-CLIP-v0", split="val_unseen")` takes the arguments of
    `clipnav.envs.continuous.environments.making.make_continuous_env` and every field of
    `clipnav.envs.continuous.settings.ContinuousSettings`.

    ## Registered Configurations
    `R2R-CE-CLIP-v0` and `RxR-CE-CLIP-v0`.

    ## Version History
    * v0: initial version.
    """

    core: ContinuousVectorEnv
    metadata: ClassVar[dict[str, Any]] = {"render_modes": [*RENDER_MODES], "render_fps": 4}

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: ContinuousSimulator,
        settings: ContinuousSettings | None = None,
        encoder: ImageEncoder | None = None,
    ) -> None:
        """Build an environment over a loaded split.

        Args:
            split: Episodes and tokenizer, see
                `clipnav.envs.continuous.episodes.load_continuous_split`.
            simulator: Floors and cameras, with the same settings.
            settings: The task; None for that of the split's dataset.
            encoder: Encoder of the sensors "clip" and "clip_panorama".

        Raises:
            UserError: The arguments do not fit each other.
        """
        core = ContinuousVectorEnv(split, simulator, 1, settings, AutoresetMode.DISABLED, encoder)
        super().__init__(core)

    def metrics(self) -> dict[str, float]:
        """Return the measures of the walk so far; empty where the goal is secret."""
        return self.core.metrics()[0]

    def _info(self) -> LazyInfo:
        record = self.core.record(0)
        metrics = None if record is None else partial(self.core.experts.measure, *record)
        return only_agent_info(self.core._info(), metrics)

    @property
    def episode(self) -> ContinuousEpisode:
        """The current episode."""
        return self.core.current_episodes()[0]
