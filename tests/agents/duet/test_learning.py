"""The network learns a small world from an expert within seconds."""

import numpy as np
import torch
from torch.nn import functional

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate_walks
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.network_settings import MapTransformerConfig
from clipnav.agents.maps.experts import Expert
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.navigation.device_features import world_features

CONFIG = MapTransformerConfig(
    hidden_size=32,
    heads=2,
    feed_forward_size=64,
    text_layers=1,
    panorama_layers=1,
    cross_layers=1,
    max_text_length=80,
    max_steps=8,
    dropout=0.0,
    feature_dropout=0.0,
)


def world_of(env):
    features = world_features(env.nav_world, env.feature_store, torch.device("cpu"))
    return WorldFeatures(MapGeometry.of(env.nav_world), features.float())


def test_the_colours_of_the_doors_are_learnt_from_the_expert(doors_config):
    torch.manual_seed(0)
    env = make_env(doors_config, "train")
    features, world = world_of(env), env.nav_world
    model = MapTransformer(CONFIG, len(env.tokenizer), features.width)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    rng = np.random.default_rng(0)
    for _ in range(80):
        episodes = [env.episodes[i] for i in rng.choice(len(env.episodes), env.num_envs, False)]
        paths = np.array([[world.node(e.scan, v) for v in e.path] for e in episodes])
        expert = Expert(world, paths, np.full(len(paths), 2))

        def policy(maps, state, scores, labels):
            return labels

        agent = MapAgent(model, features, 3, policy, expert=expert)
        walk = agent.walk(env, [e.instr_id for e in episodes])
        losses = [
            functional.cross_entropy(decision.scores.decision, torch.from_numpy(decision.labels))
            for decision in walk.decisions
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()
        optimiser.step()

    model.eval()
    unseen = make_env(doors_config, "val_unseen", env.tokenizer)
    agent = MapAgent(model, world_of(unseen), 3)
    evaluation = evaluate_walks(unseen, lambda ids: agent.walk(unseen, ids))
    success = np.mean([scores["success"] for scores in evaluation.scores.values()])
    assert success > 0.9
