"""Speed of training and evaluating map agents, compared with a step-by-step baseline.

The baseline has the same weights and scores, and computes as the released code of DUET does: it
walks known paths step by step, computes the keys and values of the text at every step, and the last
local layer for all views. The losses of both are compared before timing.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, rate, report
from torch import Tensor

from clipnav.agents.acting.decisions import UniformStream
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.learner import MapLearner, decision_loss
from clipnav.agents.duet.model import EncodedText, MapTransformer, NodeInputs, Scores, ViewInputs
from clipnav.agents.duet.settings import map_preset
from clipnav.agents.duet.states import MapState
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.agents.transformer.il_rl import Minibatches

UNIT = "decisions per CPU second"
_CLIP = 5.0


@dataclass(frozen=True)
class MapAgentConfig(BenchmarkConfig):
    """Measure the speed of training and evaluating map agents in the built-in houses."""

    batch_size: int = 12
    """Number of episodes in a batch."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed of weights and order."""


class PlainTransformer(MapTransformer):
    """Map transformer that reads the text and all views in full at every step."""

    def score(self, text: EncodedText, nodes: NodeInputs, views: ViewInputs) -> Scores:
        """Score the actions of states, each with its own text."""
        text = self.keys_and_values(text.states)
        first = 1 + views.candidates.shape[1]
        coarse, fine = self.global_branch(nodes, text), self.local_branch(views, text)
        return self.fuse(coarse, fine[:, :first], nodes, views)


def make_learner(config: MapAgentConfig, whole: bool) -> MapLearner:
    """Build a learner in the built-in houses."""
    settings = map_preset("r2r", "houses")
    changes = {"dropout": 0.0, "feature_dropout": 0.0, "local_candidates_only": not whole}
    return MapLearner(
        dataclasses.replace(
            settings,
            batch_size=config.batch_size,
            evaluation_batch_size=config.batch_size,
            cloning_iterations=0,
            evaluation_splits=("val_seen",),
            seed=config.seed,
            network=dataclasses.replace(settings.network, **changes),
        )
    )


def _stepwise_loss(learner: MapLearner, episodes: np.ndarray) -> Tensor:
    """Return the loss of cloning, computed by walking along the paths."""
    references = learner.references
    nodes, sizes = references.nodes[episodes].astype(np.int64), references.sizes[episodes]
    following = np.column_stack([nodes[:, 1:], nodes[:, :1]])
    following[np.arange(nodes.shape[1]) >= sizes[:, None] - 1] = -1
    steps = iter(range(nodes.shape[1]))

    def policy(
        maps: TopologicalMaps, state: MapState, scores: Scores, labels: np.ndarray | None
    ) -> np.ndarray:
        targets = following[state.rows, next(steps)]
        return path_targets(maps, state.rows, state.tokens, targets)

    limit = nodes.shape[1] + 1
    agent = MapAgent(learner.model, learner.features, limit, policy, stops_at_best=False)
    walk = agent.walk(learner.env, [learner.env.episodes[e].instr_id for e in episodes])
    losses = [
        decision_loss(decision.scores.decision, torch.from_numpy(decision.chosen))
        for decision in walk.decisions
    ]
    return torch.stack(losses).sum() / len(episodes)


def update(learner: MapLearner, loss: Tensor) -> None:
    """Update the weights by a loss."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.model.parameters(), _CLIP)
    learner.optimiser.step()
    learner.optimiser.zero_grad(set_to_none=True)


def _cloning_rates(config: MapAgentConfig, seconds: float) -> tuple[float, float, float]:
    """Return the decisions per CPU second of cloning: baseline, all views, candidates only."""
    learner = make_learner(config, whole=True)
    episodes = learner.batch(0).cloned
    decisions = int(learner.references.sizes[episodes].sum())
    fast = learner.env, learner.features, learner.references, episodes

    def whole_paths(chosen: MapLearner) -> Callable[[], None]:
        return lambda: update(chosen, chosen.network.clone(*fast)[0])

    expected = learner.network.clone(*fast)[0].item()
    kind = type(learner.model)
    learner.model.__class__ = PlainTransformer
    assert abs(_stepwise_loss(learner, episodes).item() - expected) < 1e-3 * expected
    plain = rate(lambda: update(learner, _stepwise_loss(learner, episodes)), decisions, seconds)
    learner.model.__class__ = kind
    all_views = rate(whole_paths(learner), decisions, seconds)
    small = make_learner(config, whole=False)
    return plain, all_views, rate(whole_paths(small), decisions, seconds)


def _counted_rate(work: Callable[[], float], seconds: float) -> float:
    """Return the sum of the results of a function per CPU second."""
    work()
    total, start = 0.0, time.process_time()
    while (spent := time.process_time() - start) < seconds or not total:
        total += work()
    return total / spent


def _dagger_rate(learner: MapLearner, seconds: float) -> float:
    """Return the decisions per CPU second of updates by sampled walks."""
    episodes = learner.batch(0).sampled
    fast = learner.env, learner.features, learner.references

    def work() -> float:
        draws = UniformStream(np.random.default_rng(0), len(episodes))
        batch = Minibatches(episodes[:0], episodes, draws, 0.0)
        loss, figures = learner.network.sample(*fast, batch)
        update(learner, loss)
        return figures["decisions"] * len(episodes)

    return _counted_rate(work, seconds)


def _evaluation_rate(learner: MapLearner, seconds: float) -> float:
    """Return the decisions per CPU second of greedy walks."""
    learner.network.eval()
    env, agent = learner.evaluation_envs["val_seen"], learner.agent("val_seen")
    ids = [episode.instr_id for episode in env.episodes[: env.num_envs]]

    def work() -> float:
        with torch.inference_mode():
            return sum(len(decision.rows) for decision in agent.walk(env, ids).decisions)

    return _counted_rate(work, seconds)


def main() -> None:
    """Run the benchmark."""
    config = tyro.cli(MapAgentConfig, description=MapAgentConfig.__doc__)
    torch.set_num_threads(1)
    seconds = 0.05 if config.quick else config.seconds
    plain, all_views, candidates = _cloning_rates(config, seconds)
    learner = make_learner(config, whole=False)
    figures = [
        Figure("cloning, baseline", plain, UNIT),
        Figure("cloning, all views", all_views, UNIT),
        Figure("cloning, candidates only", candidates, UNIT),
        Figure("DAgger, candidates only", _dagger_rate(learner, seconds), UNIT),
        Figure("evaluation, candidates only", _evaluation_rate(learner, seconds), UNIT),
    ]
    report("map_agent", figures, config.json)


if __name__ == "__main__":
    main()
