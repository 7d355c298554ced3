"""Fine-tune a vision-language model on exported demonstrations, with low-rank adapters.

$ clipnav finetune-vlm --data data/train --model Qwen/Qwen2.5-VL-3B-Instruct --device cuda
$ clipnav finetune-vlm --data data/train --validation data/val --model FOLDER --output runs/vlm
$ clipnav finetune-vlm --resume runs/vlm

The data is an export of clipnav export-demonstrations --format messages. The run's folder merged
contains the whole model, for clipnav evaluate-vlm --local-model.

docs/demonstrations.md describes the recipe.
"""

from collections.abc import Sequence

from clipnav.agents.vlm_finetuning.settings import parse_finetuning


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and fine-tune."""
    config = parse_finetuning(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.vlm_finetuning.learner import finetune_vlm

    finetune_vlm(config)
