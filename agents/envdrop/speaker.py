"""The EnvDrop speaker: looks at a path, says an instruction that describes it.

After CLIP-ViL's `r2r_src/model.py` (SpeakerEncoder, SpeakerDecoder), without the projections that
no output depends on, and with paths encoded independently of their batch. Letters in the shape
comments: B paths, T steps of the longest, M steps of all together, L words, E embedding, H hidden,
F width of a view, V vocabulary.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.configs import SpeakerConfig
from agents.envdrop.attention import AttendedState, Dropout
from agents.envdrop.encoders import PAD, Context
from agents.envdrop.recurrent import BidirectionalLSTM
from agents.envdrop.visual import VisualNoise, VisualScale

# Places in every vocabulary; its last entry begins a sentence.
UNKNOWN, END = 1, 2


class PathViews(NamedTuple):
    """What is seen along B paths: M steps in all, the last of each path being the stop.

    Attributes:
        rows: (M,) path of each step.
        steps: (M,) place of each step in its path, from 0.
        panorama: (M, 36, F) features of the views.
        taken: (M, F) features of the candidate that is taken; zero for stop.
        stops: (M,) true where the path ends.
    """

    rows: Tensor
    steps: Tensor
    panorama: Tensor
    taken: Tensor
    stops: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """Put values (M, W) of steps at their places: (B, T, W), zero where there is no step."""
        shape = int(self.rows.max()) + 1, int(self.steps.max()) + 1, values.shape[1]
        return values.new_zeros(shape).index_put((self.rows, self.steps), values)


class PathEncoder(nn.Module):
    """Reads the steps of a path, looks around at each, and reads what it saw."""

    def __init__(self, width: int, config: SpeakerConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.moves = BidirectionalLSTM(width, hidden)
        self.views = AttendedState(hidden, width)
        self.sights = BidirectionalLSTM(hidden, hidden)
        self.dropout = Dropout(config.dropout)

    def forward(self, seen: PathViews, noise: VisualNoise | None) -> Context:
        """Encode paths; `noise` drops visual features, with a row for each step."""
        panorama, taken, gate = seen.panorama, seen.taken, None
        if noise is not None:
            panorama, taken = noise.drop(panorama), noise.drop(taken.unsqueeze(1)).squeeze(1)
            gate = noise.gate(panorama)  # (M, F)
            taken = taken if gate is None else taken * gate
        mask = seen.spread(torch.ones_like(taken[:, :1])).squeeze(2) > 0  # (B, T)
        moves, _ = self.moves(seen.spread(taken), mask)  # (B, T, H)
        moves = self.dropout(moves[seen.rows, seen.steps])  # (M, H)
        sights, _ = self.views(moves, panorama, gate=gate)  # (M, H)
        sights, _ = self.sights(seen.spread(self.dropout(sights)), mask)  # (B, T, H)
        return Context(self.dropout(sights), mask)


class WordDecoder(nn.Module):
    """Says the next word, given the words before and the encoded path."""

    def __init__(self, vocabulary: int, languages: int, config: SpeakerConfig) -> None:
        super().__init__()
        hidden = config.hidden_size
        self.embedding = nn.Embedding(vocabulary, config.embedding_size, padding_idx=PAD)
        self.language = nn.Embedding(languages, hidden) if languages > 1 else None
        self.read = nn.LSTM(config.embedding_size, hidden, batch_first=True)
        self.path = AttendedState(hidden, hidden)
        self.word = nn.Linear(hidden, vocabulary)
        self.dropout = Dropout(config.dropout)

    def start(self, languages: Tensor) -> tuple[Tensor, Tensor]:
        """LSTM state (1, B, H) before the first word in languages (B,): zero if there is one."""
        if self.language is None:
            zero = self.word.weight.new_zeros(1, len(languages), self.word.in_features)
            return zero, zero
        hidden = torch.tanh(self.language(languages)).unsqueeze(0)
        return hidden, torch.zeros_like(hidden)

    def forward(
        self, tokens: Tensor, context: Context, state: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Read words (B, L); gives what each next word (B, L, H) is chosen by, and the state."""
        hidden, state = self.read(self.dropout(self.embedding(tokens)), state)  # (B, L, H)
        mixed = self.path.each(self.dropout(hidden), context.words, context.mask)
        return self.dropout(mixed), state


class Speaker(nn.Module):
    """Path encoder and word decoder together.

    Args:
        vocabulary: V, number of words, the marks among them.
        visual: Width of the visual part of a view.
        angle: Width of the angle part.
        languages: Number of languages to tell apart.
        config: Sizes and noise.
    """

    def __init__(
        self,
        vocabulary: int,
        visual: int,
        angle: int,
        languages: int,
        config: SpeakerConfig,
    ) -> None:
        super().__init__()
        self.config = config
        self.visual, self.angle = visual, angle
        self.encoder = PathEncoder(visual + angle, config)
        self.decoder = WordDecoder(vocabulary, languages, config)
        scaled = config.standardise and visual > 0
        self.scale = VisualScale(visual, angle) if scaled else None

    @property
    def architecture(self) -> dict[str, str]:
        """What must be alike for weights to fit."""
        return {
            "vocabulary size": str(self.decoder.embedding.num_embeddings),
            "visual width": str(self.visual),
            "angle width": str(self.angle),
            "hidden size": str(self.config.hidden_size),
            "embedding size": str(self.config.embedding_size),
        }

    def encode(self, seen: PathViews, noise: VisualNoise | None = None) -> Context:
        """Encode paths as an environment shows them; `noise` has a row for each step."""
        if self.scale is not None:
            taken = self.scale.features(seen.taken).masked_fill(seen.stops.unsqueeze(1), 0.0)
            seen = seen._replace(panorama=self.scale.features(seen.panorama), taken=taken)
        return self.encoder(seen, noise)

    def log_probs(self, context: Context, tokens: Tensor, languages: Tensor) -> Tensor:
        """Log-log_prob of each word of instructions, given the words before it.

        Args:
            context: Encoded paths.
            tokens: (B, L) from first to last token, then padding.
            languages: (B,).

        Returns:
            (B, L - 1), zero for padding.
        """
        tokens = tokens[:, : int((tokens != PAD).sum(1).max())].long()
        hidden, _ = self.decoder(tokens[:, :-1], context, self.decoder.start(languages))
        wanted = tokens[:, 1:]
        real = wanted != PAD  # (B, L-1)
        # Words of padding are not worth a row of the largest matrix.
        logits = self.decoder.word(hidden[real])  # (N, V)
        spoken = -functional.cross_entropy(logits, wanted[real], reduction="none")
        return spoken.new_zeros(real.shape).masked_scatter(real, spoken)

    def generate(self, context: Context, languages: Tensor, longest: int) -> np.ndarray:
        """Say the likeliest next word, again and again; never the unknown one.

        Args:
            context: Encoded paths.
            languages: (B,).
            longest: Tokens of an instruction, the marks at its ends included.

        Returns:
            (B, L) int32 from first to last token, then padding; L is `longest` at most.
        """
        spoken = np.full((len(languages), longest), PAD, np.int32)
        first = self.decoder.word.out_features - 1
        spoken[:, 0] = first
        live = np.arange(len(languages))
        words = torch.full((len(live), 1), first, device=languages.device)
        state = self.decoder.start(languages)
        for place in range(1, longest):
            hidden, state = self.decoder(words, context, state)  # (N, 1, H)
            logits = self.decoder.word(hidden[:, 0])  # (N, V)
            logits[:, [PAD, UNKNOWN, first]] = -torch.inf
            words = logits.argmax(1, keepdim=True)  # (N, 1)
            chosen = words[:, 0].cpu().numpy()
            spoken[live, place] = END if place == longest - 1 else chosen
            on = np.flatnonzero(chosen != END)
            if len(on) < len(live):
                live, index = live[on], torch.from_numpy(on).to(words.device)
                words, context = words[index], context.rows(index)
                state = state[0][:, index], state[1][:, index]
            if not live.size:
                break
        return spoken[:, : int((spoken != PAD).sum(1).max())]
