r"""Convert a published checkpoint of DUET, HAMT, ETPNav or VLN-CE's CMA to a run.

$ clipnav convert-agent --model duet --weights best_val_unseen --data-dir data \
    --features data/features/pth_vit_base_patch16_224_imagenet.hdf5 --output runs/duet
$ clipnav convert-agent --model etpnav --weights ckpt.iter12000.pth --predictor runs/cwp \
    --output runs/etpnav
$ clipnav convert-agent --model cma --weights CMA_PM_DA_Aug.pth --output runs/cma \
    --episodes data/datasets/R2R_VLNCE_v1-3_preprocessed/val_unseen/val_unseen.json.gz

No code from the file is run. Every weight must fit; the message names one that does not. clipnav
evaluate-agent evaluates the run, and evaluate-continuous-agent those of ETPNav and
CMA.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from clipnav.envs.worlds import World
from clipnav.parsing import parse
from clipnav.storage.errors import UserError


@dataclass(frozen=True)
class ConvertAgentConfig:
    """Checkpoint, and the data that it was trained on."""

    model: Literal["duet", "hamt", "etpnav", "cma"]
    """Model of the checkpoint: duet becomes a map agent, hamt a HAMT agent, etpnav and cma become
    agents in continuous space."""
    weights: Path
    """Checkpoint of the fine-tuning (best_val_unseen), or of DUET's pre-training
    (model_step_N.pt)."""
    output: Path
    """Folder to write: a run for clipnav evaluate-agent, and for train-agent --start-from."""
    dataset: Literal["r2r", "r4r", "reverie", "soon", "cvdn"] = "r2r"
    """Dataset of the checkpoint: r2r, r4r, reverie or soon of DUET; r2r, r4r or cvdn of HAMT; r2r
    of ETPNav."""
    world: World | None = None
    """Set of buildings, such as houses; by default matterport, and houses for etpnav."""
    data_dir: Path | None = None
    """Folder with matterport/ and the folder of the dataset; required by --world matterport."""
    features: Path | None = None
    """Feature store of the checkpoint's image encoder; the world's own by default."""
    encoder: str = "ViT-B-32:openai"
    """Encoder of the pictures of etpnav."""
    predictor: Path | None = None
    """Run of clipnav convert-waypoint-predictor, whose waypoints etpnav chooses among."""
    bert: str = "bert-base-uncased"
    """BERT whose word pieces the checkpoint reads: a folder of transformers, or a name on Hugging
    Face."""
    heads: int = 12
    """Number of attention heads, which the weights do not determine."""
    episodes: Path | None = None
    """Preprocessed episode file of R2R_VLNCE with the vocabulary; required by --model cma, of whose
    other options only --weights and --output are used."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and convert."""
    config = parse(ConvertAgentConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from dataclasses import replace

    from clipnav.agents.duet.conversion import convert_duet_run
    from clipnav.agents.duet.settings import MapRecipe, map_preset
    from clipnav.agents.etpnav.conversion import convert_etpnav_run
    from clipnav.agents.etpnav.settings import EtpNavRecipe, etpnav_preset
    from clipnav.agents.hamt.conversion import convert_hamt_run
    from clipnav.agents.hamt.settings import HistoryRecipe, history_preset
    from clipnav.training.settings import check_counts

    check_counts(config, ("heads",))
    if (config.model == "cma") != (config.episodes is not None):
        raise UserError("--episodes: required by --model cma, and only by it")
    if config.episodes is not None:
        from clipnav.agents.continuous.conversion import convert_cma_run

        convert_cma_run(config.weights, config.output, config.episodes)
        command = f"clipnav evaluate-continuous-agent {config.output}"
        print(f"{config.output}: written; evaluate it with {command}")
        return
    of_graphs: dict[str, Any] = {"data_dir": config.data_dir, "features": config.features}
    of_pictures: dict[str, Any] = {"encoder": config.encoder, "predictor": config.predictor}
    of_pictures |= {} if config.predictor is None else {"waypoints": "predicted"}
    recipes, preset_of, convert, world, changes = {
        "duet": (MapRecipe, map_preset, convert_duet_run, "matterport", of_graphs),
        "hamt": (HistoryRecipe, history_preset, convert_hamt_run, "matterport", of_graphs),
        "etpnav": (EtpNavRecipe, etpnav_preset, convert_etpnav_run, "houses", of_pictures),
    }[config.model]
    preset: Any = f"{config.model}-{config.dataset}"
    if preset not in get_args(recipes):
        raise UserError(
            f"--dataset {config.dataset}: not a dataset of --model {config.model}; see --help"
        )
    published: Any = preset_of(config.dataset, config.world or world, preset)
    settings: Any = replace(published, **changes)
    convert(config.weights, config.output, settings, config.bert, config.heads)
    command = "evaluate-continuous-agent" if config.model == "etpnav" else "evaluate-agent"
    print(f"{config.output}: written; evaluate it with clipnav {command} {config.output}")
