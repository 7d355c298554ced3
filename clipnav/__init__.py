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

    from agents.acting.evaluation import Evaluation, evaluate
    from agents.acting.rollout import Agent, RolloutResult, walk
    from agents.experiments.runs import load_run
    from agents.language_models.evaluation.evaluating import evaluate_vlm
    from agents.language_models.prompts.messages import Message
    from agents.settings.language_models import EvaluateVlmConfig, PromptConfig
    from encoders.clip import ClipEncoder
    from encoders.explanations import explain, text_score
    from encoders.extraction.world_features import WorldViews
    from envs.continuous.environments.single_env import ContinuousEnv
    from envs.continuous.environments.vector_env import ContinuousVectorEnv
    from envs.continuous.episodes import load_continuous_split
    from envs.continuous.files.submissions import write_r2r_ce_submission, write_rxr_ce_submission
    from envs.continuous.measures import measure_walk
    from envs.continuous.settings import ContinuousSettings
    from envs.episodes.episode import Episode
    from envs.episodes.splits import load_split
    from envs.graphs.nav_graph import NavGraph
    from envs.metrics import score_path, score_paths, summarise
    from envs.navigation.settings import EnvSettings
    from envs.navigation.vector_env import VlnVectorEnv
    from envs.navigation.vln_env import VlnEnv
    from envs.submissions.files import write_r2r_submission, write_rxr_submission
    from envs.submissions.ground_truth import ScoringRules
    from envs.submissions.scores import score_submission
    from envs.tokenizers import load_tokenizer
    from envs.worlds import world_files
    from storage.errors import UnknownNameError, UserError
    from storage.features.opening import open_store
    from storage.features.store import FeatureStore
    from viewer.trace import Trace, read_traces, record
    from vl_tasks.vqa.answering import answer_questions

# Public names by the module that defines them.
_PUBLIC: dict[str, tuple[str, ...]] = {
    "gymnasium": ("make", "make_vec"),
    "agents.acting.evaluation": ("Evaluation", "evaluate"),
    "agents.acting.rollout": ("Agent", "RolloutResult", "walk"),
    "agents.experiments.runs": ("load_run",),
    "agents.language_models.evaluation.evaluating": ("evaluate_vlm",),
    "agents.language_models.prompts.messages": ("Message",),
    "agents.settings.language_models": ("EvaluateVlmConfig", "PromptConfig"),
    "encoders.clip": ("ClipEncoder",),
    "encoders.explanations": ("explain", "text_score"),
    "encoders.extraction.world_features": ("WorldViews",),
    "envs.continuous.environments.single_env": ("ContinuousEnv",),
    "envs.continuous.environments.vector_env": ("ContinuousVectorEnv",),
    "envs.continuous.episodes": ("load_continuous_split",),
    "envs.continuous.files.submissions": ("write_r2r_ce_submission", "write_rxr_ce_submission"),
    "envs.continuous.measures": ("measure_walk",),
    "envs.continuous.settings": ("ContinuousSettings",),
    "envs.episodes.episode": ("Episode",),
    "envs.episodes.splits": ("load_split",),
    "envs.graphs.nav_graph": ("NavGraph",),
    "envs.metrics": ("score_path", "score_paths", "summarise"),
    "envs.navigation.settings": ("EnvSettings",),
    "envs.navigation.vector_env": ("VlnVectorEnv",),
    "envs.navigation.vln_env": ("VlnEnv",),
    "envs.submissions.files": ("write_r2r_submission", "write_rxr_submission"),
    "envs.submissions.ground_truth": ("ScoringRules",),
    "envs.submissions.scores": ("score_submission",),
    "envs.tokenizers": ("load_tokenizer",),
    "envs.worlds": ("world_files",),
    "storage.errors": ("UnknownNameError", "UserError"),
    "storage.features.opening": ("open_store",),
    "storage.features.store": ("FeatureStore",),
    "viewer.trace": ("Trace", "read_traces", "record"),
    "vl_tasks.vqa.answering": ("answer_questions",),
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
