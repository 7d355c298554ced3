"""The EnvDrop speaker: generates an instruction for a path.

After CLIP-ViL's `r2r_src/model.py` (SpeakerEncoder, SpeakerDecoder), without the projections that
no output depends on, and with the encoding of a path independent of its batch. Letters in shapes: B
paths, T steps of the longest path, M steps of all paths, L words, E embedding width, H hidden
width, F width of a view, V vocabulary size.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.layers.attention import AttendedState, Dropout
from clipnav.agents.layers.encoders import PAD, Context, without_padding
from clipnav.agents.layers.recurrent import LSTM, BidirectionalLSTM, read_real
from clipnav.agents.layers.visual import FeatureScale, VisualNoise
from clipnav.agents.settings import SpeakerConfig

# Ids in every vocabulary; the last id of a vocabulary is the start token.
UNKNOWN, END = 1, 2


class PathViews(NamedTuple):
    """Views along B paths with M steps in total; the last step of each path is the stop.

    Attributes:
        rows: (M,) index of the path of each step.
        steps: (M,) index of each step in its path, from 0.
        panorama: (M, 36, F) features of the views.
        taken: (M, F) features of the chosen candidate; zero for stop.
        stops: (M,) bool, true at the stop.
    """

    rows: Tensor
    steps: Tensor
    panorama: Tensor
    taken: Tensor
    stops: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """Arrange values (M, W) of steps as (B, T, W), padded with zero."""
        shape = int(self.rows.max()) + 1, int(self.steps.max()) + 1, values.shape[1]
        return values.new_zeros(shape).index_put((self.rows, self.steps), values)


class PathEncoder(nn.Module):
    """Encoder of a path: an LSTM over actions, attention to the views, an LSTM over its results."""

    def __init__(self, width: int, config: SpeakerConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.moves = BidirectionalLSTM(width, hidden)
        self.views = AttendedState(hidden, width)
        self.sights = BidirectionalLSTM(hidden, hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, seen: PathViews, noise: VisualNoise | None) -> Context:
        """Encode paths; `noise` drops visual features and has a row for each step."""
        panorama, taken, gate = seen.panorama, seen.taken, None
        if noise is not None:
            panorama, taken = noise.drop_(panorama), noise.drop_(taken.unsqueeze(1)).squeeze(1)
            gate = noise.gate(panorama)  # (M, F)
            taken = taken if gate is None else taken * gate
        mask = seen.spread(torch.ones_like(taken[:, :1])).squeeze(2) > 0  # (B, T)
        moves, _ = self.moves(seen.spread(taken), mask)  # (B, T, H)
        moves = self.dropout(moves[seen.rows, seen.steps])  # (M, H)
        sights, _ = self.views(moves, panorama, gate=gate)  # (M, H)
        sights, _ = self.sights(seen.spread(self.dropout(sights)), mask)  # (B, T, H)
        return Context(self.dropout(sights), mask)


class WordDecoder(nn.Module):
    """Decoder of the next word from the previous words and the encoded path."""

    def __init__(self, vocabulary: int, languages: int, config: SpeakerConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.embedding = nn.Embedding(vocabulary, config.embedding_size, padding_idx=PAD)
        self.language = nn.Embedding(languages, hidden) if languages > 1 else None
        self.read = LSTM(config.embedding_size, hidden, batch_first=True)
        self.path = AttendedState(hidden, hidden)
        self.word = nn.Linear(hidden, vocabulary)
        self.dropout = Dropout(config.dropout)

    def start(self, languages: Tensor) -> tuple[Tensor, Tensor]:
        """Return the initial LSTM state (1, B, H) for languages (B,); zero for one language."""
        if self.language is None:
            zero = self.word.weight.new_zeros(1, len(languages), self.word.in_features)
            return zero, zero
        hidden = torch.tanh(self.language(languages)).unsqueeze(0)
        return hidden, torch.zeros_like(hidden)

    def forward(
        self, words: Tensor, context: Context, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the attended states (B, H) after the words (B, 1), and the LSTM state."""
        hidden, state = self.read(self.dropout(self.embedding(words)), state)  # (B, 1, H)
        attended, _ = self.path(self.dropout(hidden.squeeze(1)), context.words, context.mask)
        return self.dropout(attended), state

    def each(
        self, words: Tensor, real: Tensor, context: Context, state: tuple[Tensor, Tensor]
    ) -> Tensor:
        """Return the attended states (N, H) after each of N words, row after row.

        Args:
            words: (B, L) token ids.
            real: (B, L) bool, true on the N words, which precede the padding.
        """
        hidden = read_real(self.read, self.dropout(self.embedding(words)), real, state)  # (N, H)
        attended = self.path.each(self.dropout(hidden), real, context.words, context.mask)
        return self.dropout(attended)


class Speaker(nn.Module):
    """Path encoder and word decoder."""

    def __init__(
        self, vocabulary: int, visual: int, angle: int, languages: int, config: SpeakerConfig
    ) -> None:
        super().__init__()
        self.config = config
        self.visual, self.angle = visual, angle
        self.encoder = PathEncoder(visual + angle, config)
        self.decoder = WordDecoder(vocabulary, languages, config)
        scaled = config.standardise and visual > 0
        self.scale = FeatureScale(visual, angle) if scaled else None

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes that must match for weights to be loaded."""
        return {
            "vocabulary size": str(self.decoder.embedding.num_embeddings),
            "visual width": str(self.visual),
            "angle width": str(self.angle),
            "hidden size": str(self.config.hidden_size),
            "embedding size": str(self.config.embedding_size),
        }

    def encode(self, seen: PathViews, noise: VisualNoise | None = None) -> Context:
        """Encode paths with the features of an environment; `noise` has a row for each step."""
        if self.scale is not None:
            taken = self.scale.features(seen.taken).masked_fill(seen.stops.unsqueeze(1), 0.0)
            seen = seen._replace(panorama=self.scale.features(seen.panorama), taken=taken)
        return self.encoder(seen, noise)

    def log_probs(self, context: Context, tokens: Tensor, languages: Tensor) -> Tensor:
        """Return the log-probability (B, L - 1) of each next token, zero for padding.

        Args:
            tokens: (B, L) token ids of the instructions, padded at the end.
            languages: (B,) language ids.
        """
        tokens = without_padding(tokens).long()
        targets = tokens[:, 1:]
        real = targets != PAD  # (B, L-1)
        start = self.decoder.start(languages)
        logits = self.decoder.word(
            self.decoder.each(tokens[:, :-1], real, context, start)
        )  # (N, V)
        log_probs = -functional.cross_entropy(logits, targets[real], reduction="none")
        return log_probs.new_zeros(real.shape).masked_scatter(real, log_probs)

    def generate(self, context: Context, languages: Tensor, longest: int) -> np.ndarray:
        """Generate instructions by greedy decoding, without the unknown word.

        Args:
            languages: (B,) language ids.

        Returns:
            (B, L) int32 token ids, padded at the end; L is at most `longest`.
        """
        generated = np.full((len(languages), longest), PAD, np.int32)
        first = self.decoder.word.out_features - 1
        generated[:, 0] = first
        live = np.arange(len(languages))
        words = torch.full((len(live), 1), first, device=languages.device)
        state = self.decoder.start(languages)
        for position in range(1, longest):
            hidden, state = self.decoder(words, context, state)  # (N, H)
            logits = self.decoder.word(hidden)  # (N, V)
            logits[:, [PAD, UNKNOWN, first]] = -torch.inf
            words = logits.argmax(1, keepdim=True)  # (N, 1)
            chosen = words[:, 0].cpu().numpy()
            generated[live, position] = END if position == longest - 1 else chosen
            unfinished = np.flatnonzero(chosen != END)
            if len(unfinished) < len(live):
                live, index = live[unfinished], torch.from_numpy(unfinished).to(words.device)
                words, context = words[index], context.rows(index)
                state = state[0][:, index], state[1][:, index]
            if not live.size:
                break
        return without_padding(generated)
