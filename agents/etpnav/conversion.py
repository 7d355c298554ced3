"""Weights of other models for ETPNav: its published checkpoints, and runs of map agents.

Reads the state dictionaries of `vlnce_baselines/models/etp/vilmodel_cmt.py: GlocalTextPathNavCMT`
(ETPNav 8dec13a), with the prefixes of the training programs, and of its pre-training. Files are
read without running code that they contain.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from safetensors.torch import load_file
from torch import Tensor

from clipnav.agents.acting.tokenizers import shared_words
from clipnav.agents.duet.conversion import SHARED_PARTS
from clipnav.agents.etpnav.network import DIRECTION_SIZE, EtpNavNetwork
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig, EtpNavTrainConfig
from clipnav.agents.etpnav.task import EtpNavTask
from clipnav.agents.settings.networks import ExpertKind
from clipnav.agents.settings.reading import run_spec
from clipnav.agents.transformer.released import (
    Checkpoint,
    Features,
    Renaming,
    read_released,
    renamed,
    write_run,
)
from clipnav.agents.transformer.text import PretrainedTextEncoder
from clipnav.encoders.weights.weight_files import read_settings
from clipnav.envs.tokenizers import load_run_tokenizer
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import MODEL, VOCABULARY, model_metadata

_METRES = 30.0  # ETPNav's unit of distances between places; those of map agents are metres
_WORDS = "text.words.weight"
_PARTS: tuple[Renaming, ...] = (
    *SHARED_PARTS,
    (r"^img_embeddings\.dep_linear\.", "panorama.depth."),
    (r"^img_embeddings\.dep_layer_norm\.", "panorama.depth_norm."),
    (r"^global_encoder\.encoder\.x_layers\.(\d+)\.lang_", r"global_text.\1.lang_"),
    (r"^global_encoder\.encoder\.x_layers\.", "global_branch.layers."),
    (r"^global_sap_head\.net\.0\.", "head.inner."),
    (r"^global_sap_head\.net\.2\.", "head.norm."),
    (r"^global_sap_head\.net\.[34]\.", "head.outer."),
)
# Settings in the configuration of a checkpoint, and the names of ours with the same values.
_SETTINGS = {
    "IL.max_traj_len": "max_decisions",
    "IL.max_text_len": "max_instruction_length",
    "IL.expert_policy": "expert",
    "IL.sample_ratio": "expert_probability",
    "IL.decay_interval": "expert_iterations",
    "IL.iters": "iterations",
}
_MAP_SETTINGS = {"IL.loc_noise": "merge_distance", "MODEL.merge_ghost": "merges"}
_TASK, _CONSUMES = "MODEL.task_type", "MODEL.consume_ghost"
_AUGMENTS, _TRIES_OUT = "IL.waypoint_aug", "IL.tryout"
# Part of the names of the transformer's weights in checkpoints of the training.
_AGENT = "vln_bert."
# Weights of the pre-training outside the network, and of layers that do not compute anything.
_UNUSED = ("mlm_head.", "global_text.", "image_classifier.")


def convert_map_agent(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights of a `MapTransformer` for ETPNav, without its local branch.

    The network then computes what the global branch of the map agent computes: the elevations of
    views are 0, distances have another unit, and features are not standardised beforehand.
    """
    kept = {
        name.replace("global_head.", "head."): weight
        for name, weight in weights.items()
        if not name.startswith(("local_branch.", "local_head.", "gate."))
    }
    directions = kept["panorama.directions.weight"]
    kept["panorama.directions.weight"] = directions[:, :DIRECTION_SIZE]
    # The other directions of DUET are ones.
    kept["panorama.directions.bias"] = kept["panorama.directions.bias"] + directions[
        :, DIRECTION_SIZE:
    ].sum(1)
    kept["panorama.types.weight"] = kept["panorama.types.weight"][:2]
    kept["global_branch.distance.weight"] = _METRES * kept["global_branch.distance.weight"]
    mean = kept.pop("panorama.feature_mean", None)
    if mean is not None:
        projection = kept["panorama.features.weight"] / kept.pop("panorama.feature_deviation")
        kept["panorama.features.weight"] = projection
        kept["panorama.features.bias"] = kept["panorama.features.bias"] - projection @ mean
    return kept


def start_from(run: Path, task: EtpNavTask, network: EtpNavNetwork) -> None:
    """Copy the weights of a run; words of both vocabularies keep their embeddings.

    Depth features, which a map agent does not have, keep their new weights.
    """
    agent, source = run_spec(run).name, load_run_tokenizer(run / VOCABULARY, "--start-from")
    if agent not in ("map", task.config.agent):
        raise UserError(
            f"--start-from {run}: its agent is {agent}; choose a run of --agent etpnav, of a map "
            "agent or of its pre-training"
        )
    metadata = model_metadata(run)
    found, wanted = metadata.get("encoder_weights"), task.metadata.get("encoder_weights")
    if agent == "map":  # "NAME DIGEST", or a name alone
        found = metadata.get("encoder", "").partition(" ")[2] or None
    if found != wanted:
        raise UserError(
            f"--start-from {run}: has features of another encoder; name that one with --encoder"
        )
    weights = load_file(run / MODEL)
    if agent == "map":
        weights = convert_map_agent(weights)
    own = network.state_dict()
    if _WORDS in weights and _WORDS in own:
        pairs = shared_words(source, task.tokenizer)
        words = own[_WORDS].clone().cpu()
        words[pairs[:, 1]] = weights[_WORDS][torch.from_numpy(pairs[:, 0])]
        weights[_WORDS] = words
    new = ("panorama.depth.", "panorama.depth_norm.") if agent == "map" else ()
    wrong = [
        name
        for name, weight in own.items()
        if not name.startswith(new) and (name not in weights or weights[name].shape != weight.shape)
    ]
    if wrong:
        raise UserError(
            f"--start-from {run}: {len(wrong)} weights do not fit --network, the first: "
            f"{wrong[0]}; use the sizes and the text encoder of that run"
        )
    network.load_state_dict(own | {name: weights[name] for name in own if name in weights})


def convert_etpnav(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of ETPNav to those of `EtpNavNetwork`.

    A checkpoint of the training also contains its encoders of pictures, which are left out. BERT's
    table of token types is split into the text's and the panorama's.
    """
    inner = {n.rpartition(_AGENT)[2]: w for n, w in weights.items() if _AGENT in n}
    converted = renamed(inner or weights, _PARTS, "panorama.type_embedding")
    return {name: one for name, one in converted.items() if not name.startswith(_UNUSED)}


def with_published_settings(config: EtpNavTrainConfig, weights: Path) -> EtpNavTrainConfig:
    """Return settings with the values of a checkpoint's configuration, where it has one."""
    own = (_TASK, _AUGMENTS, _TRIES_OUT, _CONSUMES)
    found = read_settings(weights, (*_SETTINGS, *_MAP_SETTINGS, *own))
    task = found.get(_TASK, config.dataset)
    if task != config.dataset:
        raise UserError(f"{weights}: trained for {task}; --dataset {config.dataset} does not fit")
    changes = {ours: found[name] for name, ours in _SETTINGS.items() if name in found}
    of_map = {ours: found[name] for name, ours in _MAP_SETTINGS.items() if name in found}
    if _CONSUMES in found:
        of_map["keeps"] = not found[_CONSUMES]
    if found.get(_AUGMENTS) is False:
        changes["resampling"] = "none"
    if found.get(_TRIES_OUT) is False:  # otherwise it also depends on sliding, as here
        changes["tryout"] = False
    for name, value in (changes | of_map).items():
        default = getattr(config.map if name in of_map else config, name)
        kind = (int, float) if isinstance(default, float) else type(default)
        if default is not None and not isinstance(value, kind):
            raise UserError(f"{weights}: its configuration has {value!r} for {name}")
    if changes.get("expert", config.expert) not in get_args(ExpertKind):
        raise UserError(f"{weights}: its expert {changes['expert']!r} is unknown")
    return replace(config, **changes, map=replace(config.map, **of_map))


def convert_etpnav_run(
    weights: Path, output: Path, config: EtpNavTrainConfig, bert: str, heads: int
) -> None:
    """Write a checkpoint of ETPNav as a run; its settings name encoder and predictor."""
    config = with_published_settings(config, weights)
    checkpoint = Checkpoint(
        path=weights,
        model="ETPNav for R2R-CE",
        weights=read_released(weights, convert_etpnav, "ETPNav"),
        features="panorama.features.weight",
        second_type="panorama.type_embedding",
        steps="global_branch.steps.weight",
        panorama_layers="panorama.layers",
        cross_layers="global_branch.layers",
    )
    no_tokenizer: Any = None  # pictures require none
    task = EtpNavTask(config, no_tokenizer)

    def features(_: EtpNavTrainConfig) -> Features:
        return Features(task.surroundings.colour_size, f"--encoder {config.encoder}", task.metadata)

    def build(
        network: EtpNavNetworkConfig, words: int, width: int, text: PretrainedTextEncoder
    ) -> EtpNavNetwork:
        return EtpNavNetwork(network, words, width, task.surroundings.depth_size, text)

    write_run(checkpoint, output, config, bert, heads, build, features)
