"""Continuous episodes of clipnav for LeRobot's EnvHub (https://huggingface.co/docs/lerobot/envhub).

A repository on Hugging Face that contains this file provides the environments to LeRobot.
"""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

SPLITS = ("val_seen", "val_unseen")


class LeRobotTask(gymnasium.Wrapper):
    """Names and types that lerobot-eval expects, those of `export-demonstrations --format lerobot`.

    The observation has the picture ahead and the position (x, y, z in metres), heading and tilt
    (radians). The action is one number, rounded to that of an action of R2R-CE: 0 stop, 1 forward,
    2 left, 3 right.
    """

    def __init__(self, split: str) -> None:
        env = gymnasium.make(
            "clipnav:R2R-CE-CLIP-v0", split=split, observe=("rgb",), render_mode="rgb_array"
        )
        super().__init__(env)
        pixels: Any = env.observation_space
        self.observation_space = gymnasium.spaces.Dict(
            {
                "pixels": gymnasium.spaces.Dict({"rgb": pixels["rgb"]}),
                "agent_pos": gymnasium.spaces.Box(-np.inf, np.inf, (5,), np.float32),
            }
        )
        self.action_space = gymnasium.spaces.Box(0.0, 3.0, (1,), np.float32)
        self.task, self.task_description = "r2r-ce", ""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        """Start an episode; options of lerobot-eval itself have no meaning here."""
        options = {key: value for key, value in (options or {}).items() if key == "episode_id"}
        observation, info = self.env.reset(seed=seed, options=options)
        self.task_description = info["instruction"]
        return self._shown(observation, info), {"is_success": False}

    def step(self, action: np.ndarray) -> Any:
        """Take the action whose number is nearest."""
        number = int(np.clip(np.rint(action[0]), 0, 3))
        observation, reward, terminated, truncated, info = self.env.step(number)
        ended = terminated or truncated
        is_success = bool(ended and info["metrics"]["success"])
        shown = self._shown(observation, info)
        return shown, reward, terminated, truncated, {"is_success": is_success}

    def _shown(self, observation: Any, info: dict[str, Any]) -> dict[str, Any]:
        pose = [*info["position"], info["heading"], info["tilt"]]
        return {
            "pixels": {"rgb": observation["rgb"]},
            "agent_pos": np.array(pose, np.float32),
        }


def make_env(
    n_envs: int = 1, use_async_envs: bool = False, cfg: object = None
) -> dict[str, dict[int, VectorEnv]]:
    """Return the vector environments of R2R-CE by suite and number of the split in `SPLITS`.

    lerobot-eval reads the success of an episode from the step in which it ends, so the next one
    must begin in the same step.
    """
    kind = AsyncVectorEnv if use_async_envs else SyncVectorEnv

    def vector(split: str) -> VectorEnv:
        makers = [lambda: LeRobotTask(split)] * n_envs
        return kind(makers, autoreset_mode=AutoresetMode.SAME_STEP)

    return {"r2r-ce": {number: vector(split) for number, split in enumerate(SPLITS)}}
