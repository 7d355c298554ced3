"""Runs of trained agents that a model is compared with."""

from dataclasses import replace
from pathlib import Path

from clipnav.agents.language_models.settings import EvaluateVlmConfig
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.agents.settings.evaluation import BASELINES
from clipnav.storage.errors import UserError, short_names
from clipnav.training.checkpoints import model_metadata

ComparedRun = tuple[Path, AgentConfig]  # folder and settings


def compared_runs(config: EvaluateVlmConfig) -> dict[str, ComparedRun]:
    """Return folder and settings of the runs to compare with, by the name of their row.

    Raises:
        FileNotFoundError: A run does not exist, or has no weights.
        UserError: A run is of another dataset or world, does not read all languages of the
            evaluation, or has the name of another row.
    """
    runs = {}
    for run, name in short_names(config.runs).items():
        settings = replace(read_agent_config(run), device=config.device)
        model_metadata(run)
        own = (config.dataset, config.world)
        if (settings.dataset, settings.world) != own:
            raise UserError(
                f"--runs {run}: trained on {settings.dataset} in {settings.world}, but the "
                f"evaluation is on {config.dataset} in {config.world}; name another run"
            )
        language, wanted = settings.instruction_language, config.instruction_language
        if language not in (None, wanted):
            raise UserError(
                f"--runs {run}: reads --instruction-language {language} only, but the evaluation "
                f"has {wanted or 'all languages'}; add --instruction-language {language}, or name "
                "another run"
            )
        if name in (config.model_name, *BASELINES):
            raise UserError(f"--runs {run}: {name} is the name of another row; rename the folder")
        runs[name] = run, settings
    return runs
