"""The wanderer: it compares each candidate with a bag of words, and has no memory."""

import torch
from torch import nn

from clipnav import EpisodeLearner, load_network, walk
from clipnav.envs.navigation.device_features import DeviceFeatures


class Wanderer(nn.Module):
    def __init__(self, config, env):
        super().__init__()
        width, size = DeviceFeatures(env).width, config.hidden_size
        self.architecture = {"width": str(width), "hidden_size": str(size)}
        self.words = nn.Embedding(len(env.tokenizer), size, padding_idx=0)
        self.look, self.stop = nn.Linear(width, size), nn.Linear(size, 1)

    def scores(self, features, observation, live):
        """Return the scores (N, K) of actions from words (N, L) and candidates (N, K, D)."""
        words = torch.from_numpy(observation["instruction"][live]).long()
        read = self.words(words).sum(1) / (words > 0).sum(1, keepdim=True)
        view = features.gather(observation["viewpoint"][live], observation["view"][live])
        scores = (self.look(view.candidates[:, 1:]) * read[:, None]).sum(2)
        return torch.cat([self.stop(read), scores], 1).masked_fill(~view.mask, -torch.inf)

    def forward(self, env, features, instr_ids, iteration):
        """Return the loss of teacher-forced walks, and figures to log."""
        agent = WanderingAgent(self, features, teacher_forced=True)
        walk(env, agent, instr_ids)
        loss = torch.stack(agent.losses).mean()
        return loss, {"loss": loss.item()}


class WanderingAgent:
    """Takes the best action, or that of the teacher, whose losses it keeps."""

    def __init__(self, network, features, teacher_forced=False):
        self.network, self.features, self.teacher_forced = network, features, teacher_forced
        self.losses = []

    def begin(self, observation, info, live):
        """Start episodes; there is no memory."""

    def act(self, observation, info, live):
        scores = self.network.scores(self.features, observation, live)
        if not self.teacher_forced:
            return scores.argmax(1).numpy()
        teacher = info["teacher_action"][live]
        self.losses.append(nn.functional.cross_entropy(scores, torch.from_numpy(teacher)))
        return teacher


class WandererLearner(EpisodeLearner):
    @staticmethod
    def make_network(config, env, tokenizer=None):
        return Wanderer(config, env)

    def agent(self, split):
        return WanderingAgent(self.network, DeviceFeatures(self.evaluation_envs[split]))


def load(run, split, config):
    env, network = load_network(run, split, config, Wanderer)
    return env, WanderingAgent(network, DeviceFeatures(env))
