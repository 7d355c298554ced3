"""Vision-and-language navigation environments; importing this package registers them.

Gymnasium 1.0 and later load no plugins, so an id is known only after this import, or with the
package in the id: `gymnasium.make("clipnav:R2R-CLIP-v0")`.

`gymnasium.make` builds an environment with one agent (`clipnav.envs.navigation.vln_env.VlnEnv`)
for the ids `R2R-CLIP-v0`, `RxR-CLIP-v0` and `R4R-CLIP-v0`, and `gymnasium.make_vec` an environment
with a batch of agents (`clipnav.envs.navigation.vector_env.VlnVectorEnv`). `R2R-CE-CLIP-v0` and
`RxR-CE-CLIP-v0` are the same tasks without a navigation graph
(`clipnav.envs.continuous.environments`).
"""

import gymnasium
import lazy_loader
from gymnasium import make, make_vec  # noqa: F401

from clipnav.envs.registered_ids import CONTINUOUS_IDS, GRAPH_IDS
from clipnav.envs.worlds import MAX_EPISODE_STEPS

# MatterSim is imported on first access.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["mattersim"])

MAX_CONTINUOUS_STEPS = 500  # VLN-CE's limit


def register_ids() -> None:
    """Register the environments with Gymnasium, except ids that are registered already."""
    for dataset, env_id in GRAPH_IDS.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="clipnav.envs.navigation.making:make_vln_env",
                vector_entry_point="clipnav.envs.navigation.making:make_vln_vector_env",
                max_episode_steps=MAX_EPISODE_STEPS[dataset],
                kwargs={"env_id": env_id},
            )
    for env_id in CONTINUOUS_IDS.values():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point="clipnav.envs.continuous.environments.making:make_continuous_env",
                vector_entry_point=(
                    "clipnav.envs.continuous.environments.making:make_continuous_vector_env"
                ),
                max_episode_steps=MAX_CONTINUOUS_STEPS,
                kwargs={"env_id": env_id},
            )


register_ids()
