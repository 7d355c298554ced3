"""Training of a map agent by behaviour cloning and DAgger."""

from clipnav.agents.duet.agent import MapAgent
from clipnav.agents.duet.building import greedy_agent, make_map_transformer, map_features
from clipnav.agents.duet.losses import MapLoss
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.transformer.two_minibatches import MinibatchesLearner
from clipnav.envs.navigation.vector_env import VlnVectorEnv


class MapLearner(MinibatchesLearner):
    """A map agent, and the episodes to learn from."""

    config: MapTrainConfig
    model: MapTransformer
    network: MapLoss
    make_network = staticmethod(make_map_transformer)

    def make_features(self, env: VlnVectorEnv) -> WorldFeatures:
        """Return the features and the geometry of the world of an environment."""
        return map_features(env, self.config.device)

    def make_loss(self) -> MapLoss:
        """Return the network with its loss."""
        return MapLoss(self.model, self.config)

    def agent(self, split: str) -> MapAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])
