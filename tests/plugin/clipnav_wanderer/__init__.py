"""Rows for the tables of clipnav, as the author of another package would write them."""

from clipnav import AgentSpec

WANDERER = AgentSpec(
    name="wanderer",
    label="wanderer",
    settings="clipnav_wanderer.settings:WandererConfig",
    defaults="clipnav_wanderer.settings:defaults",
    learner="clipnav_wanderer.agent:WandererLearner",
    load="clipnav_wanderer.agent:load",
)
