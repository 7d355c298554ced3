"""Evaluation of agents that were trained on graphs in continuous episodes."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from clipnav.agents.acting.environments import feature_store
from clipnav.agents.acting.evaluation import Results, evaluate_splits, table
from clipnav.agents.acting.rollout import Agent, walk, walk_to_ends
from clipnav.agents.continuous.walking import spread
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.frontier.agent import FrontierAgent
from clipnav.agents.settings import AgentConfig, read_agent_config
from clipnav.agents.specs import agent_spec
from clipnav.agents.waypoints.env import (
    FloorPlaces,
    Propose,
    ViewEncoder,
    WaypointEnv,
    camera_settings,
)
from clipnav.agents.waypoints.map_env import MapWaypointEnv
from clipnav.agents.waypoints.predictor import PredictedPlaces, WaypointPredictor, load_predictor
from clipnav.agents.waypoints.settings import WaypointConfig
from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.named_encoder import NamedEncoder
from clipnav.envs.continuous.episodes import ContinuousSplit, load_continuous_split
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.measures import PHYSICAL_METRICS, continuous_metrics, summarise_walks
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.datasets import continuous_version
from clipnav.envs.episodes import load_episodes
from clipnav.envs.episodes.episode import check_goals
from clipnav.envs.metrics import summarise
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.worlds import is_built_in, world_files
from clipnav.storage.errors import UserError
from clipnav.storage.progress import progress_bar

# Episodes, simulator, task, encoder, batch size, width of the angle features, and choice of places:
# the arguments of `WaypointEnv`.
World = tuple[
    ContinuousSplit, HouseSimulator, ContinuousSettings, ViewEncoder | None, int, int, Propose
]
# Lets an agent walk a batch of episodes, by their ids.
Lead = Callable[[list[str]], object]


def evaluate_waypoints(config: WaypointConfig) -> Results:
    """Walk the episodes with an agent on the graph and among places, and print both scores."""
    if config.threads:
        torch.set_num_threads(config.threads)
    # Pictures are drawn and encoded on the CPU.
    settings = replace(check_run(config, read_agent_config(config.run)), device="cpu")
    files = world_files(settings.world)
    for split in config.splits:
        episodes = load_episodes(settings.dataset, split, files, settings.instruction_language)
        check_goals(episodes, f"--splits {split}")
    encoder = open_encoder(config, settings)
    predictor = None if config.predictor is None else load_predictor(config.predictor)
    results = evaluate_splits(
        config.splits,
        lambda split: {split: _evaluate_split(config, settings, encoder, predictor, split)},
        config.json,
    )
    print(table(results, continuous_metrics() | PHYSICAL_METRICS))
    return results


def check_run(config: WaypointConfig, settings: AgentConfig) -> AgentConfig:
    """Return the settings of a run whose agent can walk among places."""
    if agent_spec(settings.agent).waypoints is None:
        raise UserError(
            f"{config.run}: a run of --agent {settings.agent}, which does not walk among places; "
            "name a run of a follower, a frontier agent or a map agent"
        )
    if not is_built_in(settings.world):
        raise UserError(
            f"{config.run}: trained with --world {settings.world}, which has no floors; name a run "
            "in built-in houses"
        )
    continuous_version(settings.dataset)
    return settings


def open_encoder(config: WaypointConfig, settings: AgentConfig) -> ClipEncoder | None:
    """Open the encoder of a run's features, None for a blind agent."""
    if not settings.vision:
        return None
    encoder = NamedEncoder.parse_unnamed(config.encoder).load()
    store = feature_store(settings)
    digest = store.metadata.get("weights_sha256")
    if digest != encoder.weights_sha256:
        raise UserError(
            f"--encoder {config.encoder}: {config.run} has features of another encoder "
            f"({store.encoder}); name that one"
        )
    return encoder


def _evaluate_split(
    config: WaypointConfig,
    settings: AgentConfig,
    encoder: ClipEncoder | None,
    predictor: WaypointPredictor | None,
    split: str,
) -> dict[str, dict[str, float]]:
    graph_env, agent = load_run(config.run, split, settings)
    changes = {} if config.sliding is None else {"sliding": config.sliding}
    loaded = continuous_split(settings, split, graph_env)
    task = task_settings(loaded.dataset, **changes)
    size = encoder.image_size if encoder else (8, 8)
    simulator = HouseSimulator(camera_settings(task, size))
    propose = FloorPlaces(simulator) if predictor is None else PredictedPlaces(predictor)
    sizes = config.batch_size, settings.angle_feature_size
    world = loaded, simulator, task, encoder, *sizes, propose
    ids = [loaded.episodes[k].instr_id for k in spread(len(loaded.episodes), config.episodes)]
    graph = graph_walks(graph_env, agent, ids)
    spec = agent_spec(settings.agent)
    env, lead = spec.call("waypoints", agent, world, settings, kind=tuple)
    walked = waypoint_walks(env, lead, ids, split)
    return {"graph": graph, f"{config.waypoints} waypoints": walked}


def continuous_split(settings: AgentConfig, split: str, graph_env: VlnVectorEnv) -> ContinuousSplit:
    """Load the continuous episodes of a split, with the instructions of the graph's environment.

    Those are the ones that the agent reads: --instruction-ablation shuffled exchanges them.
    """
    loaded = load_continuous_split(
        settings.dataset,
        split,
        settings.world,
        language=settings.instruction_language,
        tokenizer=graph_env.tokenizer,
        max_instruction_length=settings.max_instruction_length,
    )
    words = {episode.instr_id: episode.instruction for episode in graph_env.episodes}
    episodes = [replace(e, instruction=words[e.instr_id]) for e in loaded.episodes]
    return replace(loaded, episodes=episodes)


def graph_walks(env: VlnVectorEnv, agent: Agent, ids: Sequence[str]) -> dict[str, float]:
    """Return the mean measures of greedy walks on the graph."""
    columns: dict[str, list[np.ndarray]] = {}
    with torch.inference_mode():
        for start in range(0, len(ids), env.num_envs):
            part = ids[start : start + env.num_envs]
            walk_to_ends(env, agent, part)
            for name, values in env.metrics().items():
                columns.setdefault(name, []).append(values[: len(part)])
    summary = summarise({name: np.concatenate(parts) for name, parts in columns.items()})
    return {**summary, "episodes": float(len(ids))}


def follower_among_waypoints(
    agent: FollowerAgent, world: World, settings: AgentConfig
) -> tuple[WaypointEnv, Lead]:
    """Return an environment of places, and a function that lets a follower walk there."""
    env: Any = WaypointEnv(*world)
    follower = FollowerAgent(agent.follower, env, settings.use_instructions)
    return env, lambda ids: walk(env, follower, ids)


def map_agent_among_waypoints(
    agent: MapAgent, world: World, settings: MapTrainConfig
) -> tuple[WaypointEnv, Lead]:
    """Return an environment of places, and a function that lets a map agent walk there."""
    env: Any = MapWaypointEnv(*world, agent.max_decisions)
    walker = map_agent_among_places(agent, env, settings.stops_at_best, settings.use_instructions)
    return env, lambda ids: walker.walk(env, ids)


def frontier_agent_among_waypoints(
    agent: FrontierAgent, world: World, settings: AgentConfig
) -> tuple[WaypointEnv, Lead]:
    """Return an environment of places, and a function that lets a frontier agent walk there."""
    env: Any = MapWaypointEnv(*world, agent.max_steps)
    walker = frontier_agent_among_places(agent, env, settings.use_instructions)
    return env, lambda ids: list(walker.segments(env, ids))


def frontier_agent_among_places(
    agent: FrontierAgent, env: Any, use_instructions: bool
) -> FrontierAgent:
    """Return the frontier agent of a graph for the places of a `MapWaypointEnv`."""
    return FrontierAgent(
        ActionScorer(agent.follower, env, env.maps.world),
        env.maps.geometry,
        agent.max_steps,
        agent.scoring,
        use_instructions=use_instructions,
    )


def map_agent_among_places(
    agent: MapAgent, env: MapWaypointEnv, stops_at_best: bool, use_instructions: bool
) -> MapAgent:
    """Return the map agent of a graph for the places of an environment; `MapAgent` has the rest."""
    features = env.maps.features if env.maps.features.shape[2] else None
    return MapAgent(
        agent.model,
        WorldFeatures(env.maps.geometry, features),
        agent.max_decisions,
        stops_at_best=stops_at_best,
        use_instructions=use_instructions,
    )


def waypoint_walks(
    env: WaypointEnv, lead: Lead, ids: Sequence[str], name: str = ""
) -> dict[str, float]:
    """Return the mean measures of walks among places."""
    results: list[dict[str, float]] = []
    with torch.inference_mode(), progress_bar(total=len(ids), desc=name, unit="episodes") as bar:
        for start in range(0, len(ids), env.num_envs):
            part = list(ids[start : start + env.num_envs])
            lead(part)
            results += env.metrics()[: len(part)]
            bar.update(len(part))
    return summarise_walks(results)
