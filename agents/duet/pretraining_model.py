"""Heads and losses of the pre-training of a map agent: words, actions, views and objects."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.duet.model import (
    EncodedText,
    GlobalBranch,
    LocalBranch,
    MapTransformer,
    NodeInputs,
    Scores,
    ViewInputs,
)
from clipnav.agents.maps.experts import NO_TARGET
from clipnav.agents.transformer.layers import (
    EPS,
    CrossModalLayer,
    ScoreHead,
    SelfAttentionLayer,
    padding_bias,
)
from clipnav.storage.errors import UserError


class WordHead(nn.Module):
    """BERT's head over the vocabulary, whose weights are the word embeddings."""

    def __init__(self, width: int, vocabulary_size: int) -> None:
        super().__init__()
        self.inner = nn.Linear(width, width)
        self.norm = nn.LayerNorm(width, EPS)
        self.bias = nn.Parameter(torch.zeros(vocabulary_size))

    def forward(self, states: Tensor, words: Tensor) -> Tensor:
        """Return logits (M, vocabulary) of states (M, d), given the embeddings (vocabulary, d)."""
        hidden = self.norm(functional.gelu(self.inner(states)))
        return functional.linear(hidden, words, self.bias)


class ActionLosses(NamedTuple):
    """Losses of single action prediction, each (R,)."""

    fused: Tensor
    coarse: Tensor
    fine: Tensor

    @property
    def total(self) -> Tensor:
        """Unweighted sum of the three losses."""
        return self.fused + self.coarse + self.fine


class PretrainingModel(nn.Module):
    """Map transformer with the parts that only pre-training needs.

    Attributes:
        global_text: Layers in which the text attends to itself, after it has attended to the map.
        local_text: The same after it has attended to the panorama.
        class_head: Head of masked region classification; None without classes.
    """

    def __init__(self, network: MapTransformer, num_classes: int = 0) -> None:
        """Build an untrained model."""
        super().__init__()
        config = network.config
        width, layers = config.hidden_size, range(config.cross_layers)
        self.network = network
        self.global_text = nn.ModuleList(SelfAttentionLayer(config) for _ in layers)
        self.local_text = nn.ModuleList(SelfAttentionLayer(config) for _ in layers)
        words = network.text.word_table()
        if words.shape[1] != width:
            raise UserError(
                f"--network.hidden-size {width}: masked words require the width of the text "
                f"model's word embeddings; give --network.hidden-size {words.shape[1]}"
            )
        self.word_head = WordHead(width, len(words))
        self.class_head = ScoreHead(width, width, num_classes) if num_classes else None

    def word_logits(
        self, text: EncodedText, nodes: NodeInputs, views: ViewInputs, masked: Tensor
    ) -> Tensor:
        """Predict masked words.

        The text attends to the input tokens of each branch, through the attention layers with which
        the branch attends to the text; the states of both branches are added.

        Args:
            masked: (R, L) bool, true for the words to predict.

        Returns:
            (M, vocabulary) logits of the masked words, row by row.
        """
        network = self.network
        view_mask = functional.pad(views.mask, (1, 0), value=True)
        coarse = _read_visual(
            text,
            network.global_branch,
            self.global_text,
            network.global_branch.embed(nodes),
            padding_bias(nodes.mask),
        )
        fine = _read_visual(
            text,
            network.local_branch,
            self.local_text,
            network.local_branch.embed(views),
            padding_bias(view_mask),
        )
        return self.word_head((coarse + fine)[masked], network.text.word_table())

    def class_logits(self, text: EncodedText, views: ViewInputs, masked: Tensor) -> Tensor:
        """Predict the classes of masked views with the local branch.

        Args:
            masked: (R, V) bool, true for masked views.

        Returns:
            (M, classes) logits, row by row.
        """
        if self.class_head is None:
            raise ValueError("the model was built without classes; give num_classes")
        tokens = self.network.local_branch(views, text)[:, 1:]
        return self.class_head(tokens[masked])

    def object_losses(self, text: EncodedText, views: ViewInputs, targets: Tensor) -> Tensor:
        """Return the (R,) cross-entropies of the target objects; 0 for states without a label.

        Args:
            targets: (R,) panorama tokens; `NO_TARGET` leaves a state out.
        """
        assert views.objects is not None
        labelled = targets != NO_TARGET
        fine = self.network.local_branch(views, text, 1 + views.leading.shape[1])
        logits = self.network.object_scores(fine, views.objects)[labelled].float()
        losses = functional.cross_entropy(logits, targets[labelled], reduction="none")
        return losses.new_zeros(len(targets)).masked_scatter(labelled, losses)

    def masked_view_losses(
        self, text: EncodedText, views: ViewInputs, masked: Tensor, probabilities: Tensor
    ) -> Tensor:
        """Return the (M,) Kullback-Leibler divergences of the classes of masked views.

        Args:
            masked: (R, V) bool, true for masked views.
            probabilities: (R, V, classes) class probabilities of the views.
        """
        logits = self.class_logits(text, views, masked)
        targets = probabilities[masked]
        divergence = functional.kl_div(logits.log_softmax(1), targets, reduction="none")
        return divergence.sum(1)


def action_losses(scores: Scores, targets: Tensor, local_targets: Tensor) -> ActionLosses:
    """Return the losses of single action prediction; 0 for states that are left out.

    Args:
        targets: (R,) map tokens; 0 is [stop], `NO_TARGET` leaves a state out.
        local_targets: (R,) the same as an index into [stop] and the candidates.
    """

    def loss(logits: Tensor, target: Tensor) -> Tensor:
        return functional.cross_entropy(
            logits.float(), target, ignore_index=NO_TARGET, reduction="none"
        )

    return ActionLosses(
        loss(scores.decision, targets),
        loss(scores.global_scores, targets),
        loss(scores.local_scores, local_targets),
    )


def _read_visual(
    text: EncodedText,
    branch: GlobalBranch | LocalBranch,
    text_layers: nn.ModuleList,
    visual: Tensor,
    visual_bias: Tensor,
) -> Tensor:
    """Return the text states (R, L, d) after they have attended to visual tokens (R, N, d)."""
    states = text.states.states
    for layer, text_layer in zip(branch.layers, text_layers, strict=True):
        assert isinstance(layer, CrossModalLayer)
        states = layer.cross(states, layer.cross.keys_values(visual), visual_bias)
        states = text_layer(states, text.bias)
    return states
