"""Settings of the network of the map agent, with the published sizes as presets."""

from dataclasses import dataclass, replace
from typing import Literal

from clipnav.agents.transformer.network_settings import TransformerConfig

Fusion = Literal["dynamic", "average", "global", "local"]
_BERT = "bert-base-uncased"
MapRecipe = Literal["duet-r2r", "duet-r4r", "bevbert-rxr", "map-houses"]


@dataclass(frozen=True)
class MapTransformerConfig(TransformerConfig):
    """Layer sizes and dropout of the map transformer (DUET)."""

    fusion: Fusion = "dynamic"
    """Scores that decide: a learned mixture of both branches (dynamic), both with weight 1/2
    (average), or those of one branch."""
    local_candidates_only: bool = False
    """Let the local branch read [stop] and the candidates only, without the other views (DUET: no).
    The panorama encoder has already mixed the views, and the local branch is the larger one."""
    revisits: bool = False
    """Allow visited nodes as targets, except the current one (DUET: --act_visited_nodes)."""


PRESETS: dict[MapRecipe, MapTransformerConfig] = {
    # DUET `map_nav_src/scripts/run_r2r.sh`, `run_r4r.sh` and `config/r2r_model_config.json`.
    "duet-r2r": MapTransformerConfig(text_model=_BERT, text_model_layers=9),
    "duet-r4r": MapTransformerConfig(text_model=_BERT, text_model_layers=9, revisits=True),
    # BEVBert `map_nav_src/rxr`: the first layers of XLM-R; the features are CLIP ViT-B/16's.
    "bevbert-rxr": MapTransformerConfig(text_model="xlm-roberta-base", text_model_layers=9),
    # Sizes that a CPU trains.
    "map-houses": MapTransformerConfig(
        hidden_size=128,
        heads=4,
        feed_forward_size=256,
        text_encoder="lstm",
        text_layers=2,
        panorama_layers=1,
        cross_layers=2,
        feature_dropout=0.3,
        feature_dropout_kind="episode",
        standardise=True,
        local_candidates_only=True,
    ),
}
"""Settings by name."""


def pretraining_config(config: MapTransformerConfig) -> MapTransformerConfig:
    """Return the settings for pre-training, which uses no feature dropout."""
    return replace(config, feature_dropout=0.0)
