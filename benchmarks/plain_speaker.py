"""A baseline implementation of EnvDrop's speaker and back-translation, for `speaking.py`.

It reproduces the computations of the released code (`r2r_src/speaker.py`, `r2r_src/model.py` and
the loop `auglistener` of `r2r_src/train.py`), not its text. All rows walk until the longest path
ends, and padding is computed everywhere: in the attention to 36 views, in both LSTMs over the path,
which are not packed, and in the projection of the words to the vocabulary. Feature dropout draws a
mask over all features of all views and steps. The encoded path is copied for every word. All rows
decode until the last instruction ends, and the decoding builds an autograd graph without a backward
pass. Back-translation describes the paths of both rollouts separately. Observations are assembled
by `PlainAgent.to_tensors`.
"""

from typing import NamedTuple

import numpy as np
import torch
from plain_envdrop import Attention, Choice, PlainAgent, teacher_forced
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.envdrop.speaker import END, UNKNOWN
from clipnav.agents.layers.encoders import PAD
from clipnav.envs.navigation.vector_env import VlnVectorEnv

State = tuple[Tensor, Tensor]


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


class Paths(NamedTuple):
    """Views along B paths: (B, T, 36, F), chosen candidates (B, T, F), padding (B, T), words."""

    panoramas: Tensor
    taken: Tensor
    padding: Tensor
    tokens: Tensor


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
        paths = self.walk(ids)
        context = self.encoder(paths.panoramas, paths.taken, None)
        logits, _ = self.decoder(paths.tokens, context, paths.padding, self.start(len(ids)))
        logits = logits.permute(0, 2, 1).contiguous()  # (B, V, L)
        loss = functional.cross_entropy(logits[:, :, :-1], paths.tokens[:, 1:], ignore_index=PAD)
        loss.backward()
        for part, optimiser in zip(self.parts, self.optimisers, strict=True):
            nn.utils.clip_grad_norm_(part.parameters(), 40.0)
            optimiser.step()
        return loss.item()

    def generate(self, ids: list[str], mask: Tensor, longest: int) -> np.ndarray:
        """Return greedy instructions (B, L) of at most `longest` tokens, start and end included."""
        for part in self.parts:
            part.eval()
        paths = self.walk(ids)
        context = self.encoder(paths.panoramas, paths.taken, mask)
        state = self.start(len(ids))
        words = torch.full((len(ids), 1), self.vocabulary - 1)
        generated, ended = [words.squeeze(1).numpy()], np.zeros(len(ids), bool)
        while len(generated) < longest and not ended.all():
            logits, state = self.decoder(words, context, paths.padding, state)
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

    def walk(self, ids: list[str]) -> Paths:
        """Walk the paths of the teacher until the longest has ended."""
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
        return Paths(
            torch.stack(panoramas, 1), torch.stack(taken, 1), torch.stack(padding, 1), tokens
        )


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
