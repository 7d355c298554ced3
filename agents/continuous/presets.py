"""Published settings of continuous agents (VLN-CE 729d141, `vlnce_baselines/config`)."""

from dataclasses import replace

from clipnav.agents.continuous.settings import (
    ContinuousNetworkConfig,
    ContinuousRecipe,
    ContinuousTrainConfig,
)
from clipnav.envs.worlds import World
from clipnav.training.optimiser_settings import OptimiserConfig

# R2R-CE's training episodes, and episodes per batch; each batch is one update.
PUBLISHED_EPISODES, PUBLISHED_BATCH = 10_819, 5
PUBLISHED_ROUNDS, PUBLISHED_ROUND_EPISODES, PUBLISHED_ROUND_EPOCHS = 10, 5_000, 4
PUBLISHED_EPOCHS = {"seq2seq": 15, "cma": 45}
RXR_INFLECTION_WEIGHT = 1.9
PUBLISHED_NETWORK = ContinuousNetworkConfig(
    text_size=128,
    rgb_size=256,
    depth_size=128,
    depth_channels=128,
    state_size=512,
    position_size=64,
)


def continuous_defaults(
    dataset: str = "r2r", world: World = "houses", recipe: ContinuousRecipe | None = None
) -> ContinuousTrainConfig:
    """Return the default settings of a task and world.

    Args:
        dataset: "r2r" or "rxr".
        world: Set of houses.
        recipe: Published settings; None for a short training of a small CMA by DAgger on a CPU.
    """
    weight = RXR_INFLECTION_WEIGHT if dataset == "rxr" else 3.2
    config = ContinuousTrainConfig(
        dataset="rxr" if dataset == "rxr" else "r2r", world=world, inflection_weight=weight
    )
    if recipe is None:
        return config
    kind = "seq2seq" if recipe.startswith("seq2seq") else "cma"
    config = replace(
        config,
        preset=recipe,
        teacher="goal",
        rounds=1,
        episodes_per_round=None,
        evaluate_every=500,
        evaluation_episodes=None,
        results_episodes=None,
        select_by="val_unseen",
        network=replace(PUBLISHED_NETWORK, kind=kind, progress_monitor="-pm" in recipe),
        optimiser=OptimiserConfig(name="adam", learning_rate=2.5e-4),
    )
    if recipe.endswith("-dagger"):
        updates = PUBLISHED_ROUND_EPOCHS * PUBLISHED_ROUND_EPISODES // PUBLISHED_BATCH
        return replace(
            config,
            rounds=PUBLISHED_ROUNDS,
            episodes_per_round=PUBLISHED_ROUND_EPISODES,
            iterations=updates * PUBLISHED_ROUNDS * (PUBLISHED_ROUNDS + 1) // 2,
        )
    epochs = PUBLISHED_EPOCHS[kind]
    return replace(config, iterations=epochs * -(-PUBLISHED_EPISODES // PUBLISHED_BATCH))
