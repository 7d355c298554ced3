__all__ = [
    "Agent",
    "AgentConfig",
    "AgentSpec",
    "ChainEnv",
    "ClipEncoder",
    "ContinuousEnv",
    "ContinuousSettings",
    "ContinuousVectorEnv",
    "DatasetSpec",
    "EnvSettings",
    "Episode",
    "EpisodeLearner",
    "EvaluateVlmConfig",
    "Evaluation",
    "FeatureStore",
    "Message",
    "Metric",
    "NavGraph",
    "PromptConfig",
    "RolloutResult",
    "ScoringRules",
    "TaskSpec",
    "Trace",
    "UnknownNameError",
    "UserError",
    "VlnEnv",
    "VlnVectorEnv",
    "WorldFiles",
    "WorldSpec",
    "WorldViews",
    "answer_questions",
    "evaluate",
    "evaluate_vlm",
    "explain",
    "load_continuous_split",
    "load_network",
    "load_run",
    "load_split",
    "load_tokenizer",
    "make",
    "make_vec",
    "mattersim",
    "measure_walk",
    "open_store",
    "read_traces",
    "record",
    "register_agent",
    "register_dataset",
    "register_metric",
    "register_task",
    "register_world",
    "score_captions",
    "score_path",
    "score_paths",
    "score_submission",
    "summarise",
    "text_score",
    "train",
    "vqa_accuracy",
    "walk",
    "world_files",
    "write_ce_submission",
    "write_submission",
]

from .agents.acting.evaluation import Evaluation, evaluate
from .agents.acting.rollout import Agent, RolloutResult, walk
from .agents.experiments.runs import load_run
from .agents.experiments.training import train
from .agents.language_models.evaluation.evaluating import evaluate_vlm
from .agents.language_models.prompts.messages import Message
from .agents.language_models.settings import EvaluateVlmConfig, PromptConfig
from .agents.learning.agent_learner import EpisodeLearner, load_network
from .agents.settings.runs import AgentConfig
from .agents.specs import AgentSpec, register_agent
from .encoders.clip import ClipEncoder
from .encoders.explanations import explain, text_score
from .encoders.extraction.world_features import WorldViews
from .envs import make, make_vec, mattersim
from .envs.continuous.environments.single_env import ContinuousEnv
from .envs.continuous.environments.vector_env import ContinuousVectorEnv
from .envs.continuous.episodes import load_continuous_split
from .envs.continuous.files.submissions import write_ce_submission
from .envs.continuous.measures import measure_walk
from .envs.continuous.settings import ContinuousSettings
from .envs.datasets import DatasetSpec, register_dataset
from .envs.episodes.episode import Episode
from .envs.episodes.splits import load_split
from .envs.graphs.nav_graph import NavGraph
from .envs.metrics import Metric, register_metric, score_path, score_paths, summarise
from .envs.navigation.chain_env import ChainEnv
from .envs.navigation.settings import EnvSettings
from .envs.navigation.vector_env import VlnVectorEnv
from .envs.navigation.vln_env import VlnEnv
from .envs.submissions.files import write_submission
from .envs.submissions.ground_truth import ScoringRules
from .envs.submissions.scores import score_submission
from .envs.tokenizers import load_tokenizer
from .envs.worlds import WorldFiles, WorldSpec, register_world, world_files
from .storage.errors import UnknownNameError, UserError
from .storage.features.opening import open_store
from .storage.features.store import FeatureStore
from .viewer.trace import Trace, read_traces, record
from .vl_tasks.captioning.metrics import score_captions
from .vl_tasks.specs import TaskSpec, register_task
from .vl_tasks.vqa.accuracy import vqa_accuracy
from .vl_tasks.vqa.answering import answer_questions
