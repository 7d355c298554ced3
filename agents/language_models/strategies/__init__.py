"""Strategies: functions from an observation to a prompt.

Write one of your own as in docs/tutorials/own_prompt.md.
"""

from collections.abc import Callable

from clipnav.agents.language_models.prompts.messages import Prompt
from clipnav.agents.language_models.prompts.observations import Observation
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.strategies.mapgpt import mapgpt_prompt
from clipnav.agents.language_models.strategies.navgpt import Describe, NavGptPrompt
from clipnav.agents.language_models.strategies.plain import plain_prompt
from clipnav.storage.errors import UserError


def make_strategy(
    config: PromptConfig, describe: Describe | None = None
) -> Callable[[Observation], Prompt]:
    """Return the strategy of settings.

    Args:
        config: Settings.
        describe: Function that describes views in words; navgpt requires it.

    Raises:
        UserError: navgpt has no descriptions.
    """
    if config.strategy == "navgpt":
        if describe is None:
            raise UserError("--strategy navgpt requires descriptions of views")
        return NavGptPrompt(describe)
    return {"plain": plain_prompt, "mapgpt": mapgpt_prompt}[config.strategy]
