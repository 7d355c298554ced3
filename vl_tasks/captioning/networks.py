"""Caption network: standardisation of features, then the captioner."""

from torch import Tensor, nn

from clipnav.vl_tasks.captioning.captioner import Captioner
from clipnav.vl_tasks.captioning.decoding import beam_search, write_greedily
from clipnav.vl_tasks.captioning.settings import CaptionConfig
from clipnav.vl_tasks.grids.grids import Grids, GridScale


class CaptionNetwork(nn.Module):
    """Standardisation of features followed by a captioner."""

    def __init__(self, config: CaptionConfig, channels: int, vocabulary: int) -> None:
        super().__init__()
        self.scale = GridScale(channels)
        longest = max(config.max_words + 1, config.max_length)
        self.captioner = Captioner(channels, vocabulary, config.captioner, longest)
        self.max_length = config.max_length
        self.banned = (vocabulary - 1,)  # the unknown word is never generated
        self.architecture = {"feature width": str(channels), "vocabulary size": str(vocabulary)}

    def write(self, grids: Grids, beams: int) -> Tensor:
        """Generate captions (B, T) of images, padded with 0 after the end."""
        scaled = self.scale(grids)
        if beams == 1:
            return write_greedily(self.captioner, scaled, self.max_length, self.banned)
        return beam_search(self.captioner, scaled, beams, self.max_length, self.banned)
