"""The EnvDrop follower: reads an instruction, looks around, chooses the next viewpoint.

After "Learning to Navigate Unseen Environments" (Tan, Yu, Bansal 2019, section 3.2) as CLIP-ViL
trains it, without that code's projections that no output depends on. Letters in the shape comments:
B episodes, L words, H hidden, K candidates (0 = stop), D visual and A angle width of a view,
F = D + A.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.configs import FeatureDropout, FollowerConfig
from agents.envdrop.attention import AttendedState, AttentionHistory, Dropout, SoftDotAttention
from agents.envdrop.deferred import LSTMCell, RecurrentLinear
from agents.envdrop.encoders import Context, InstructionEncoder, State
from agents.envdrop.pretrained import PretrainedEncoder
from agents.envdrop.visual import View, VisualNoise, VisualScale

_STRIDE = 2.2  # metres between neighbours, on average, in Matterport3D as in the houses
_EMBEDDING = "encoder.embedding.weight"


class Decision(NamedTuple):
    """What one step of the decoder gives.

    Attributes:
        scores: (B, K) logits of the candidates, minus infinity where impossible.
        state: the next state.
        hidden: (B, H) of the LSTM, which a critic judges.
        word_weights: (B, L) attention over the instruction.
        view_weights: (B, 36) attention over the panorama.
    """

    scores: Tensor
    state: State
    hidden: Tensor
    word_weights: Tensor
    view_weights: Tensor


class CandidateEmbedding(nn.Module):
    """Two layers that read a candidate by itself."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.read = RecurrentLinear(width, hidden)
        self.combine = RecurrentLinear(hidden, hidden)

    def forward(self, candidates: Tensor, gate: Tensor | None) -> Tensor:
        """Embeddings (B, K, H) of candidates (B, K, F), times a gate (B, F) if there is one."""
        if gate is not None:
            candidates = candidates * gate.unsqueeze(1)
        return self.combine(torch.relu(self.read(candidates)))


class Decoder(nn.Module):
    """One step of the follower: views and words in, scores of the candidates out."""

    def __init__(self, visual: int, angle: int, config: FollowerConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, visual + angle
        self.action = nn.Linear(angle, config.action_size)
        self.views = SoftDotAttention(hidden, width)
        self.cell = LSTMCell(config.action_size + width, hidden)
        self.words = AttendedState(hidden, hidden)
        self.place = AttentionHistory(hidden) if config.location_aware_attention else None
        self._sees_distances = config.distance_feature
        told = width + self._sees_distances
        self.embed = CandidateEmbedding(told, hidden) if config.candidate_mlp else None
        self.candidates = SoftDotAttention(hidden, told if self.embed is None else hidden)
        self.marks = nn.Linear(hidden, 2) if config.visit_features else None
        self.dropout = Dropout(config.dropout)

    def forward(
        self, view: View, context: Context, state: State, noise: VisualNoise | None = None
    ) -> Decision:
        """Look, read, and score the candidates; `noise` drops visual features."""
        panorama, candidates = view.panorama, view.candidates  # (B, 36, F), (B, K, F)
        gate = None
        if noise is not None:
            panorama, candidates = noise.drop(panorama), noise.drop(candidates)
            gate = noise.gate(panorama)  # (B, F), of all that is seen in this step

        action = self.dropout(torch.tanh(self.action(view.angle)))  # (B, action)
        query = self.dropout(state.attended)  # (B, H)
        seen, view_weights = self.views(query, panorama, gate=gate)  # (B, F), (B, 36)
        inputs = torch.cat([action, seen], 1)  # (B, action + F)
        hidden, cell = self.cell(inputs, (state.attended, state.cell))  # (B, H) each

        query = self.dropout(hidden)
        bias = None if self.place is None else self.place(query, state.read)
        attended, word_weights = self.words(query, context.words, context.mask, bias=bias)
        read = state.read if self.place is None else self.place.read_on(state.read, word_weights)
        query = self.dropout(attended)
        if self._sees_distances:
            candidates = torch.cat([candidates, view.distances.unsqueeze(2) / _STRIDE], 2)
            gate = None if gate is None else functional.pad(gate, (0, 1), value=1.0)
        if self.embed is not None:
            candidates = self.dropout(self.embed(candidates, gate))  # (B, K, H)
            gate = None
        scores = self.candidates.scores(query, candidates, gate)  # (B, K)
        if self.marks is not None:
            if view.visits is None:
                raise ValueError("a follower that marks visits needs View.visits")
            been = torch.stack([view.visits.clamp(max=1), view.visits], 1)  # (B, 2, K)
            scores = scores + torch.bmm(self.marks(query).unsqueeze(1), been).squeeze(1)
        # Whatever the precision inside, losses and choices are made of full numbers.
        scores = scores.float().masked_fill(~view.mask, -torch.inf)
        state = State(attended, cell, read)
        return Decision(scores, state, hidden.float(), word_weights, view_weights)


class Follower(nn.Module):
    """Encoder and decoder together.

    Args:
        encoder: Reads instructions.
        visual: D.
        angle: A.
        config: Sizes and noise.
    """

    def __init__(
        self,
        encoder: InstructionEncoder | PretrainedEncoder,
        visual: int,
        angle: int,
        config: FollowerConfig,
    ) -> None:
        super().__init__()
        self.config = config
        self.visual, self.angle = visual, angle
        self.encoder = encoder
        self.decoder = Decoder(visual, angle, config)
        scaled = config.standardise and visual > 0
        self.scale = VisualScale(visual, angle) if scaled else None

    @property
    def architecture(self) -> dict[str, str]:
        """What must be alike for weights to fit."""
        return {
            **self.encoder.architecture,
            "visual width": str(self.visual),
            "angle width": str(self.angle),
            "hidden size": str(self.config.hidden_size),
            "embeds candidates": "yes" if self.config.candidate_mlp else "no",
            "keeps place": "yes" if self.config.location_aware_attention else "no",
            "sees distances": "yes" if self.config.distance_feature else "no",
            "marks visits": "yes" if self.visit_features else "no",
        }

    @property
    def visit_features(self) -> bool:
        """Whether views must tell how often the walk has been at each candidate's place."""
        return self.decoder.marks is not None

    def load(self, other: "Follower", words: np.ndarray) -> None:
        """Take the weights of a follower of the same sizes that may have read other words.

        Args:
            other: Its weights.
            words: (N, 2) number there and number here of the words that both read; the embeddings
                of all others here stay as they are.
        """
        weights = other.state_dict()
        if _EMBEDDING in weights:
            there, here = torch.from_numpy(words).T
            embedding = self.state_dict()[_EMBEDDING].clone()
            embedding[here] = weights[_EMBEDDING][there]
            weights[_EMBEDDING] = embedding
        self.load_state_dict(weights)

    def decide(
        self, view: View, context: Context, state: State, noise: VisualNoise | None = None
    ) -> Decision:
        """Score the candidates of a view as it comes from an environment."""
        if self.scale is not None:
            view = self.scale(view)
        return self.decoder(view, context, state, noise)

    def noise(self, scans: Tensor, kind: FeatureDropout | None = None) -> VisualNoise | None:
        """Feature dropout for a batch of episodes; none in evaluation mode.

        Args:
            scans: (B,) number of the building of each episode.
            kind: What shares a mask, if not what the configuration says.
        """
        if not self.training:
            return None
        rate, kind = self.config.feature_dropout, kind or self.config.feature_dropout_kind
        return VisualNoise(rate, kind, self.visual, self.visual + self.angle, scans)
