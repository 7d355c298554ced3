"""Vision-and-language navigation environments; importing this package registers them.

`R2R-CLIP-v0`, `RxR-CLIP-v0` and `R4R-CLIP-v0` are for `gymnasium.make` (one agent,
`envs.vln_env.VlnEnv`) and for `gymnasium.make_vec` (many at once, `envs.vector_env.VlnVectorEnv`).
"""

import gymnasium

# Environment id: dataset, and actions before an episode is cut off.
_ENVIRONMENTS = {
    "R2R-CLIP-v0": ("r2r", 20),
    "RxR-CLIP-v0": ("rxr", 35),
    "R4R-CLIP-v0": ("r4r", 35),
}

for _id, (_dataset, _max_episode_steps) in _ENVIRONMENTS.items():
    if _id not in gymnasium.registry:
        gymnasium.register(
            id=_id,
            entry_point="envs.vln_env:VlnEnv",
            vector_entry_point="envs.vector_env:VlnVectorEnv",
            max_episode_steps=_max_episode_steps,
            kwargs={"dataset": _dataset},
        )
