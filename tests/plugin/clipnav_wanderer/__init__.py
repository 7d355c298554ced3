"""Rows for the tables of clipnav, as the author of another package would write them."""

from clipnav import AgentSpec, DatasetSpec

WANDERER = AgentSpec(
    name="wanderer",
    label="wanderer",
    settings="clipnav_wanderer.settings:WandererConfig",
    defaults="clipnav_wanderer.settings:defaults",
    learner="clipnav_wanderer.agent:WandererLearner",
    load="clipnav_wanderer.agent:load",
)
# The paths of R2R under another name; files of its own would stand there by absolute paths.
STROLL = DatasetSpec("stroll", ("r2r/R2R_{}.json",), ("R2R_{}.json",))
