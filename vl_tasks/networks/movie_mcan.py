"""MoVie+MCAN with three branches, the "MCAN" of CLIP-ViL.

Nguyen et al., "MoVie: Revisiting Modulated Convolutions for Visual Counting and Beyond" (arXiv
2004.11883), as implemented in mmf's `movie_mcan`. The first branch is MCAN's guided attention, the
second a stack of convolutions modulated by the question, the third the sum of both; inference uses
only the third.

mmf pads every grid with zeros to 32 x 32 cells and attends to the padding. Here padding is masked
in attention and in means, and convolutions read zeros there; `faithful` restores mmf's computation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import JointVectors
from clipnav.vl_tasks.networks.mcan import GuidedCells, Pooling, QuestionReader
from clipnav.vl_tasks.settings.networks import McanConfig

_BOTTLENECKS = 4
_COMPRESSION = 4  # of bottlenecks, and of squeeze and excitation
_FAITHFUL_SIDE = 32  # mmf: the root of `max_features` 1024, rounded up


class Gates(nn.Module):
    """Squeeze and excitation of channels, then a gate per grid cell from a 7 x 7 convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(width, width // _COMPRESSION, bias=False)
        self.excite = nn.Linear(width // _COMPRESSION, width, bias=False)
        self.place = nn.Conv2d(1, 1, 7, padding=3, bias=False)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Return gated x (B, W, h, w), 0 where the mask (B, 1, h, w) is 0."""
        gate = self.excite(self.squeeze(_masked_mean(x, mask)).relu()).sigmoid()  # (B, W)
        x = x * gate[..., None, None]
        return x * self.place(x.mean(1, keepdim=True)).sigmoid()


class ModulatedBottleneck(nn.Module):
    """ResNet bottleneck modulated by the question.

    A second convolution, of the input scaled per channel, is added to the first. mmf's batch norms
    are frozen at mean 0 and variance 1, so they have no effect and are omitted.
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
        """Return the modulated features (B, W, h, w).

        Args:
            x: (B, channels, h, w), 0 in the padding.
            mask: (B, 1, h, w), 1 in the image and 0 in the padding.
            question: (B, W).
        """
        scale = self.modulation(question)[..., None, None]
        y = self.first(x) + self.modulated(x * scale)  # (B, W / 4, h, w)
        # The bias is added to the padding too; mask it before the 3 x 3 convolution.
        y = self.second(y.relu() * mask).relu() * mask
        return (self.gates(self.third(y), mask) + self.shortcut(x)).relu()


class MovieMcan(nn.Module):
    """MoVie+MCAN network with three branches."""

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
        width, fused = config.hidden_size, config.fused_size
        self.faithful = faithful
        self.reader = QuestionReader(vocabulary, embedding, config)
        self.question_pool = Pooling(config, 2)
        self.places = GuidedCells(channels, config)
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
        """Word embeddings, which GloVe can initialise."""
        return self.reader.words.embedding

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits of questions, token ids (B, T), about grids.

        Returns:
            In training (B, 3, classes): logits of both branches together, of the modulated
            convolutions, and of guided attention. In evaluation (B, classes): the first of them.
        """
        question, attended, movie = self._branches(grids, tokens)
        fused = [self._fuse(question, attended, movie)]
        if self.training:
            fused.append(self.from_movie[1](movie))
            fused.append(self.from_question[1](question) + self.from_attention[1](attended))
        branches = zip(self.classifiers, self.norms, fused, strict=False)
        scores = [classifier(norm(x)) for classifier, norm, x in branches]
        return torch.stack(scores, dim=1) if self.training else scores[0]

    def join(self, grids: Grids, tokens: Tensor) -> JointVectors:
        """Compute the vectors of questions, token ids (B, T), about grids.

        The image vector consists of the vectors of guided attention and of modulated convolutions.
        """
        question, attended, movie = self._branches(grids, tokens)
        fused = self.norms[0](self._fuse(question, attended, movie))
        return JointVectors(torch.cat([attended, movie], dim=1), question, fused)

    def classify(self, fused: Tensor) -> Tensor:
        """Compute the logits (B, classes) of fused vectors."""
        return self.classifiers[0](fused)

    def _branches(self, grids: Grids, tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute the vectors (B, hidden) of question, guided attention and convolutions."""
        if self.faithful:
            grids = padded_square(grids, _FAITHFUL_SIDE)
        words, word_mask = self.reader(tokens)  # (B, T, hidden)
        condition, question = self.question_pool(words, word_mask).unbind(1)  # (B, hidden) each
        cells = self.places(grids, words, word_mask)  # (B, N, hidden)
        attended = self.place_pool(cells, grids.mask)[:, 0]  # (B, hidden)
        mask = grids.mask.unflatten(1, grids.shape)[:, None].float()  # (B, 1, h, w)
        x = grids.features.transpose(1, 2).unflatten(2, grids.shape) * mask  # (B, C, h, w)
        for bottleneck in self.bottlenecks:
            x = bottleneck(x, mask, condition)
        return question, attended, self.movie_norm(_masked_mean(x, mask))

    def _fuse(self, question: Tensor, attended: Tensor, movie: Tensor) -> Tensor:
        """Compute the sum (B, fused) of both branches and the question."""
        from_image = self.from_movie[0](movie)
        return self.from_question[0](question) + from_image + self.from_attention[0](attended)


def _masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B, W) of x (B, W, h, w) over the cells where the mask (B, 1, h, w) is 1."""
    return (x * mask).sum((2, 3)) / mask.sum((2, 3))


def padded_square(grids: Grids, side: int) -> Grids:
    """Pad grids with zeros to side x side cells and mark all cells as real."""
    height, width = grids.shape
    if height > side or width > side:
        raise UserError(
            f"grids of {height} x {width} cells do not fit into {side} x {side}; set a smaller "
            "--grids.image-size, or --no-faithful"
        )
    x = (grids.features * grids.mask[..., None]).unflatten(1, grids.shape)
    x = F.pad(x, (0, 0, 0, side - width, 0, side - height)).flatten(1, 2)
    return Grids(x, torch.ones(x.shape[:2], dtype=torch.bool, device=x.device), (side, side))
