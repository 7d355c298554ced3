"""MoVie+MCAN with three branches, the "MCAN" of CLIP-ViL.

Nguyen et al., "MoVie: Revisiting Modulated Convolutions for Visual Counting and Beyond" (arXiv
2004.11883), in the form of mmf's `movie_mcan`. One branch is MCAN's guided attention, another a
stack of convolutions that the question modulates, the third both together; only that one answers
outside of training.

mmf pads every grid with zeros to 32 x 32 places and lets them all take part. Here padding takes no
part, neither in attention nor in means, and convolutions see zeros there; `faithful` brings mmf's
way back.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vl_tasks.grids.grids import Grids
from vl_tasks.networks.mcan import GuidedPlaces, Pooling, QuestionReader
from vl_tasks.settings.configs import McanConfig

_BOTTLENECKS = 4
_COMPRESSION = 4  # of bottlenecks, and of squeeze and excitation
_FAITHFUL_SIDE = 32  # mmf: the root of `max_features` 1024, rounded up


class Gates(nn.Module):
    """Squeeze and excitation of channels, then a gate for each place from a 7 x 7 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // _COMPRESSION, bias=False)
        self.excite = nn.Linear(width // _COMPRESSION, width, bias=False)
        self.place = nn.Conv2d(1, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Gated x (B, W, h, w), 0 where the mask (B, 1, h, w) is."""
        gate = self.excite(self.squeeze(masked_mean(x, mask)).relu()).sigmoid()  # (B, W)
        x = x * gate[..., None, None]
        return x * self.place(x.mean(1, keepdim=True)).sigmoid()


class ModulatedBottleneck(nn.Module):
    """A ResNet bottleneck that the question modulates.

    To its first convolution another one is added, of the input scaled by channels. mmf's batch
    norms are frozen at mean 0 and variance 1, which is no norm at all; they are left out.

    Args:
        channels: Of the input.
        width: W of the result.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        inner = width // _COMPRESSION
        self.modulation = nn.Linear(width, channels)
        self.modulated = nn.Conv2d(channels, inner, 1)
        self.first = nn.Conv2d(channels, inner, 1, bias=False)
        self.second = nn.Conv2d(inner, inner, 3, padding=1, bias=False)
        self.third = nn.Conv2d(inner, width, 1, bias=False)
        self.gates = Gates(width)
        same = channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor, question: Tensor) -> Tensor:
        """New places (B, W, h, w).

        Args:
            x: (B, channels, h, w), 0 where nothing is.
            mask: (B, 1, h, w) 1 where a picture is.
            question: (B, W).
        """
        scale = self.modulation(question)[..., None, None]
        y = self.first(x) + self.modulated(x * scale)  # (B, W / 4, h, w)
        # The bias has filled the padding, which must not reach its neighbours.
        y = self.second(y.relu() * mask).relu() * mask
        return (self.gates(self.third(y), mask) + self.shortcut(x)).relu()


class MovieMcan(nn.Module):
    """The network with three branches.

    Args:
        channels: C of the grids.
        vocabulary: How many numbers words have; 0 is padding.
        embedding: Width of word vectors.
        classes: How many answers there are.
        config: Sizes; `fused` is twice `hidden` in mmf.
        faithful: Pad grids to 32 x 32 and let padding take part.
    """

    def __init__(
        self,
        channels: int,
        vocabulary: int,
        embedding: int,
        classes: int,
        config: McanConfig,
        faithful: bool = False,
    ) -> None:
        super().__init__()
        width, fused = config.hidden, config.fused
        self.faithful = faithful
        self.reader = QuestionReader(vocabulary, embedding, config)
        self.question_pool = Pooling(config, 2)
        self.places = GuidedPlaces(channels, config)
        self.place_pool = Pooling(config, 1)
        self.bottlenecks = nn.ModuleList(
            ModulatedBottleneck(channels if k == 0 else width, width) for k in range(_BOTTLENECKS)
        )
        self.movie_norm = nn.LayerNorm(width)
        self.from_question = nn.ModuleList(nn.Linear(width, fused) for _ in range(2))
        self.from_attention = nn.ModuleList(nn.Linear(width, fused) for _ in range(2))
        self.from_movie = nn.ModuleList(nn.Linear(width, fused) for _ in range(2))
        self.norms = nn.ModuleList(nn.LayerNorm(fused) for _ in range(3))
        self.classifiers = nn.ModuleList(nn.Linear(fused, classes) for _ in range(3))

    @property
    def word_vectors(self) -> nn.Embedding:
        """Where GloVe goes."""
        return self.reader.words.embedding

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Scores of tokens (B, T) asked about grids.

        Returns:
            In training (B, 3, classes), those of both branches together, of the modulated
            convolutions and of guided attention; else (B, classes) of the first.
        """
        if self.faithful:
            grids = padded_square(grids, _FAITHFUL_SIDE)
        words, word_mask = self.reader(tokens)  # (B, T, hidden)
        condition, question = self.question_pool(words, word_mask).unbind(1)  # (B, hidden) each
        places = self.places(grids, words, word_mask)  # (B, N, hidden)
        attended = self.place_pool(places, grids.mask)[:, 0]  # (B, hidden)
        movie = self._movie(grids, condition)  # (B, hidden)
        fused = [
            self.from_question[0](question)
            + self.from_movie[0](movie)
            + self.from_attention[0](attended)
        ]
        if self.training:
            fused.append(self.from_movie[1](movie))
            fused.append(self.from_question[1](question) + self.from_attention[1](attended))
        branches = zip(self.classifiers, self.norms, fused, strict=False)
        scores = [classifier(norm(x)) for classifier, norm, x in branches]
        return torch.stack(scores, dim=1) if self.training else scores[0]

    def _movie(self, grids: Grids, condition: Tensor) -> Tensor:
        """The branch of modulated convolutions: (B, hidden)."""
        mask = grids.mask.unflatten(1, grids.shape)[:, None].float()  # (B, 1, h, w)
        x = grids.features.transpose(1, 2).unflatten(2, grids.shape) * mask  # (B, C, h, w)
        for bottleneck in self.bottlenecks:
            x = bottleneck(x, mask, condition)
        return self.movie_norm(masked_mean(x, mask))


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean (B, W) of x (B, W, h, w) over the places where the mask (B, 1, h, w) is 1."""
    return (x * mask).sum((2, 3)) / mask.sum((2, 3))


def padded_square(grids: Grids, side: int) -> Grids:
    """Grids padded with zeros to side x side places, all of which take part.

    Raises:
        ValueError: They are larger.
    """
    height, width = grids.shape
    if height > side or width > side:
        raise ValueError(f"grids of {height} x {width} places do not fit into {side} x {side}")
    x = (grids.features * grids.mask[..., None]).unflatten(1, grids.shape)
    x = F.pad(x, (0, 0, 0, side - width, 0, side - height)).flatten(1, 2)
    return Grids(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device), (side, side))
