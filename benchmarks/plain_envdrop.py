"""A baseline implementation of EnvDrop's follower and speaker, for the benchmarks of training.

It reproduces the computations of the released code (`r2r_src/agent.py`, `r2r_src/model.py`,
`r2r_src/speaker.py` and the loop `auglistener` of `r2r_src/train.py`), not its text: all rows are
decoded until the slowest episode ends, the rollouts of imitation and reinforcement run one after
the other, dropout draws a mask over all features of all views at every step (except with
`episode_masks`), the results of some projections are unused, observations are assembled candidate
by candidate, and evaluation builds an autograd graph without a backward pass.
The environment is clipnav's, which is faster than a simulator.

The speaker's rows walk until the longest path ends, and padding is computed everywhere: in the
attention to 36 views, in both LSTMs over the path, which are not packed, and in the projection of
the words to the vocabulary. The encoded path is copied for every word. All rows decode until the
last instruction ends. Back-translation describes the paths of both rollouts separately.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from clipnav.agents.envdrop.speaker import END, UNKNOWN
from clipnav.agents.layers.encoders import PAD
from clipnav.envs.navigation.observations import angle_feature, panorama_angles
from clipnav.envs.navigation.vector_env import VlnVectorEnv

Choice = Callable[[dict[str, Any], np.ndarray, Tensor], np.ndarray]
State = tuple[Tensor, Tensor]


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
        self, inputs: dict[str, Tensor], state: State, words: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor, State]:
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
        store: Any = env.feature_store
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
        steps: list[tuple[Tensor, Tensor, Tensor, np.ndarray, np.ndarray]] = []
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
            alive = ~ended
            observation, gained, stopped, _, info = self.env.step(actions)
            if reinforce:
                spread = torch.distributions.Categorical(functional.softmax(scores, 1))
                log_prob = spread.log_prob(torch.from_numpy(actions))
                steps.append((log_prob, spread.entropy(), hidden, gained, alive))
            ended |= stopped
            if ended.all():
                break
        return self.actor_critic(steps) if reinforce else loss / len(ids)

    def actor_critic(
        self, steps: list[tuple[Tensor, Tensor, Tensor, np.ndarray, np.ndarray]]
    ) -> Tensor:
        """Compute the advantage actor-critic loss, step by step from the end."""
        discounted, loss, live = 0.0, torch.zeros(()), 0
        for log_prob, entropy, hidden, rewards, alive in reversed(steps):
            discounted = rewards + 0.9 * discounted
            returns = torch.from_numpy(discounted).float()
            values = self.critic(hidden).squeeze(1)
            terms = -log_prob * (returns - values).detach() + 0.5 * (returns - values) ** 2
            loss = loss + ((terms - 0.01 * entropy) * torch.from_numpy(alive).float()).sum()
            live += int(alive.sum())
        return loss / live

    def to_tensors(self, observation: dict[str, Any]) -> dict[str, Tensor]:
        """Assemble the tensors of an observation, agent by agent and candidate by candidate."""
        world, heading = self.env.nav_world, observation["heading"][:, 0]
        count, most = observation["action_mask"].shape
        width = self.decoder.visual + self.angle
        seen = {
            "panorama": np.empty((count, 36, width), np.float32),
            "candidates": np.zeros((count, most, width), np.float32),
            "angle": np.empty((count, self.angle), np.float32),
        }
        for agent in range(count):
            node, view = int(observation["viewpoint"][agent]), int(observation["view"][agent])
            visual = self.features[world.scan_names[node] + "_" + world.viewpoint_ids[node]]
            angles = self.panorama_angles[view % 12]
            seen["panorama"][agent] = np.concatenate([visual, angles], 1)
            for action in np.flatnonzero(observation["action_mask"][agent])[1:]:
                four = np.tile(world.angles[node, view % 12, action], self.angle // 4)
                parts = [visual[world.views[node, action]], four]
                seen["candidates"][agent, action] = np.concatenate(parts)
            elevation = observation["elevation"][agent, 0]
            seen["angle"][agent] = angle_feature(heading[agent], elevation, self.angle)
        return {name: torch.from_numpy(values) for name, values in seen.items()}


class PathEncoder(nn.Module):
    """LSTM over the actions, attention to the views, LSTM over its results."""

    def __init__(self, visual: int, angle: int, hidden: int) -> None:
        super().__init__()
        self.visual = visual
        width, half = visual + angle, hidden // 2
        self.moves = nn.LSTM(width, half, bidirectional=True, batch_first=True)
        self.views = Attention(hidden, width)
        self.sights = nn.LSTM(hidden, half, bidirectional=True, batch_first=True)
        self.drop, self.drop_features = nn.Dropout(0.6), nn.Dropout(0.3)

    def forward(self, panoramas: Tensor, taken: Tensor, mask: Tensor | None) -> Tensor:
        """Encode paths as (B, T, H).

        Args:
            panoramas: (B, T, 36, F) views, overwritten.
            taken: (B, T, F) chosen candidates, overwritten; zero for stop and padding.
        """
        for features in (taken, panoramas):
            visual = features[..., : self.visual]
            visual = self.drop_features(visual) if mask is None else visual * mask
            features[..., : self.visual] = visual
        moves = self.drop(self.moves(taken)[0])
        sights, _ = self.views(moves.flatten(0, 1), panoramas.flatten(0, 1))
        sights, _ = self.sights(self.drop(sights.view(moves.shape)))
        return self.drop(sights)


class WordDecoder(nn.Module):
    """LSTM over the words and attention to the path."""

    def __init__(self, vocabulary: int, hidden: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 256, padding_idx=PAD)
        self.read = nn.LSTM(256, hidden, batch_first=True)
        self.path = Attention(hidden, hidden)
        self.word = nn.Linear(hidden, vocabulary)
        self.drop = nn.Dropout(0.6)

    def forward(
        self, words: Tensor, context: Tensor, padding: Tensor, state: State
    ) -> tuple[Tensor, State]:
        """Return the logits (B, L, V) after words (B, L), and the state of the LSTM."""
        hidden, state = self.read(self.drop(self.embedding(words)), state)
        length = words.shape[1]
        keys = context.unsqueeze(1).expand(-1, length, -1, -1).flatten(0, 1)
        mask = padding.unsqueeze(1).expand(-1, length, -1).flatten(0, 1)
        attended, _ = self.path(self.drop(hidden).flatten(0, 1), keys, mask)
        return self.word(self.drop(attended.view(hidden.shape))), state


class PlainSpeaker:
    """Networks and optimisers of the baseline's speaker."""

    def __init__(self, follower: PlainAgent, hidden: int = 512) -> None:
        self.follower, self.hidden = follower, hidden
        self.vocabulary = len(follower.env.tokenizer)
        self.encoder = PathEncoder(follower.decoder.visual, follower.angle, hidden)
        self.decoder = WordDecoder(self.vocabulary, hidden)
        self.parts = [self.encoder, self.decoder]
        self.optimisers = [torch.optim.Adam(part.parameters(), lr=1e-4) for part in self.parts]

    def iterate(self, ids: list[str]) -> float:
        """Run one update by teacher forcing; return the loss."""
        for part, optimiser in zip(self.parts, self.optimisers, strict=True):
            part.train()
            optimiser.zero_grad()
        context, padding, tokens = self.encode(ids, None)
        logits, _ = self.decoder(tokens, context, padding, self.start(len(ids)))
        logits = logits.permute(0, 2, 1).contiguous()  # (B, V, L)
        loss = functional.cross_entropy(logits[:, :, :-1], tokens[:, 1:], ignore_index=PAD)
        loss.backward()
        for part, optimiser in zip(self.parts, self.optimisers, strict=True):
            nn.utils.clip_grad_norm_(part.parameters(), 40.0)
            optimiser.step()
        return loss.item()

    def generate(self, ids: list[str], mask: Tensor, longest: int) -> np.ndarray:
        """Return greedy instructions (B, L) of at most `longest` tokens, start and end included."""
        for part in self.parts:
            part.eval()
        context, padding, _ = self.encode(ids, mask)
        state = self.start(len(ids))
        words = torch.full((len(ids), 1), self.vocabulary - 1)
        generated, ended = [words.squeeze(1).numpy()], np.zeros(len(ids), bool)
        while len(generated) < longest and not ended.all():
            logits, state = self.decoder(words, context, padding, state)
            logits = logits.squeeze(1)
            logits[:, UNKNOWN] = -float("inf")
            words = logits.max(1).indices.unsqueeze(1)
            generated.append(np.where(ended, PAD, words.squeeze(1).numpy()))
            ended |= generated[-1] == END
        generated[-1] = np.where(generated[-1] == PAD, PAD, END)
        return np.stack(generated, 1)

    def start(self, rows: int) -> State:
        """Return the first state of the LSTM over the words."""
        return torch.zeros(1, rows, self.hidden), torch.zeros(1, rows, self.hidden)

    def encode(self, ids: list[str], mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """Walk the teacher's paths; return them (B, T, H), their padding (B, T), and the words."""
        env, rows = self.follower.env, np.arange(len(ids))
        observation, info = env.reset(options={"episode_ids": ids})
        tokens = torch.from_numpy(observation["instruction"]).long()
        ended = np.zeros(len(ids), bool)
        panoramas, taken, padding = [], [], []
        while not ended.all():
            inputs = self.follower.to_tensors(observation)
            actions = np.where(ended, 0, info["teacher_action"])
            panoramas.append(inputs["panorama"])
            taken.append(inputs["candidates"][rows, actions])
            padding.append(torch.from_numpy(ended.copy()))
            observation, _, stopped, truncated, info = env.step(actions)
            ended |= stopped | truncated
        context = self.encoder(torch.stack(panoramas, 1), torch.stack(taken, 1), mask)
        return context, torch.stack(padding, 1), tokens


class Rollouts(NamedTuple):
    """Environment and episodes of the two rollouts of a loss: imitation and reinforcement."""

    env: VlnVectorEnv
    imitate: list[str]
    explore: list[str]


def back_translate(speaker: PlainSpeaker, human: Rollouts, sampled: Rollouts, longest: int) -> None:
    """Update a follower by human instructions, and by sampled paths that the speaker describes."""
    follower = speaker.follower

    def described(ids: list[str], choice: Choice, reinforce: bool) -> Tensor:
        mask = follower.decoder.drop_features(torch.ones(follower.decoder.visual))
        tokens = speaker.generate(ids, mask, longest)
        return follower.rollout(ids, choice, reinforce, tokens, mask)

    follower.clear()
    follower.env = human.env
    loss = 0.2 * follower.rollout(human.imitate, teacher_forced, reinforce=False)
    loss = loss + follower.rollout(human.explore, follower.sample, reinforce=True)
    follower.env = sampled.env
    loss = loss + 0.6 * described(sampled.imitate, teacher_forced, False)
    follower.update(loss + described(sampled.explore, follower.sample, True))
