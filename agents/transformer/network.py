"""TransformerNetwork: what the networks of map agents and HAMT have in common."""

from torch import nn

from agents.transformer.text import PretrainedTextEncoder, RecurrentTextEncoder, TextEncoder


class TransformerNetwork(nn.Module):
    """Interface of networks with a text encoder, whose weights can be loaded by name.

    Attributes:
        text: Text encoder.
    """

    text: TextEncoder | RecurrentTextEncoder | PretrainedTextEncoder

    @property
    def architecture(self) -> dict[str, str]:
        """Sizes and options that must match for weights to be loaded, by name."""
        raise NotImplementedError
