"""The EnvDrop follower: an attentive LSTM decoder over views and words that scores candidates.

After "Learning to Navigate Unseen Environments" (Tan, Yu, Bansal 2019, section 3.2) as CLIP-ViL
trains it, without the projections of that code that no output depends on. Letters in shapes: B
episodes, L words, H hidden width, K candidates (0 = stop), D visual and A angle width of a view,
F = D + A.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.envdrop.grounding import ObjectHead
from clipnav.agents.layers.accumulated import LSTMCell, RecurrentLinear
from clipnav.agents.layers.attention import (
    AttendedState,
    AttentionHistory,
    Dropout,
    SoftDotAttention,
)
from clipnav.agents.layers.encoders import Context, InstructionEncoder, State
from clipnav.agents.layers.pretrained import PretrainedEncoder, StateReader
from clipnav.agents.layers.visual import FeatureScale, PanoramaView, ViewEncoder, VisualNoise
from clipnav.agents.settings import FeatureDropout, FollowerConfig

_STRIDE = 2.2  # mean distance of neighbours in metres, in Matterport3D and in the houses
_EMBEDDING = "encoder.embedding.weight"


class FollowerDecision(NamedTuple):
    """Output of one step of the decoder.

    Attributes:
        scores: (B, K) logits of the candidates, minus infinity for impossible actions.
        hidden: (B, H) hidden state of the LSTM, the input of a critic.
        word_weights: (B, L) attention weights over the instruction.
        view_weights: (B, 36) attention weights over the panorama.
        contrast: (2, B, H) attended words of the instructions and of the paired instructions, None
            without paired instructions.
    """

    scores: Tensor
    state: State
    hidden: Tensor
    word_weights: Tensor
    view_weights: Tensor
    contrast: Tensor | None = None


class CandidateEmbedding(nn.Module):
    """Two-layer perceptron over the features of a candidate."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.read = RecurrentLinear(width, hidden)
        self.combine = RecurrentLinear(hidden, hidden)

    def forward(self, candidates: Tensor, gate: Tensor | None) -> Tensor:
        """Return embeddings (B, K, H) of candidates (B, K, F).

        The features are multiplied by the gate (B, F), if there is one.
        """
        if gate is not None:
            candidates = candidates * gate.unsqueeze(1)
        return self.combine(torch.relu(self.read(candidates)))


class Decoder(nn.Module):
    """One step of the follower: scores of the candidates from views, words and state."""

    def __init__(self, visual: int, angle: int, config: FollowerConfig) -> None:
        super().__init__()
        hidden, width = config.hidden_size, visual + angle
        self.action = nn.Linear(angle, config.action_size)
        self.views = SoftDotAttention(hidden, width)
        self.cell = LSTMCell(config.action_size + width, hidden)
        self.words = AttendedState(hidden, hidden)
        self.history = AttentionHistory(hidden) if config.location_aware_attention else None
        self._distance_feature = config.distance_feature
        features = width + self._distance_feature
        self.embed = CandidateEmbedding(features, hidden) if config.candidate_mlp else None
        self.candidates = SoftDotAttention(hidden, features if self.embed is None else hidden)
        self.visits = nn.Linear(hidden, 2) if config.visit_features else None
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        view: PanoramaView,
        context: Context,
        state: State,
        noise: VisualNoise | None = None,
        paired: Context | None = None,
    ) -> FollowerDecision:
        """Attend to views and words, and score the candidates."""
        panorama, candidates = view.panorama, view.candidates  # (B, 36, F), (B, K, F)
        gate = None
        if noise is not None:
            panorama, candidates = noise.drop_(panorama), noise.drop_(candidates)
            gate = noise.gate(panorama)  # (B, F), for all views of this step

        action = self.dropout(torch.tanh(self.action(view.angle)))  # (B, action)
        query = self.dropout(state.attended)  # (B, H)
        seen, view_weights = self.views(query, panorama, gate=gate)  # (B, F), (B, 36)
        inputs = torch.cat([action, seen], 1)  # (B, action + F)
        hidden, cell = self.cell(inputs, (state.attended, state.cell))  # (B, H) each

        query = self.dropout(hidden)
        history = state.history
        bias = None if self.history is None else self.history(query, history)
        attended, word_weights = self.words(
            query, context.words, context.mask, bias=bias, collector=context.collector
        )
        contrast = None if paired is None else self._contrast(query, context, paired)
        if self.history is not None:
            history = self.history.updated(history, word_weights)
        query = self.dropout(attended)
        if self._distance_feature:
            candidates = torch.cat([candidates, view.distances.unsqueeze(2) / _STRIDE], 2)
            gate = None if gate is None else functional.pad(gate, (0, 1), value=1.0)
        if self.embed is not None:
            candidates = self.dropout(self.embed(candidates, gate))  # (B, K, H)
            gate = None
        scores = self.candidates.scores(query, candidates, gate)  # (B, K)
        if self.visits is not None:
            if view.visits is None:
                raise ValueError("a follower with visit features requires PanoramaView.visits")
            counts = torch.stack([view.visits.clamp(max=1), view.visits], 1)  # (B, 2, K)
            scores = scores + torch.bmm(self.visits(query).unsqueeze(1), counts).squeeze(1)
        # Losses and choices are computed in float32, whatever the precision of the products.
        scores = scores.float().masked_fill(~view.mask, -torch.inf)
        state = State(attended, cell, history)
        return FollowerDecision(scores, state, hidden.float(), word_weights, view_weights, contrast)

    def _contrast(self, query: Tensor, context: Context, paired: Context) -> Tensor:
        """Return (2, B, H) what a query (B, H) attends to in two instructions, by content only."""
        attend = self.words.attention
        parts = [
            attend(query, part.words, part.mask, collector=part.collector)[0]
            for part in (context, paired)
        ]
        return torch.stack(parts)


class Follower(nn.Module):
    """Instruction encoder and action decoder."""

    def __init__(
        self,
        encoder: InstructionEncoder | PretrainedEncoder | StateReader,
        visual: int,
        angle: int,
        config: FollowerConfig,
        view_encoder: ViewEncoder | None = None,
        object_size: int | None = None,
    ) -> None:
        """Build an untrained follower; `object_size` is the width of objects, None without."""
        super().__init__()
        self.config = config
        self.visual, self.angle = visual, angle
        self.encoder = encoder
        self.decoder = Decoder(visual, angle, config)
        self.view_encoder = view_encoder
        scaled = config.standardise and visual > 0 and view_encoder is None
        self.scale = FeatureScale(visual, angle) if scaled else None
        size = config.hidden_size
        self.objects = None if object_size is None else ObjectHead(size, object_size)

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded."""
        return {
            **self.encoder.architecture,
            **({} if self.view_encoder is None else self.view_encoder.architecture),
            "visual width": str(self.visual),
            **({} if self.objects is None else {"object width": str(self.objects.width)}),
            "angle width": str(self.angle),
            "hidden size": str(self.config.hidden_size),
            "candidate MLP": "yes" if self.config.candidate_mlp else "no",
            "location-aware attention": "yes" if self.config.location_aware_attention else "no",
            "distance feature": "yes" if self.config.distance_feature else "no",
            "visit features": "yes" if self.visit_features else "no",
        }

    @property
    def visit_features(self) -> bool:
        """Whether views must contain the number of visits of each candidate."""
        return self.decoder.visits is not None

    def load(self, other: "Follower", words: np.ndarray) -> None:
        """Copy the weights of a follower of the same sizes, whose vocabulary may differ.

        Args:
            words: (N, 2) ids of each shared word, in the other's vocabulary and in this one's. The
                embeddings of all other words are kept.
        """
        weights = other.state_dict()
        if _EMBEDDING in weights:
            source, target = torch.from_numpy(words).T
            embedding = self.state_dict()[_EMBEDDING].clone()
            embedding[target] = weights[_EMBEDDING][source]
            weights[_EMBEDDING] = embedding
        self.load_state_dict(weights)

    def decide(
        self,
        view: PanoramaView,
        context: Context,
        state: State,
        noise: VisualNoise | None = None,
        paired: Context | None = None,
    ) -> FollowerDecision:
        """Score the candidates of a view with the features of the environment, unscaled.

        Arguments are those of `Decoder.forward`.
        """
        if self.view_encoder is not None:
            view = self.view_encoder(view)
        if self.scale is not None:
            view = self.scale(view)
        return self.decoder(view, context, state, noise, paired)

    def noise(self, scans: Tensor, kind: FeatureDropout | None = None) -> VisualNoise | None:
        """Return the feature dropout of a batch of episodes; None in evaluation mode.

        Args:
            scans: (B,) index of the building of each episode.
        """
        if not self.training:
            return None
        rate, kind = self.config.feature_dropout, kind or self.config.feature_dropout_kind
        return VisualNoise(rate, kind, self.visual, self.visual + self.angle, scans)
