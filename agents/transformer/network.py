"""TransformerNetwork: what the networks of map agents and HAMT have in common."""

from torch import nn

from clipnav.agents.transformer.layers import initialise
from clipnav.agents.transformer.text import PretrainedTextEncoder, RecurrentTextEncoder, TextEncoder


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

    def _initialise_parts(self, views: nn.Module | None) -> None:
        """Draw the initial weights of all parts but a pretrained text encoder and `views`."""
        for part in self.children():
            if not isinstance(part, PretrainedTextEncoder):
                initialise(part, views)
