r"""Convert a published checkpoint of DUET or HAMT to a run.

$ clipnav convert-agent --model duet --weights best_val_unseen --data-dir data \
    --features data/features/pth_vit_base_patch16_224_imagenet.hdf5 --output runs/duet

No code from the file is run. Every weight must fit; the message names one that does not. clipnav
evaluate-agent evaluates the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from clipnav.envs.worlds import World
from clipnav.parsing import parse


@dataclass(frozen=True)
class ConvertAgentConfig:
    """Checkpoint, and the data that it was trained on."""

    model: Literal["duet", "hamt"]
    """Model of the checkpoint: duet becomes a map agent, hamt a HAMT agent."""
    weights: Path
    """Checkpoint of the fine-tuning (best_val_unseen), or of DUET's pre-training
    (model_step_N.pt)."""
    output: Path
    """Folder to write: a run for clipnav evaluate-agent, and for train-agent --start-from."""
    dataset: Literal["r2r", "r4r", "reverie", "soon", "cvdn"] = "r2r"
    """Dataset of the checkpoint: r2r, r4r, reverie or soon of DUET; r2r, r4r or cvdn of HAMT."""
    world: World = "matterport"
    """Set of buildings."""
    data_dir: Path | None = None
    """Folder with matterport/ and the folder of the dataset; required by --world matterport."""
    features: Path | None = None
    """Feature store of the checkpoint's image encoder; the world's own by default."""
    bert: str = "bert-base-uncased"
    """BERT whose word pieces the checkpoint reads: a folder of transformers, or a name on Hugging
    Face."""
    heads: int = 12
    """Number of attention heads, which the weights do not determine."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and convert."""
    config = parse(ConvertAgentConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from dataclasses import replace

    from clipnav.agents.duet.conversion import convert_duet_run
    from clipnav.agents.duet.settings import MapRecipe, map_preset
    from clipnav.agents.hamt.conversion import convert_hamt_run
    from clipnav.agents.hamt.settings import HistoryRecipe, history_preset
    from clipnav.storage.errors import UserError
    from clipnav.training.settings import check_counts

    check_counts(config, ("heads",))
    paths = {"data_dir": config.data_dir, "features": config.features}
    preset: Any = f"{config.model}-{config.dataset}"
    if preset not in get_args({"duet": MapRecipe, "hamt": HistoryRecipe}[config.model]):
        raise UserError(
            f"--dataset {config.dataset}: not a dataset of --model {config.model}; see --help"
        )
    if config.model == "duet":
        published = map_preset(config.dataset, config.world, preset)
        settings = replace(published, **paths)
        convert_duet_run(config.weights, config.output, settings, config.bert, config.heads)
    else:
        published = history_preset(config.dataset, config.world, preset)
        settings = replace(published, **paths)
        convert_hamt_run(config.weights, config.output, settings, config.bert, config.heads)
    print(f"{config.output}: written; evaluate it with clipnav evaluate-agent {config.output}")
