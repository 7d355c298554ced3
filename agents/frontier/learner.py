"""Training of a frontier agent by imitation (DAgger) and reinforcement."""

from pathlib import Path

from clipnav.agents.acting.decisions import Draws
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_network import load_follower_network
from clipnav.agents.envdrop.recurrent_learner import RecurrentLearner
from clipnav.agents.frontier.agent import FrontierAgent
from clipnav.agents.frontier.loss import FrontierLoss, trained_scoring
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed
from clipnav.training.streams import Stream


class FrontierLearner(RecurrentLearner):
    """A follower, and the episodes to learn from."""

    loss = FrontierLoss
    config: FrontierTrainConfig

    def __init__(self, config: FrontierTrainConfig) -> None:
        super().__init__(config, config.batch_size)
        self._geometry = MapGeometry.of(self.env.nav_world)
        self._references = ReferencePaths.of(self.env.nav_world, self.env.episodes)
        self._indices = {episode.instr_id: k for k, episode in enumerate(self.env.episodes)}
        self._geometries = {
            split: MapGeometry.of(env.nav_world) for split, env in self.evaluation_envs.items()
        }

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch, add its gradient and return the figures to log."""
        config, rank, world_size = self.config, distributed.rank(), distributed.world_size()
        names = self._order.batch(iteration)[rank::world_size]
        episodes = [self._indices[name] for name in names]
        rng = Stream.FRONTIER_DECISIONS.rng(config.seed, iteration)
        draws = Draws(rng, len(names), rank, world_size)
        share = 0.0 if iteration < config.cloning_iterations else config.sampled_steps
        batch = episodes, draws, share
        loss, figures = self._loss(self.env, self.features, self._geometry, self._references, batch)
        loss.backward()
        return figures

    def agent(self, split: str) -> FrontierAgent:
        """Return the agent on a split."""
        env, geometry = self.evaluation_envs[split], self._geometries[split]
        return trained_frontier_agent(self.config, self.follower, env, geometry)


def trained_frontier_agent(
    config: FrontierTrainConfig,
    follower: Follower,
    env: VlnVectorEnv,
    geometry: MapGeometry | None = None,
) -> FrontierAgent:
    """Return the agent of a run, which walks to the nodes with the highest scores."""
    features = DeviceFeatures(env, config.device)
    return FrontierAgent(
        ActionScorer(follower, features, env.nav_world),
        geometry or MapGeometry.of(env.nav_world),
        env.max_episode_steps,
        trained_scoring(config),
        reads_instructions=config.reads_instructions,
    )


def load_frontier_agent(
    run: Path, split: str, config: FrontierTrainConfig
) -> tuple[VlnVectorEnv, FrontierAgent]:
    """Build the environment of a split and load the agent of a run; see `clipnav.load_run`."""
    env, network = load_follower_network(run, split, config)
    return env, trained_frontier_agent(config, network.follower, env)
