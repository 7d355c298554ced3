"""clipnav: vision-and-language navigation through CLIP.

Importing this package registers `R2R-CLIP-v0`, `RxR-CLIP-v0`, `R4R-CLIP-v0`, `R2R-CE-CLIP-v0` and
`RxR-CE-CLIP-v0` with Gymnasium.
`__all__` lists the public names; each of them is imported on first access. Everything else in the
packages of clipnav may change between versions.
"""

import importlib
from typing import TYPE_CHECKING, Any

from clipnav.errors import end_commands_on_signals
from clipnav.shadowing import check_packages

end_commands_on_signals()
check_packages()
importlib.import_module("envs")  # registers the ids; not an import statement, as the check is first

if TYPE_CHECKING:
    from gymnasium import make, make_vec

    from clipnav.agents.acting.evaluation import Evaluation, evaluate
    from clipnav.agents.acting.rollout import Agent, RolloutResult, walk
    from clipnav.agents.experiments.runs import load_run
    from clipnav.agents.language_models.evaluation.evaluating import evaluate_vlm
    from clipnav.agents.language_models.prompts.messages import Message
    from clipnav.agents.settings.language_models import EvaluateVlmConfig, PromptConfig
    from clipnav.encoders.clip import ClipEncoder
    from clipnav.encoders.explanations import explain, text_score
    from clipnav.encoders.extraction.world_features import WorldViews
    from clipnav.envs.continuous.environments.single_env import ContinuousEnv
    from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
    from clipnav.envs.continuous.episodes import load_continuous_split
    from clipnav.envs.continuous.files.submissions import (
        write_r2r_ce_submission,
        write_rxr_ce_submission,
    )
    from clipnav.envs.continuous.measures import measure_walk
    from clipnav.envs.continuous.settings import ContinuousSettings
    from clipnav.envs.episodes.episode import Episode
    from clipnav.envs.episodes.splits import load_split
    from clipnav.envs.graphs.nav_graph import NavGraph
    from clipnav.envs.metrics import score_path, score_paths, summarise
    from clipnav.envs.navigation.settings import EnvSettings
    from clipnav.envs.navigation.vector_env import VlnVectorEnv
    from clipnav.envs.navigation.vln_env import VlnEnv
    from clipnav.envs.submissions.files import write_r2r_submission, write_rxr_submission
    from clipnav.envs.submissions.ground_truth import ScoringRules
    from clipnav.envs.submissions.scores import score_submission
    from clipnav.envs.tokenizers import load_tokenizer
    from clipnav.envs.worlds import world_files
    from clipnav.storage.errors import UnknownNameError, UserError
    from clipnav.storage.features.opening import open_store
    from clipnav.storage.features.store import FeatureStore
    from clipnav.viewer.trace import Trace, read_traces, record
    from clipnav.vl_tasks.vqa.answering import answer_questions

# Public names by the module that defines them.
_PUBLIC: dict[str, tuple[str, ...]] = {
    "gymnasium": ("make", "make_vec"),
    "clipnav.agents.acting.evaluation": ("Evaluation", "evaluate"),
    "clipnav.agents.acting.rollout": ("Agent", "RolloutResult", "walk"),
    "clipnav.agents.experiments.runs": ("load_run",),
    "clipnav.agents.language_models.evaluation.evaluating": ("evaluate_vlm",),
    "clipnav.agents.language_models.prompts.messages": ("Message",),
    "clipnav.agents.settings.language_models": ("EvaluateVlmConfig", "PromptConfig"),
    "clipnav.encoders.clip": ("ClipEncoder",),
    "clipnav.encoders.explanations": ("explain", "text_score"),
    "clipnav.encoders.extraction.world_features": ("WorldViews",),
    "clipnav.envs.continuous.environments.single_env": ("ContinuousEnv",),
    "clipnav.envs.continuous.environments.vector_env": ("ContinuousVectorEnv",),
    "clipnav.envs.continuous.episodes": ("load_continuous_split",),
    "clipnav.envs.continuous.files.submissions": (
        "write_r2r_ce_submission",
        "write_rxr_ce_submission",
    ),
    "clipnav.envs.continuous.measures": ("measure_walk",),
    "clipnav.envs.continuous.settings": ("ContinuousSettings",),
    "clipnav.envs.episodes.episode": ("Episode",),
    "clipnav.envs.episodes.splits": ("load_split",),
    "clipnav.envs.graphs.nav_graph": ("NavGraph",),
    "clipnav.envs.metrics": ("score_path", "score_paths", "summarise"),
    "clipnav.envs.navigation.settings": ("EnvSettings",),
    "clipnav.envs.navigation.vector_env": ("VlnVectorEnv",),
    "clipnav.envs.navigation.vln_env": ("VlnEnv",),
    "clipnav.envs.submissions.files": ("write_r2r_submission", "write_rxr_submission"),
    "clipnav.envs.submissions.ground_truth": ("ScoringRules",),
    "clipnav.envs.submissions.scores": ("score_submission",),
    "clipnav.envs.tokenizers": ("load_tokenizer",),
    "clipnav.envs.worlds": ("world_files",),
    "clipnav.storage.errors": ("UnknownNameError", "UserError"),
    "clipnav.storage.features.opening": ("open_store",),
    "clipnav.storage.features.store": ("FeatureStore",),
    "clipnav.viewer.trace": ("Trace", "read_traces", "record"),
    "clipnav.vl_tasks.vqa.answering": ("answer_questions",),
}
_MODULES = {name: module for module, names in _PUBLIC.items() for name in names}

__all__ = [
    "Agent",
    "ClipEncoder",
    "ContinuousEnv",
    "ContinuousSettings",
    "ContinuousVectorEnv",
    "EnvSettings",
    "Episode",
    "EvaluateVlmConfig",
    "Evaluation",
    "FeatureStore",
    "Message",
    "NavGraph",
    "PromptConfig",
    "RolloutResult",
    "ScoringRules",
    "Trace",
    "UnknownNameError",
    "UserError",
    "VlnEnv",
    "VlnVectorEnv",
    "WorldViews",
    "answer_questions",
    "evaluate",
    "evaluate_vlm",
    "explain",
    "load_continuous_split",
    "load_run",
    "load_split",
    "load_tokenizer",
    "make",
    "make_vec",
    "measure_walk",
    "open_store",
    "read_traces",
    "record",
    "score_path",
    "score_paths",
    "score_submission",
    "summarise",
    "text_score",
    "walk",
    "world_files",
    "write_r2r_ce_submission",
    "write_r2r_submission",
    "write_rxr_ce_submission",
    "write_rxr_submission",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'clipnav' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
