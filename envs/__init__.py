"""Vision-and-language navigation environments; importing this package registers them.

Gymnasium 1.0 and later load no plugins, so an id is known only after this import, or with the
package in the id: `gymnasium.make("clipnav:R2R-CLIP-v0")`.

`gymnasium.make` builds an environment with one agent (`clipnav.envs.navigation.vln_env.VlnEnv`)
for the ids `R2R-CLIP-v0`, `RxR-CLIP-v0` and `R4R-CLIP-v0`, and `gymnasium.make_vec` an environment
with a batch of agents (`clipnav.envs.navigation.vector_env.VlnVectorEnv`). `R2R-CE-CLIP-v0` and
`RxR-CE-CLIP-v0` are the same tasks without a navigation graph
(`clipnav.envs.continuous.environments`). Other datasets have ids too, see `clipnav.envs.datasets`.
"""

import lazy_loader
from gymnasium import make, make_vec  # noqa: F401

from clipnav.envs.datasets import register_ids

# MatterSim is imported on first access.
__getattr__, __dir__, _ = lazy_loader.attach(__name__, submodules=["mattersim"])

register_ids()
