"""Speed of training and evaluating DUET and HAMT, compared with step-by-step baselines.

The baselines have the same weights and scores, and compute as the released codes do: they walk
known paths step by step; DUET's computes the keys and values of the text at every step, and the
last local layer for all views. The losses of both are compared before timing.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, rate, report
from torch import Tensor

from clipnav.agents.acting.rollout import ActionSource, UniformStream, rollout, walk
from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.learner import MapLearner, decision_loss
from clipnav.agents.duet.model import EncodedText, MapTransformer, NodeInputs, Scores, ViewInputs
from clipnav.agents.duet.settings import map_preset
from clipnav.agents.duet.states import MapState
from clipnav.agents.hamt.agent import HistoryAgent
from clipnav.agents.hamt.learner import HistoryLearner
from clipnav.agents.hamt.settings import history_preset
from clipnav.agents.learning.objectives import imitation_loss
from clipnav.agents.maps.experts import path_targets
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.agents.transformer.il_rl import Minibatches, MinibatchesLearner

UNIT = "decisions per CPU second"
_CLIP = 5.0


@dataclass(frozen=True)
class MapAgentConfig(BenchmarkConfig):
    """Measure the speed of training and evaluating DUET and HAMT in the built-in houses."""

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


def _settings(config: MapAgentConfig, settings: Any, **network: Any) -> Any:
    """Return settings of an agent without dropout, with the batches of this benchmark."""
    changes = {"dropout": 0.0, "feature_dropout": 0.0} | network
    return dataclasses.replace(
        settings,
        batch_size=config.batch_size,
        evaluation_batch_size=config.batch_size,
        cloning_iterations=0,
        evaluation_splits=("val_seen",),
        seed=config.seed,
        network=dataclasses.replace(settings.network, **changes),
    )


def make_learner(config: MapAgentConfig, whole: bool) -> MapLearner:
    """Build a learner of DUET in the built-in houses."""
    settings = map_preset("r2r", "houses")
    return MapLearner(_settings(config, settings, local_candidates_only=not whole))


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


def update(learner: MinibatchesLearner, loss: Tensor) -> None:
    """Update the weights by a loss."""
    loss.backward()
    torch.nn.utils.clip_grad_norm_(learner.model.parameters(), _CLIP)
    learner.optimiser.step()
    learner.optimiser.zero_grad(set_to_none=True)


def _cloning_rate(learner: MinibatchesLearner, seconds: float) -> float:
    """Return the decisions per CPU second of updates by whole paths."""
    episodes = learner.batch(0).cloned
    decisions = int(learner.references.sizes[episodes].sum())
    batch = learner.env, learner.features, learner.references, episodes
    return rate(lambda: update(learner, learner.network.clone(*batch)[0]), decisions, seconds)


def _stepwise_rate(
    learner: Any, loss: Callable[[Any, np.ndarray], Tensor], seconds: float
) -> float:
    """Return the decisions per CPU second of updates by a loss that walks along the paths."""
    episodes = learner.batch(0).cloned
    decisions = int(learner.references.sizes[episodes].sum())
    whole = learner.network.clone(learner.env, learner.features, learner.references, episodes)
    expected = whole[0].item()
    assert abs(loss(learner, episodes).item() - expected) < 1e-3 * expected
    return rate(lambda: update(learner, loss(learner, episodes)), decisions, seconds)


def _plain_rate(learner: MapLearner, seconds: float) -> float:
    """Return the decisions per CPU second of DUET's baseline."""
    kind = type(learner.model)
    learner.model.__class__ = PlainTransformer
    plain = _stepwise_rate(learner, _stepwise_loss, seconds)
    learner.model.__class__ = kind
    return plain


def _history_loss(learner: HistoryLearner, episodes: np.ndarray) -> Tensor:
    """Return HAMT's loss of cloning, computed by walking along the paths."""
    source = ActionSource(np.ones(len(episodes), bool))
    agent = HistoryAgent(learner.model, learner.features, True, source)
    names = [learner.env.episodes[episode].instr_id for episode in episodes]
    decisions = rollout(learner.env, agent, names)
    return imitation_loss(decisions.scores, decisions.teacher, len(episodes))


def _history_figures(config: MapAgentConfig, seconds: float) -> list[Figure]:
    """Return the figures of HAMT."""
    learner = HistoryLearner(_settings(config, history_preset("r2r", "houses")))
    figures = [
        Figure("HAMT, cloning, baseline", _stepwise_rate(learner, _history_loss, seconds), UNIT),
        Figure("HAMT, cloning", _cloning_rate(learner, seconds), UNIT),
        Figure("HAMT, DAgger", _dagger_rate(learner, seconds), UNIT),
    ]
    learner.network.eval()
    env, agent = learner.evaluation_envs["val_seen"], learner.agent("val_seen")
    ids = [episode.instr_id for episode in env.episodes[: env.num_envs]]

    def work() -> float:
        walk(env, agent, ids)
        return sum(len(poses) for poses in env.trajectories())  # a decision at each viewpoint

    return [*figures, Figure("HAMT, evaluation", _counted_rate(work, seconds), UNIT)]


def _counted_rate(work: Callable[[], float], seconds: float) -> float:
    """Return the sum of the results of a function per CPU second."""
    work()
    total, start = 0.0, time.process_time()
    while (spent := time.process_time() - start) < seconds or not total:
        total += work()
    return total / spent


def _dagger_rate(learner: MinibatchesLearner, seconds: float) -> float:
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
    whole, learner = make_learner(config, whole=True), make_learner(config, whole=False)
    figures = [
        Figure("cloning, baseline", _plain_rate(whole, seconds), UNIT),
        Figure("cloning, all views", _cloning_rate(whole, seconds), UNIT),
        Figure("cloning, candidates only", _cloning_rate(learner, seconds), UNIT),
        Figure("DAgger, candidates only", _dagger_rate(learner, seconds), UNIT),
        Figure("evaluation, candidates only", _evaluation_rate(learner, seconds), UNIT),
        *_history_figures(config, seconds),
    ]
    report("map_agent", figures, config.json)


if __name__ == "__main__":
    main()
