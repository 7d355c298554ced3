r"""Pre-train a CLIP image tower with a BERT on captions and questions (CLIP-ViL_p).

$ clipnav pretrain-vl
$ clipnav pretrain-vl --data my_data                    # captions and questions of your own
$ clipnav pretrain-vl --preset rn50-stage-1 --data data/lxmert
$ clipnav pretrain-vl --preset rn50-stage-2 --start-from runs/pretrain-vl-lxmert
$ clipnav pretrain-vl --model multilingual --languages en fr de es hi te
$ clipnav pretrain-vl --resume runs/pretrain-vl-house

Objectives: masked words, matching of image and sentence, and question answering. The flags --data
and --preset choose the defaults of the other flags. docs/vl_pretraining.md describes the data
files.
"""

from collections.abc import Sequence

from clipnav.commands.tasks.finetune import train_task


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    train_task("pretrain-vl", arguments, __doc__)
