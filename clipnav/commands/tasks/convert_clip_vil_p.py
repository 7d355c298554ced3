r"""Convert a checkpoint of the authors of CLIP-ViL_p to a run of clipnav pretrain-vl.

$ clipnav convert-clip-vil-p --weights CLIP_VL_RN50x4/Epoch11_LXRT.pth --encoder RN50x4 \
    --bert bert-base-uncased --answers data/lxmert/all_ans.json --output runs/rn50x4-stage-2

No code from the file is run. Every weight must fit; the message names one that does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.parsing import parse
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class ConvertClipVilPConfig:
    """Checkpoint, and the files that it does not contain."""

    weights: Path
    """Checkpoint of the pre-training (EPOCH_LXRT.pth), with CLIP's image tower."""
    answers: Path
    """LXMERT's all_ans.json, whose order is that of the checkpoint's classes."""
    output: Path
    """Folder to write; other commands use it with --start-from OUTPUT."""
    encoder: str = "RN50x4"
    """Name of the image tower in open_clip: RN50 or RN50x4, or a folder in open_clip's format."""
    bert: str = "bert-base-uncased"
    """Tokenizer: a folder of transformers, or a name on Hugging Face."""
    heads: int = 12
    """Number of attention heads, which the weights do not determine."""

    def __post_init__(self) -> None:
        check_counts(self, ("heads",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and convert."""
    config = parse(ConvertClipVilPConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.clip_vil_p.conversion import convert_checkpoint

    convert_checkpoint(
        config.weights, config.output, config.encoder, config.bert, config.answers, config.heads
    )
    print(f"{config.output}: written; use it with --start-from {config.output}")
