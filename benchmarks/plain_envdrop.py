"""A baseline implementation of EnvDrop's training loop, for the benchmarks of training.

It reproduces the computations of the released code (`r2r_src/agent.py`, `r2r_src/model.py`), not
its text: all rows are decoded until the slowest episode ends, the rollouts of imitation and
reinforcement run one after the other, dropout draws a mask over all features of all views at every
step (except with `episode_masks`), the results of some projections are unused, observations are
assembled candidate by candidate, and evaluation builds an autograd graph without a backward pass.
The environment is clipnav's, which is faster than a simulator.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from clipnav.envs.navigation.observations import angle_feature, panorama_angles
from clipnav.envs.navigation.vector_env import VlnVectorEnv

Choice = Callable[[dict[str, Any], np.ndarray, Tensor], np.ndarray]


class Encoder(nn.Module):
    """Packed bidirectional LSTM; the maximum for the initial state includes padding."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 256, padding_idx=0)
        self.lstm = nn.LSTM(256, hidden // 2, bidirectional=True, batch_first=True)
        self.initial = nn.Linear(hidden, hidden)
        self.drop = nn.Dropout(0.5)

    def forward(self, tokens: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Encode tokens (B, L), sorted by length, as words (B, L, H) and two states (B, H)."""
        packed = pack_padded_sequence(self.drop(self.embedding(tokens)), lengths, batch_first=True)
        outputs, (_, cell) = self.lstm(packed)
        words, _ = pad_packed_sequence(outputs, batch_first=True)
        first = torch.tanh(self.initial(words.max(1).values))
        return self.drop(words), first, torch.cat([cell[1], cell[0]], 1)


class Attention(nn.Module):
    """Dot-product attention."""

    def __init__(self, query: int, key: int) -> None:
        super().__init__()
        self.query = nn.Linear(query, key, bias=False)
        self.mix = nn.Linear(query + key, query, bias=False)

    def forward(
        self, hidden: Tensor, keys: Tensor, mask: Tensor | None = None, mixed: bool = True
    ) -> tuple[Tensor, Tensor]:
        """Return the mixed output or the weighted sum, and the logits (B, N)."""
        scores = torch.bmm(keys, self.query(hidden).unsqueeze(2)).squeeze(2)
        if mask is not None:
            scores.masked_fill_(mask, -float("inf"))
        weights = functional.softmax(scores, 1)
        attended = torch.bmm(weights.unsqueeze(1), keys).squeeze(1)
        if not mixed:
            return attended, scores
        return torch.tanh(self.mix(torch.cat([attended, hidden], 1))), scores


class Decoder(nn.Module):
    """One step of the decoder."""

    def __init__(self, visual: int, angle: int, hidden: int) -> None:
        super().__init__()
        self.visual = visual
        self.action = nn.Sequential(nn.Linear(angle, 64), nn.Tanh())
        self.views = Attention(hidden, visual + angle)
        self.cell = nn.LSTMCell(64 + visual + angle, hidden)
        self.words = Attention(hidden, hidden)
        self.candidates = Attention(hidden, visual + angle)
        self.drop, self.drop_features = nn.Dropout(0.5), nn.Dropout(0.3)
        self.mask: Tensor | None = None  # (B, 1, visual), for all steps of a rollout

    def drop_visual(self, views: Tensor) -> None:
        """Drop visual features of views (B, N, visual + angle) in place."""
        visual = views[..., : self.visual]
        dropped = self.drop_features(visual) if self.mask is None else visual * self.mask
        views[..., : self.visual] = dropped

    def forward(
        self, inputs: dict[str, Tensor], state: tuple[Tensor, Tensor], words: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, Tensor]]:
        """Return the logits (B, K), the hidden state and the next state."""
        action = self.drop(self.action(inputs["angle"]))
        panorama, candidates = inputs["panorama"], inputs["candidates"]
        self.drop_visual(panorama)
        view, _ = self.views(self.drop(state[0]), panorama, mixed=False)
        hidden, cell = self.cell(torch.cat([action, view], 1), state)
        attended, _ = self.words(self.drop(hidden), words, mask)
        self.drop_visual(candidates)
        _, scores = self.candidates(self.drop(attended), candidates)
        return scores, hidden, (attended, cell)


def teacher_forced(_: dict[str, Any], teacher: np.ndarray, __: Tensor) -> np.ndarray:
    """Return the actions of the teacher."""
    return teacher


class PlainAgent:
    """Networks, optimisers and rollouts of the baseline.

    Args:
        episode_masks: Drop the same features in all views and steps of an episode, as clipnav does
            by default; the released code draws a mask for every view and step.
    """

    def __init__(self, env: VlnVectorEnv, hidden: int = 512, episode_masks: bool = False) -> None:
        self.env = env
        self.episode_masks = episode_masks
        self.angle = env.angle_feature_size
        store = env.feature_store
        assert store is not None
        # The released code also reads all features into a dictionary.
        views = store.views
        self.features = {key: views[row].astype(np.float32) for row, key in enumerate(store.keys)}
        self.panorama_angles = panorama_angles(self.angle)
        self.encoder = Encoder(len(env.tokenizer), hidden)
        self.decoder = Decoder(store.width, self.angle, hidden)
        self.critic = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Dropout(0.5), nn.Linear(hidden, 1)
        )
        self.parts = [self.encoder, self.decoder, self.critic]
        self.optimisers = [torch.optim.RMSprop(part.parameters(), lr=1e-4) for part in self.parts]
        self.rng = np.random.default_rng(0)

    def iterate(self, imitate: list[str], explore: list[str]) -> None:
        """Run one update by imitation and reinforcement."""
        self.clear()
        loss = 0.2 * self.rollout(imitate, teacher_forced, reinforce=False)
        self.update(loss + self.rollout(explore, self.sample, reinforce=True))

    def clear(self) -> None:
        """Prepare an update."""
        for part, optimiser in zip(self.parts, self.optimisers, strict=True):
            part.train()
            optimiser.zero_grad()

    def update(self, loss: Tensor) -> None:
        """Update the weights."""
        loss.backward()
        for part in self.parts[:2]:
            nn.utils.clip_grad_norm_(part.parameters(), 40.0)
        for optimiser in self.optimisers:
            optimiser.step()

    def evaluate(self, ids: list[str], choice: Choice) -> None:
        """Roll out a batch."""
        for part in self.parts:
            part.eval()
        self.rollout(ids, choice, reinforce=False)

    def sample(self, _: dict[str, Any], __: np.ndarray, scores: Tensor) -> np.ndarray:
        """Sample actions from the follower's probabilities."""
        return torch.distributions.Categorical(functional.softmax(scores, 1)).sample().numpy()

    def rollout(
        self,
        ids: list[str],
        choice: Choice,
        reinforce: bool,
        generated: np.ndarray | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Roll out a batch to the end of its slowest episode; return the loss.

        Args:
            generated: (B, L) instructions that replace those of the episodes.
        """
        observation, info = self.env.reset(options={"episode_ids": ids})
        if mask is None and self.episode_masks:
            mask = self.decoder.drop_features(torch.ones(len(ids), 1, self.decoder.visual))
        self.decoder.mask = mask
        tokens = observation["instruction"] if generated is None else generated
        tokens = torch.from_numpy(tokens).long()
        lengths = (tokens != 0).sum(1)
        order = lengths.argsort(descending=True)
        back = order.argsort()
        words, first, cell = self.encoder(tokens[order], lengths[order])
        words, state = words[back], (first[back], cell[back])
        padding = tokens[:, : words.shape[1]] == 0
        ended = np.zeros(len(ids), bool)
        loss = torch.zeros(())
        policy, hiddens, entropies, rewards, alive = [], [], [], [], []
        for _ in range(self.env.max_episode_steps):
            scores, hidden, state = self.decoder(
                self.to_tensors(observation), state, words, padding
            )
            possible = torch.from_numpy(observation["action_mask"] == 0)
            scores.masked_fill_(possible, -float("inf"))
            teacher = np.array(info["teacher_action"])
            target = torch.from_numpy(np.where(ended, -100, teacher))
            loss = loss + functional.cross_entropy(scores, target, reduction="sum")
            actions = np.where(ended, 0, choice(observation, teacher, scores.detach()))
            if reinforce:
                spread = torch.distributions.Categorical(functional.softmax(scores, 1))
                policy.append(spread.log_prob(torch.from_numpy(actions)))
                entropies.append(spread.entropy())
                hiddens.append(hidden)
            alive.append(~ended)
            observation, gained, stopped, _, info = self.env.step(actions)
            rewards.append(gained)
            ended |= stopped
            if ended.all():
                break
        if not reinforce:
            return loss / len(ids)
        return self.actor_critic(policy, entropies, hiddens, rewards, alive)

    def actor_critic(
        self,
        policy: list[Tensor],
        entropies: list[Tensor],
        hiddens: list[Tensor],
        rewards: list[np.ndarray],
        alive: list[np.ndarray],
    ) -> Tensor:
        """Compute the advantage actor-critic loss, step by step from the end."""
        discounted = np.zeros(len(rewards[0]))
        loss, live = torch.zeros(()), 0
        for step in reversed(range(len(rewards))):
            discounted = rewards[step] + 0.9 * discounted
            mask = torch.from_numpy(alive[step]).float()
            returns = torch.from_numpy(discounted).float()
            values = self.critic(hiddens[step]).squeeze(1)
            advantage = (returns - values).detach()
            terms = -policy[step] * advantage + 0.5 * (returns - values) ** 2
            loss = loss + ((terms - 0.01 * entropies[step]) * mask).sum()
            live += int(alive[step].sum())
        return loss / live

    def to_tensors(self, observation: dict[str, Any]) -> dict[str, Tensor]:
        """Assemble the tensors of an observation, agent by agent and candidate by candidate."""
        world, heading = self.env.nav_world, observation["heading"][:, 0]
        count, most = observation["action_mask"].shape
        width = self.decoder.visual + self.angle
        panorama = np.empty((count, 36, width), np.float32)
        candidates = np.zeros((count, most, width), np.float32)
        angle = np.empty((count, self.angle), np.float32)
        for agent in range(count):
            node, view = int(observation["viewpoint"][agent]), int(observation["view"][agent])
            visual = self.features[world.scan_names[node] + "_" + world.viewpoint_ids[node]]
            panorama[agent] = np.concatenate([visual, self.panorama_angles[view % 12]], 1)
            for action in np.flatnonzero(observation["action_mask"][agent])[1:]:
                four = world.angles[node, view % 12, action]
                view_features = visual[world.views[node, action]]
                candidates[agent, action] = np.concatenate(
                    [view_features, np.tile(four, self.angle // 4)]
                )
            elevation = observation["elevation"][agent, 0]
            angle[agent] = angle_feature(heading[agent], elevation, self.angle)
        return {
            "panorama": torch.from_numpy(panorama),
            "candidates": torch.from_numpy(candidates),
            "angle": torch.from_numpy(angle),
        }
