"""Generate captions of any images with the model of a run."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.settings import read_config
from clipnav.vl_tasks.captioning.captioner import Captioner
from clipnav.vl_tasks.captioning.decoding import beam_search, write_greedily
from clipnav.vl_tasks.captioning.settings import CaptionConfig
from clipnav.vl_tasks.grids.grids import Grids, GridScale
from clipnav.vl_tasks.grids.sources import BlindSource, GridSource, uncached_source
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.vocabulary import Vocabulary


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


class LoadedCaptioner:
    """Captioner of a run, which captions images as often as needed."""

    def __init__(self, run: Path, beams: int | None = None, device: str = "cpu") -> None:
        self._run, self._device = run, device
        self._config = read_config(run, CaptionConfig)
        self._words = Vocabulary.load(run / VOCABULARY)
        self._beams = beams or self._config.beams
        self._source: GridSource | BlindSource | None = None
        self._network: CaptionNetwork | None = None

    def captions(self, images: Sequence[Path]) -> list[str]:
        """Generate one caption per image file; the first call loads the networks."""
        files = dict(enumerate(images))
        if isinstance(self._source, GridSource):
            source = GridSource(self._source.encoder, files, self._config.grids)
        else:
            source = self._source = uncached_source(self._config, files, self._device)
        if self._network is None:
            network = CaptionNetwork(self._config, source.channels, len(self._words))
            load_model(self._run, network, dict(source.metadata))
            self._network = network.to(self._device).eval()
        network = self._network
        captions: list[list[int]] = []
        for rows in in_batches(len(images), self._config.evaluation_batch_size):
            grids = source.batch(rows.tolist()).to(self._device)
            with torch.inference_mode():
                captions += network.write(grids, self._beams).tolist()
        return [" ".join(self._words.decode(caption)) for caption in captions]
